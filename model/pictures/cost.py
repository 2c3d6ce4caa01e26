"""What decoding a picture file would take, told before a pixel of it is decoded.

It must not know who wants it decoded, or what can be afforded.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from PIL import Image

from model.pictures.decode import DRAFT_MARGIN, heic_available, installed_formats
from model.pictures.framing import Framing

PILLOW_BYTES = 4
"""Of a pixel in colour, as Pillow holds it."""

COPIES = 2
"""The picture, and what it is converted or turned into."""

WEBP_COPIES = 4
"""libwebp holds the canvas twice, and gives it away once more before Pillow has it."""

COEFFICIENT_BYTES = 6
"""Of a pixel of a progressive JPEG, whose coefficients are all held until its last scan: two for each channel."""

WEBP_HEAD_BYTES = 30

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In the samples of a JPEG, where FF is followed by 00, and by a restart."""

SCAN, END, START = 0xDA, 0xD9, 0xD8
ALONE = frozenset({0x01, START, END, *range(0xD0, 0xD8)})
"""Markers without a length."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``memory``: bytes, beside those of the file, about. ``scans``: of a JPEG, each of which goes over all pixels."""

    width: int
    height: int
    memory: int
    scans: int = 1


def decoding_cost(data: bytes, *, shown_at: int = 0, framing: Framing | None = None) -> Cost:
    """What decoding a file would need; nothing where it would be refused at once, for the reason that decoding gives.

    Args:
        shown_at: as `open_picture` takes it.
        framing: as `open_framed` takes it; a JPEG may be decoded at a part of its size for either.
    """
    if size := _webp_size(data):  # whose decoder takes its memory as soon as it is opened
        return Cost(*size, size[0] * size[1] * PILLOW_BYTES * WEBP_COPIES)
    heic_available()  # registers it
    try:
        with Image.open(io.BytesIO(data), formats=installed_formats()) as image:
            width, height = image.size
            pixels = width * height
            if image.format not in ("JPEG", "MPO"):
                return Cost(width, height, pixels * PILLOW_BYTES * COPIES)
            coefficients = COEFFICIENT_BYTES * pixels if "progressive" in image.info else 0
            part = min(width, height) / (DRAFT_MARGIN * framing.resize) if framing else 1.0
            if shown_at and not framing:
                part = max(width, height) / (2 * shown_at)
            decoded = pixels // _shrinks(part) ** 2
            return Cost(width, height, coefficients + decoded * PILLOW_BYTES * COPIES, _scans(data))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, decoding tells
        return Cost(0, 0, 0)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file, by its first chunk; None of any other."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < WEBP_HEAD_BYTES:
        return None
    kind, head = data[12:16], data[20:WEBP_HEAD_BYTES]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    return None


def _shrinks(part: float) -> int:
    """By how much libjpeg makes the sides shorter while it decodes, where they may be shorter by this."""
    return next((factor for factor in (8, 4, 2) if part >= factor), 1)


def _scans(data: bytes) -> int:
    """Of the first picture in a JPEG file. Those of previews lie in segments, which are passed over."""
    scans, place = 0, 0
    while found := MARKER.search(data, place):
        kind = data[found.end() - 1]
        place = found.end()
        if kind == END:
            break
        if kind not in ALONE:
            scans += kind == SCAN
            place += int.from_bytes(data[place : place + 2], "big")
    return scans
