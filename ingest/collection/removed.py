"""The vectors of pictures that were removed, kept for a while: a file that comes back is not encoded again.

They are known by their content (SHA-256) alone, and nothing is found among them. It must not know why a picture was
removed.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.collection.projection import features_of
from ingest.errors import StoreDamaged
from ingest.records import Picture
from ingest.stores import VISUAL, Collection, Point
from model.pictures import SIGNATURE_BYTES
from model.system.clock import now

REMOVED_FILE = "removed.safetensors"

KEPT_FOR = timedelta(days=30)

MOST_BYTES = 32 << 20
"""Of vectors: 6,500 pictures with the bundled encoder, 2,000 with VGG16; those removed last are kept."""

PICTURES = "pictures"
FEATURES = "features"
SIGNATURES = "signatures"


@dataclass(frozen=True, slots=True)
class Removed:
    """What is known of a content that is in the collection no more. ``removed``: when, ISO 8601, UTC. ``signature``:
    empty where there is none. ``text``: as of a `Picture`."""

    sha256: str
    width: int
    height: int
    frame: int
    framing: str
    removed: str
    signature: bytes = b""
    text: str | None = None


class RemovedVectors:
    """Those of one collection."""

    def __init__(self, width: int, kept: dict[str, tuple[Removed, NDArray[np.float32]]]) -> None:
        self._width = width
        self._kept = kept
        self._changed = False

    @classmethod
    def read(cls, collection: Collection) -> RemovedVectors:
        """Raises StoreDamaged where they cannot be read."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        width = collection.metadata.vectors[VISUAL]
        data = collection.read_file(REMOVED_FILE)
        if data is None:
            return cls(width, {})
        try:
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            rows = [Removed(**row) for row in json.loads(header["__metadata__"][PICTURES])]
            tensors = load(data)
            features = tensors[FEATURES]
            if features.shape != (len(rows), width) or not np.isfinite(features).all():
                raise ValueError(f"vectors of shape {features.shape}")
            if SIGNATURES in tensors:
                rows = _signed(rows, tensors[SIGNATURES])
        except (ValueError, LookupError, TypeError, SafetensorError) as error:
            raise StoreDamaged(
                f"the {REMOVED_FILE} of collection {collection.name!r} is broken: `ingest check --repair` removes it"
            ) from error
        return cls(width, {row.sha256: (row, vector) for row, vector in zip(rows, features, strict=True)})

    def find(self, sha256: str, framing: str) -> tuple[Removed, NDArray[np.float32]] | None:
        """What is kept of a content that was framed so."""
        found = self._kept.get(sha256)
        return found if found and found[0].framing == framing else None

    @property
    def room(self) -> int:
        """How many are kept at most."""
        return MOST_BYTES // (4 * self._width)

    def add(self, points: Iterable[Point]) -> None:
        """Keep the visual vectors of points that are about to be removed."""
        at = now()
        for point in points:
            picture = Picture.from_payload(point.payload)
            if picture.damaged:  # such a file is looked at again
                continue
            seen = (picture.width, picture.height, picture.frame, picture.framing)
            row = Removed(picture.sha256, *seen, at, picture.signature, picture.text)
            self._kept.pop(row.sha256, None)
            self._kept[row.sha256] = (row, features_of(point))
            self._changed = True

    def save(self, collection: Collection, indexed: Container[str]) -> None:
        """Write what is left when that is forgotten which is too old, too much, or ``indexed`` again, by content."""
        oldest = (datetime.now(UTC) - KEPT_FOR).isoformat(timespec="seconds")
        wanted = [pair for pair in self._kept.values() if pair[0].sha256 not in indexed and pair[0].removed >= oldest]
        wanted = wanted[-self.room :]
        if not self._changed and len(wanted) == len(self._kept):
            return
        self._kept, self._changed = {row.sha256: (row, vector) for row, vector in wanted}, False
        if not wanted:
            collection.remove_file(REMOVED_FILE)
            return
        from safetensors.numpy import save

        rows = json.dumps([_without_signature(row) for row, _ in wanted])
        signatures = b"".join(row.signature or bytes(SIGNATURE_BYTES) for row, _ in wanted)
        tensors: dict[str, NDArray[Any]] = {
            FEATURES: np.stack([vector for _, vector in wanted]),
            SIGNATURES: np.frombuffer(signatures, np.uint8).reshape(len(wanted), SIGNATURE_BYTES),
        }
        collection.write_file(REMOVED_FILE, save(tensors, {PICTURES: rows}))


def _without_signature(row: Removed) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name != "signature"}


def _signed(rows: list[Removed], signatures: NDArray[np.uint8]) -> list[Removed]:
    """With their signatures, (rows, SIGNATURE_BYTES); where there is none, its row is zeros.

    Raises:
        ValueError: another shape.
    """
    pairs = zip(rows, signatures, strict=True)
    return [replace(row, signature=signature.tobytes() if signature.any() else b"") for row, signature in pairs]
