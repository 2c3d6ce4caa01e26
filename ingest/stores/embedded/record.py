"""``collection.json``: what is recorded of an embedded collection beside its points. It must not know the engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata

METADATA_FILE = "collection.json"
COPY_FILE = "collection.copy.json"
"""Read where the other was damaged: without what it says, a collection would have to be embedded again."""

CHECK = "check"
"""The key of a record's own checksum; a record of an earlier version has none."""

COMPACT_SHARE = 0.2
"""Deleted points keep their space until the shard is compacted, which is done when they are this share of it."""


@dataclass(slots=True)
class Record:
    """The metadata of a collection and the counts that the engine does not keep.

    ``points``: how many there were when the last writer ended. ``clean``: whether it ended well, so that ``points``
    is true. ``written``, ``deleted``: points since the graph was built, or since the shard was compacted. ``graph``:
    points the graph was built over, 0 for none. ``quantized``: whether int8 codes are kept. ``seal``: checksum of
    the seal of the shard's files (`ingest.stores.embedded.seal`), None where it has none. ``engine``: what wrote
    the shard last, with its version. ``kept``: name to the
    SHA-256 of a file kept with it, two while it is being replaced. ``other``: keys of a version that keeps more, which
    stay.
    """

    metadata: CollectionMetadata
    points: int = 0
    clean: bool = False
    written: int = 0
    deleted: int = 0
    graph: int = 0
    quantized: bool = False
    seal: int | None = None
    engine: str = ""
    kept: dict[str, Sequence[str]] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], name: str) -> Record:
        """Raises StoreError where it is incomplete or of a format that is not known."""
        metadata = CollectionMetadata.from_json(record, name)
        try:
            points, written, deleted, graph = (int(record.get(key, 0)) for key in COUNTS)
            seal = None if record.get("seal") is None else int(record["seal"])
            kept: dict[str, Sequence[str]] = {
                str(file): tuple(map(str, sums)) for file, sums in record.get("kept", {}).items()
            }
        except (TypeError, ValueError, AttributeError) as error:
            raise StoreDamaged(
                f"the {METADATA_FILE} of collection {name!r} counts its points in no numbers: drop it with "
                f"`ingest drop {name}` and run `ingest run` again"
            ) from error
        clean, quantized = bool(record.get("clean", False)), bool(record.get("quantized", False))
        engine = str(record.get("engine", ""))
        return cls(metadata, points, clean, written, deleted, graph, quantized, seal, engine, kept, record)

    def to_json(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in (*COUNTS, "clean", "quantized", "seal", "engine", "kept")}
        record = {**self.other, **self.metadata.to_json(), **own}
        return {**record, CHECK: _check(record)}

    def missing(self, points: int) -> int:
        """How many of ``points`` that should be there are not, as far as that is known."""
        return self.points - points if self.clean else 0

    def is_loose(self, points: int) -> bool:
        """Whether deleted points take much of the space that ``points`` share with them."""
        return self.deleted > COMPACT_SHARE * (points + self.deleted)


COUNTS = ("points", "written", "deleted", "graph")


def read_record(folder: Path) -> dict[str, Any]:
    """What is recorded in a collection's folder, of whatever format; its copy where it was damaged or lost.

    Raises:
        FileNotFoundError: the folder holds no collection.
        StoreError: it cannot be read. StoreDamaged: neither it nor its copy is a record.
    """
    try:
        return _read(folder / METADATA_FILE)
    except (FileNotFoundError, StoreDamaged) as problem:
        try:
            return _read(folder / COPY_FILE)
        except (FileNotFoundError, StoreDamaged):
            raise problem from None


def recorded(collections: Path) -> list[str]:
    """Names of the folders in a folder that hold a record, sorted.

    Raises:
        OSError: the folder cannot be read.
    """
    files = [*collections.glob(f"*/{METADATA_FILE}"), *collections.glob(f"*/{COPY_FILE}")]
    return sorted({path.parent.name for path in files})


def is_record(path: Path) -> bool:
    """Whether one of the two files of a record is whole."""
    try:
        _read(path)
    except (FileNotFoundError, StoreDamaged):
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreDamaged(f"{path} is not JSON: {_REMEDY}") from error
    if not isinstance(record, dict):
        raise StoreDamaged(f"{path} holds no record: {_REMEDY}")
    if CHECK in record and record[CHECK] != _check(record):
        raise StoreDamaged(f"{path} was changed: {_REMEDY}")
    return record


_REMEDY = "remove its folder and run `ingest run` again"


def _check(record: Mapping[str, Any]) -> str:
    """The SHA-256 of all that a record says beside its checksum."""
    said = {key: value for key, value in record.items() if key != CHECK}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
