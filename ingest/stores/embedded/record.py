"""``collection.json``: what is recorded of an embedded collection beside its points. It must not know the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata

METADATA_FILE = "collection.json"

COMPACT_SHARE = 0.2
"""Deleted points keep their space until the shard is compacted, which is done when they are this share of it."""


@dataclass(slots=True)
class Record:
    """The metadata of a collection and the counts that the engine does not keep.

    ``points``: how many there were when the last writer ended. ``clean``: whether it ended well, so that ``points``
    is true. ``written``, ``deleted``: points since the graph was built, or since the shard was compacted. ``graph``:
    points the graph was built over, 0 for none. ``quantized``: whether int8 codes are kept. ``other``: keys of a
    version that keeps more, which stay.
    """

    metadata: CollectionMetadata
    points: int = 0
    clean: bool = False
    written: int = 0
    deleted: int = 0
    graph: int = 0
    quantized: bool = False
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], name: str) -> Record:
        """Raises StoreError where it is incomplete or of a format that is not known."""
        metadata = CollectionMetadata.from_json(record, name)
        try:
            points, written, deleted, graph = (int(record.get(key, 0)) for key in COUNTS)
        except (TypeError, ValueError) as error:
            raise StoreDamaged(
                f"the {METADATA_FILE} of collection {name!r} counts its points in no numbers: drop it with "
                f"`ingest drop {name}` and run `ingest run` again"
            ) from error
        clean, quantized = bool(record.get("clean", False)), bool(record.get("quantized", False))
        return cls(metadata, points, clean, written, deleted, graph, quantized, record)

    def to_json(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in (*COUNTS, "clean", "quantized")}
        return {**self.other, **self.metadata.to_json(), **own}

    def missing(self, points: int) -> int:
        """How many of ``points`` that should be there are not, as far as that is known."""
        return self.points - points if self.clean else 0

    def is_loose(self, points: int) -> bool:
        """Whether deleted points take much of the space that ``points`` share with them."""
        return self.deleted > COMPACT_SHARE * (points + self.deleted)


COUNTS = ("points", "written", "deleted", "graph")


def read_record(folder: Path) -> dict[str, Any]:
    """What is recorded in a collection's folder, of whatever format.

    Raises:
        FileNotFoundError: the folder holds no collection.
        StoreError: it cannot be read. StoreDamaged: it is no record.
    """
    path = folder / METADATA_FILE
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreDamaged(f"{path} is not JSON: remove its folder and run `ingest run` again") from error
    if not isinstance(record, dict):
        raise StoreDamaged(f"{path} holds no record: remove its folder and run `ingest run` again")
    return record
