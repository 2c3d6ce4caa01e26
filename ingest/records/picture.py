"""One record per picture: what a point's payload says, and which id it has."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ingest.records.photo import KEYWORDS, photo_fields, photo_of
from model.pictures import PUBLISHED, SIGNATURE_BYTES, PhotoMetadata, label_of
from model.system.names import shown

NAMESPACE = UUID("6f5f2f3e-0d0b-5a51-9a0c-4f8a5a6f2c11")
"""Of the version-5 UUIDs (RFC 9562) that are point ids: any fixed value of our own."""

SIGNATURE = "signature"
"""The key of a payload's signature, which is base64 there."""

CHECK = "check"
"""The key of a payload's own checksum; an earlier version wrote none."""

TEXT = "text"
"""The key of what stands in a picture; absent where that was not read."""

SHA256_DIGITS = 64


USUAL: dict[str, Any] = {"framing": PUBLISHED, "damaged": "", "frame": 0}
"""Of a payload's particulars, which it has only where they are not so."""


def stable_id(name: str) -> UUID:
    """UUIDv5 of a name's bytes, so that a name always is the same point; surrogates are raw bytes."""
    digest = hashlib.sha1(NAMESPACE.bytes + os.fsencode(name), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


@dataclass(frozen=True, slots=True)
class Picture:
    """The payload of a picture's point.

    ``path``: relative to the dataset's root, POSIX, bytes that are no UTF-8 as surrogates. ``width``,
    ``height``: pixels, upright. ``size``: bytes. ``visual_norm``: length of the feature vector, which the
    store keeps at length 1. ``inode``: the file's number on its disk when it was read, 0 where that is not known.
    ``framing``: the rule it was framed by. ``damaged``: what is wrong with a file that is shown as far as it goes;
    empty for nearly all. ``frame``: which frame or page stands for a file of several, from 0. ``signature``: of
    `model.pictures.signature`; empty where an earlier version wrote it. ``photo``: what its header says of how it was
    taken, None where that was not read. ``text``: what stands in it, None where that was not read.
    """

    path: str
    sha256: str
    width: int
    height: int
    size: int
    mtime_ns: int
    visual_norm: float
    inode: int = 0
    framing: str = PUBLISHED
    damaged: str = ""
    frame: int = 0
    signature: bytes = b""
    photo: PhotoMetadata | None = None
    text: str | None = None

    @property
    def id(self) -> UUID:
        return stable_id(self.path)

    @property
    def label(self) -> str | None:
        label = label_of(self.path)
        return None if label is None else shown(label)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of its folder, where it has one, and the keywords in its file."""
        keywords = self.photo.keywords if self.photo else ()
        return tuple(dict.fromkeys([*([] if self.label is None else [self.label]), *keywords]))

    def to_payload(self) -> dict[str, Any]:
        """JSON types only. ``folders``, every folder above the picture, is what ``--under`` matches.

        What is as usual is left out: the published framing, no damage, the first frame.
        """
        payload: dict[str, Any] = {
            "path": shown(self.path),
            "label": self.label,
            "folders": folders_of(shown(self.path)),
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "bytes": self.size,
            "mtime_ns": self.mtime_ns,
            "visual_norm": self.visual_norm,
            "inode": self.inode,
        }
        particulars = {"framing": self.framing, "damaged": self.damaged, "frame": self.frame}
        payload.update({name: value for name, value in particulars.items() if value != USUAL[name]})
        if self.signature:
            payload[SIGNATURE] = base64.b64encode(self.signature).decode()
        if self.photo:
            payload.update(photo_fields(self.photo))
            if keywords := [word for word in self.photo.keywords if word != self.label]:
                payload[KEYWORDS] = keywords
        if self.text is not None:
            payload[TEXT] = self.text
        if payload["path"] != self.path:
            payload["path_base64"] = base64.b64encode(os.fsencode(self.path)).decode()
        return {**payload, CHECK: _check(payload)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Picture:
        raw = payload.get("path_base64")
        return cls(
            path=os.fsdecode(base64.b64decode(raw) if raw else payload["path"].encode()),
            sha256=payload["sha256"],
            width=payload["width"],
            height=payload["height"],
            size=payload["bytes"],
            mtime_ns=payload["mtime_ns"],
            visual_norm=payload["visual_norm"],
            inode=payload.get("inode") or 0,
            signature=_signature(payload.get(SIGNATURE)),
            photo=photo_of(payload),
            text=payload.get(TEXT),
            **{name: payload.get(name) or usual for name, usual in USUAL.items()},
        )


def _signature(said: object) -> bytes:
    """Nothing where it is no signature: the picture is then compared by its file."""
    try:
        read = base64.b64decode(said, validate=True) if isinstance(said, str) else b""
    except ValueError:
        return b""
    return read if len(read) == SIGNATURE_BYTES else b""


def is_sound(payload: Mapping[str, Any]) -> bool:
    """Whether a payload says what it was written with; one of an earlier version, whether it may have been."""
    if CHECK in payload:
        return bool(payload[CHECK] == _check(payload))
    try:
        picture = Picture.from_payload(payload)
        expected = picture.to_payload()
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    derived = ("path", "label", "folders")
    is_sum = len(picture.sha256) == SHA256_DIGITS and set(picture.sha256) <= set("0123456789abcdef")
    return is_sum and all(payload.get(key) == expected[key] for key in derived) and picture.visual_norm > 0


def _check(payload: Mapping[str, Any]) -> str:
    """The CRC-32, in hex, of all that a payload says beside it; of a number with a fraction, to float32's precision:
    the engine gives some back with another last bit."""
    said = {key: _single(value) for key, value in payload.items() if key != CHECK}
    return f"{zlib.crc32(json.dumps(said, sort_keys=True).encode()):08x}"


def _single(value: object) -> object:
    if isinstance(value, dict):
        return {key: _single(inner) for key, inner in value.items()}
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0] if isinstance(value, float) else value
    except OverflowError:
        return value


def folders_of(path: str) -> list[str]:
    """``a/b/c.jpg`` lies under ``a`` and ``a/b``."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
