"""Qdrant Edge, the engine of the embedded store: its configuration, its types and ours, its errors."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from ingest.errors import StoreDamaged, StoreError, StoreInUse
from ingest.records import CAMERA, KEYWORDS, PLACE, TAKEN_AT, TEXT, CollectionMetadata
from ingest.stores import OVERSAMPLED, Filter, Point, SparseVector, is_for_graph, search_width
from ingest.stores.embedded.checking import remedy
from model.errors import DiskFull
from model.system.atomic import remove
from model.system.disk import FULL

_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
_REMEDIES = {
    errno.EFBIG: "its files are larger than this process may write: raise `ulimit -f`",
    errno.EMFILE: "it has more files than this process may open: raise `ulimit -n`",
    errno.ENFILE: "the system has too many files open: close other programs",
    errno.ENOMEM: "not enough memory: close other programs, or raise `ulimit -v`",
    errno.EIO: "the disk does not read or write: see the system's log, and try again",
}


def _os_error(message: str) -> int | None:
    """The errno in a message of the engine, which writes it in two ways."""
    found = re.search(r"(?:os error|Os \{ code:) (\d+)", message)
    return int(found[1]) if found else None


@cache
def engine_version() -> str:
    """The engine by its name, with its version."""
    return f"qdrant-edge {version('qdrant-edge-py')}"


@contextmanager
def edge_errors(folder: Path, name: str) -> Iterator[None]:
    """Translate what the engine raises. Only what no passing failure of the system explains is damage.

    Raises:
        StoreInUse: another program has the shard loaded.
        DiskFull, StoreDamaged, StoreError: with what to do.
    """
    try:
        yield
    except (StoreError, DiskFull, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit):
        raise
    except BaseException as error:
        translated = _translated(error, name, folder)
        if translated is None:
            raise
        raise translated from error


def _translated(error: BaseException, name: str, folder: Path) -> StoreError | DiskFull | None:
    """Ours for an error of the engine, None where it is not the engine's."""
    if type(error) is not Exception and type(error).__name__ != "PanicException" and not isinstance(error, OSError):
        return None
    cause = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else _os_error(cause)
    which = f"collection {name!r} in {folder}"
    if "WouldBlock" in cause:
        return StoreInUse(f"{which} is in use by another program")
    if number in FULL:
        return DiskFull(f"no space left on the disk of {folder}: make room and run again")
    if number in _REMEDIES:
        return StoreError(f"cannot open {which}: {_REMEDIES[number]} ({cause})")
    if number in _FORBIDDEN:
        return StoreError(
            f"cannot open {which}: the engine needs to read and write there even to answer: give this user the right "
            f"to, or copy the store to a disk you may write to ({cause})"
        )
    if "No point with id" in cause:
        return StoreError(f"{which} has lost a point while it was changed: run again")
    if isinstance(error, OSError) or (number is not None and number not in _MISSING):
        return StoreError(f"cannot open {which}: {os.strerror(number or 0)}: try again ({cause})")
    return StoreDamaged(f"{which} is damaged ({cause}): {remedy(name)}")


def shard_config(metadata: CollectionMetadata) -> edge.EdgeConfig:
    """Exact search: 12 ms at 10,000 pictures, every answer the same as a full comparison.

    Vectors and payloads are read as they are needed: a question in words has no use for the visual ones, and opening
    takes two thirds of the time.
    """
    no_graph = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(
                size=width, distance=edge.Distance.Cosine, hnsw_config=no_graph, memory=edge.Memory.Cold
            )
            for name, width in metadata.vectors.items()
        },
        payload_memory=edge.Memory.Cold,
        sparse_vectors=sparse_config(metadata.sparse),
    )


def sparse_config(names: Sequence[str]) -> dict[str, edge.EdgeSparseVectorParams]:
    return {name: edge.EdgeSparseVectorParams() for name in names}


def search_params(limit: int, width: int, *, exact: bool) -> edge.SearchParams:
    """``width``: as of a collection's metadata. Without a graph every search is exact; without codes nothing is to be
    looked up again."""
    if not is_for_graph(limit, exact=exact):
        return edge.SearchParams(exact=True, quantization=edge.QuantizationSearchParams(ignore=True))
    codes = edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLED)
    return edge.SearchParams(hnsw_ef=search_width(limit, width), quantization=codes)


