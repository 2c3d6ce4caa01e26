"""Qdrant Edge, the engine of the embedded store: its configuration, its types and ours, its errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from ingest.errors import StoreDamaged, StoreError, StoreInUse
from ingest.records import CollectionMetadata
from ingest.stores import Filter, Point
from model.errors import DiskFull
from model.system.atomic import remove

LIMITS = {
    errno.EFBIG: "its files are larger than this process may write: raise `ulimit -f`",
    errno.EMFILE: "it has more files than this process may open: raise `ulimit -n`",
    errno.ENFILE: "the system has too many files open: close other programs",
    errno.ENOMEM: "not enough memory: close other programs, or raise `ulimit -v`",
}
"""What a process, not a disk, is short of."""


def _os_error(message: str) -> int | None:
    """The errno in a message of the engine, which writes it in two ways."""
    found = re.search(r"(?:os error|Os \{ code:) (\d+)", message)
    return int(found[1]) if found else None


@contextmanager
def edge_errors(folder: Path, name: str) -> Iterator[None]:
    """Translate what the engine raises.

    Raises:
        StoreInUse: somebody who takes no turns has the shard.
        DiskFull, StoreDamaged, StoreError: with what to do.
    """
    try:
        yield
    except (StoreError, DiskFull, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit):
        raise
    except BaseException as error:
        message = " ".join(str(error).split())
        if "WouldBlock" in message:
            raise StoreInUse(f"collection {name!r} in {folder} is in use by another program") from error
        number = _os_error(message)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left on the disk of {folder}: make room and run again") from error
        if number in LIMITS:
            raise StoreError(f"cannot open collection {name!r} in {folder}: {LIMITS[number]}") from error
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StoreError(
                f"cannot open collection {name!r} in {folder}: {message.rpartition(': ')[2]}; "
                "the engine needs to write there even to read: copy the store to a disk you may write to"
            ) from error
        if "No point with id" in message:
            raise StoreError(f"collection {name!r} has lost a point while it was changed: run again") from error
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise StoreDamaged(
                f"collection {name!r} in {folder} is damaged ({message[:160]}): remove that folder and run "
                "`ingest run` again; the pictures themselves are not touched"
            ) from error
        raise


def shard_config(metadata: CollectionMetadata) -> edge.EdgeConfig:
    """Exact search: 12 ms at 10,000 pictures, every answer the same as a full comparison."""
    no_graph = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(size=width, distance=edge.Distance.Cosine, hnsw_config=no_graph)
            for name, width in metadata.vectors.items()
        }
    )


def sweep_log(shard: Path) -> None:
    """Remove what a killed process left of the engine's own atomic writes, which it never looks at again."""
    for left in (shard / "wal").glob(".atomicwrites*"):
        remove(left)


def make_indexes(shard: edge.EdgeShard) -> None:
    """A new shard has none, and one that lost a segment may have lost them with it."""
    for field in {"label", "folders"}.difference(shard.info().payload_schema):
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))


def edge_filter(filter: Filter) -> edge.Filter | None:
    must: list[Any] = []
    if filter.labels:
        must.append(edge.FieldCondition("label", match=edge.MatchAny(list(filter.labels))))
    if filter.under:
        must.append(edge.FieldCondition("folders", match=edge.MatchValue(filter.under)))
    without: list[Any] = [edge.HasIdCondition({str(id) for id in filter.without})] if filter.without else []
    return edge.Filter(must=must, must_not=without) if must or without else None


def count_points(shard: edge.EdgeShard) -> int:
    return int(shard.count(edge.CountRequest(exact=True)))


def point_uuid(id: Any) -> UUID:
    return id if isinstance(id, UUID) else UUID(str(id))


def to_point(record: edge.Record) -> Point:
    vectors = record.vector if isinstance(record.vector, dict) else {}
    return Point(
        point_uuid(record.id),
        {name: np.asarray(vector, np.float32) for name, vector in vectors.items()},
        record.payload or {},
    )