def sweep_engine_files(shard: Path) -> None:
    """Remove what a killed process left of the engine's own atomic writes, which it never looks at again."""
    for left in [*shard.rglob(".atomicwrite*")]:
        remove(left)


_IN_WORDS = edge.TextIndexParams(tokenizer=edge.TokenizerType.Word, lowercase=True, min_token_len=1)

_INDEXES: Mapping[str, Any] = {
    "label": edge.PayloadSchemaType.Keyword,
    "folders": edge.PayloadSchemaType.Keyword,
    "path": _IN_WORDS,
}

OF_SOME_POINTS: Mapping[str, Any] = {
    TAKEN_AT: edge.PayloadSchemaType.Integer,
    CAMERA: _IN_WORDS,
    PLACE: edge.PayloadSchemaType.Geo,
    KEYWORDS: edge.PayloadSchemaType.Keyword,
    TEXT: _IN_WORDS,
}
"""Indexes that are made with the first point that has the field: each takes eight files and 7 ms of every opening."""


def make_indexes(shard: edge.EdgeShard, fields: Iterable[str] = ()) -> None:
    """A new shard has none, one that lost a segment may have lost them with it, and an older one has not all.

    Args:
        fields: of `OF_SOME_POINTS`, to index as well.
    """
    wanted = {**_INDEXES, **{field: OF_SOME_POINTS[field] for field in fields}}
    for field in wanted.keys() - shard.info().payload_schema:
        shard.update(edge.UpdateOperation.create_field_index(field, wanted[field]))


def edge_filter(filter: Filter) -> edge.Filter | None:
    must: list[Any] = []
    if filter.labels:
        wanted = edge.MatchAny(list(filter.labels))
        either: list[Any] = [edge.FieldCondition(field, match=wanted) for field in ("label", KEYWORDS)]
        must.append(edge.Filter(should=either))
    if filter.under:
        must.append(edge.FieldCondition("folders", match=edge.MatchValue(filter.under)))
    for field, words in (("path", filter.named), (TEXT, filter.written)):
        for spellings in words:
            texts: list[Any] = [edge.FieldCondition(field, match=edge.MatchText(text)) for text in spellings]
            must.append(edge.Filter(should=texts))
    must += _photo_conditions(filter)
    without: list[Any] = [edge.HasIdCondition({str(id) for id in filter.without})] if filter.without else []
    return edge.Filter(must=must, must_not=without) if must or without else None


def _photo_conditions(filter: Filter) -> list[Any]:
    must: list[Any] = []
    if (filter.after, filter.before) != (None, None):
        must.append(edge.FieldCondition(TAKEN_AT, range=edge.RangeFloat(gte=filter.after, lt=filter.before)))
    if filter.camera:
        must.append(edge.FieldCondition(CAMERA, match=edge.MatchText(filter.camera)))
    if filter.near:
        centre = edge.GeoPoint(filter.near.longitude, filter.near.latitude)
        must.append(edge.FieldCondition(PLACE, geo_radius=edge.GeoRadius(centre, 1000 * filter.near.kilometres)))
    return must


def count_points(shard: edge.EdgeShard, filter: Filter = Filter()) -> int:
    return int(shard.count(edge.CountRequest(exact=True, filter=edge_filter(filter))))


def point_uuid(id: Any) -> UUID:
    return id if isinstance(id, UUID) else UUID(str(id))


def to_point(record: edge.Record) -> Point:
    named = record.vector if isinstance(record.vector, dict) else {}
    dense = {name: np.asarray(v, np.float32) for name, v in named.items() if not isinstance(v, edge.SparseVector)}
    sparse = {name: _from_sparse(v) for name, v in named.items() if isinstance(v, edge.SparseVector)}
    return Point(point_uuid(record.id), dense, record.payload or {}, sparse)


def _from_sparse(vector: edge.SparseVector) -> SparseVector:
    """The engine keeps the indices in rising order."""
    return SparseVector(np.asarray(vector.indices, np.uint32), np.asarray(vector.values, np.float32))


def to_sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(vector.indices.tolist(), vector.values.tolist())


def to_vectors(point: Point) -> dict[str, Any]:
    dense = {name: vector.tolist() for name, vector in point.vectors.items()}
    return {**dense, **{name: to_sparse(vector) for name, vector in point.sparse.items()}}
