"""One collection of a snapshot: a Parquet table and the Annoy indexes of its rows."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ingest.records import CAMERA, KEYWORDS, PLACE, TAKEN_AT, TEXT, CollectionMetadata
from ingest.stores import (
    SCROLL_PAGE,
    VISUAL,
    WORD,
    Filter,
    Hit,
    Point,
    ReadOnlyCollection,
    SparseVector,
    Vector,
    words_of,
)
from ingest.stores.snapshot.annoy import AnnoyIndexFile
from ingest.stores.snapshot.checksums import unreadable
from ingest.stores.snapshot.manifest import PICTURES_FILE, TAGS_FILE, Manifest, sparse_file
from ingest.stores.snapshot.sparse import SparseFile
from ingest.stores.snapshot.tables import read_table

READ_ONLY = "a snapshot is read-only: change the collection and export it again"

NOT_IN_ALL = ("path_base64", "framing", "damaged", "frame", "signature")
"""Columns of which most rows have nothing: then a payload does not have them."""

OF_PHOTOS = ("taken", "taken_from", TAKEN_AT, CAMERA, "lens", PLACE, "orientation", KEYWORDS, TEXT)
"""The same, but 0 and an empty text are something."""


class SnapshotCollection(ReadOnlyCollection):
    """One table and its indexes.

    Args:
        checked: gives the path of a file of the snapshot, once its checksum was found right.
    """

    read_only = READ_ONLY

    def __init__(
        self, name: str, metadata: CollectionMetadata, manifest: Manifest, checked: Callable[[str], Path]
    ) -> None:
        self.name = name
        self.metadata = metadata
        self._manifest = manifest
        self._checked = checked
        self._indexes: dict[str, AnnoyIndexFile] = {}
        self._sparse: dict[str, SparseFile] = {}

    @cached_property
    def _table(self) -> Any:
        from pyarrow import ArrowException

        name, vector = (TAGS_FILE, WORD) if self.metadata.kind == "words" else (PICTURES_FILE, VISUAL)
        path = self._checked(name)
        try:
            return read_table(path, self._manifest.indexes[vector].items)
        except (ArrowException, OSError, MemoryError) as error:
            raise unreadable(path, error) from error

    def _index(self, using: str) -> AnnoyIndexFile:
        if using not in self._indexes:
            info = self._manifest.indexes[using]
            self._indexes[using] = AnnoyIndexFile(self._checked(info.file), info)
        return self._indexes[using]

    def _sparse_file(self, using: str) -> SparseFile:
        if using not in self._sparse:
            self._sparse[using] = SparseFile(self._checked(sparse_file(using)), len(self._table))
        return self._sparse[using]

    def _payloads(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """All at once, which takes a third of the time of one by one."""
        from pyarrow import concat_tables

        if not rows:
            return []
        return [_payload(record) for record in concat_tables(self._table.slice(row, 1) for row in rows).to_pylist()]

    def _id(self, row: int) -> UUID:
        return UUID(bytes=self._table.column("id")[row].as_py())

    def _row(self, id: UUID) -> int | None:
        ids = self._table.column("id")
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[middle].as_py() < id.bytes:
                low = middle + 1
            else:
                high = middle
        return low if low < len(ids) and ids[low].as_py() == id.bytes else None

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        """Ask for more until enough pass the filter, or every item was looked at."""
        index = self._index(using)
        passing = self._passing(filter)
        unit = vector / np.linalg.norm(vector.astype(np.float64))  # a float32 sum of squares could be 0
        count = limit + len(filter.without)
        while True:
            rows, cosines = index.nearest(unit, count)
            kept = [(row, cosine) for row, cosine in zip(rows, cosines, strict=True) if passing is None or passing[row]]
            if len(kept) >= limit or count >= index.info.items:
                return self._hits(kept[:limit])
            count *= 4

    def _search_sparse(self, using: str, vector: SparseVector, limit: int, filter: Filter) -> list[Hit]:
        scores = self._sparse_file(using).scores(vector)
        passing = self._passing(filter)
        found = np.flatnonzero(scores > 0 if passing is None else passing & (scores > 0))
        best = found[np.argsort(-scores[found], kind="stable")[:limit]].tolist()
        return self._hits([(row, float(scores[row])) for row in best])

    def _hits(self, scored: Sequence[tuple[int, float]]) -> list[Hit]:
        """Of rows with their scores."""
        payloads = self._payloads([row for row, _ in scored])
        return [Hit(self._id(row), score, payload) for (row, score), payload in zip(scored, payloads, strict=True)]

    def _passing(self, filter: Filter) -> np.ndarray[Any, Any] | None:
        """(n,) bool: which rows the filter lets through; None for all."""
        if filter == Filter():
            return None
        passing = np.ones(len(self._table), bool)
        if filter.labels:
            wanted = frozenset(filter.labels)
            pairs = zip(self._column("label"), self._column(KEYWORDS), strict=True)
            passing &= np.array([label in wanted or not wanted.isdisjoint(words or ()) for label, words in pairs], bool)
        if filter.under:
            folders = self._table.column("folders").to_pylist()
            passing &= np.array([filter.under in above for above in folders], bool)
        if filter.named:
            passing &= np.array([_holds(path, filter.named) for path in self._column("path")], bool)
        if filter.written:
            passing &= np.array([_holds(text or "", filter.written) for text in self._column(TEXT)], bool)
        if filter.is_of_photos:
            passing &= self._taken(filter)
        for id in filter.without:
            if (row := self._row(id)) is not None:
                passing[row] = False
        return passing

    def _taken(self, filter: Filter) -> np.ndarray[Any, Any]:
        """(n,) bool: which rows say that they were taken then, there, and by that camera."""
        passing = np.ones(len(self._table), bool)
        moments = self._numbers(TAKEN_AT)
        if filter.after is not None:
            passing &= moments >= filter.after
        if filter.before is not None:
            passing &= moments < filter.before
        if filter.camera:
            wanted = set(words_of(filter.camera))
            passing &= np.array([wanted.issubset(words_of(name or "")) for name in self._column(CAMERA)], bool)
        if filter.near:
            passing &= filter.near.holds(*(self._numbers(PLACE, part) for part in ("lat", "lon")))
        return passing

    def _column(self, name: str) -> list[Any]:
        """Its values; of a snapshot that is older than the column, none."""
        is_there = name in self._table.column_names
        return self._table.column(name).to_pylist() if is_there else [None] * len(self._table)

    def _numbers(self, name: str, part: str = "") -> np.ndarray[Any, Any]:
        """(n,) float64 of a column, or of a part of its records; NaN for nothing."""
        values = self._column(name)
        if part:
            values = [value and value[part] for value in values]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        rows = {id: row for id in ids if (row := self._row(id)) is not None}
        return dict(zip(rows, self._points([*rows.values()], vectors), strict=True))

    def _points(self, rows: Sequence[int], names: Sequence[str]) -> list[Point]:
        sparse = [name for name in names if name in self.metadata.sparse]
        dense = [name for name in names if name not in sparse]
        return [
            Point(
                self._id(row),
                {name: np.array(self._index(name).vectors[row]) for name in dense},
                payload,
                {name: self._sparse_file(name).vector(row) for name in sparse},
            )
            for row, payload in zip(rows, self._payloads(rows), strict=True)
        ]

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        passing = self._passing(filter)
        rows = range(len(self._table)) if passing is None else np.flatnonzero(passing).tolist()
        for start in range(0, len(rows), page):
            yield self._points(rows[start : start + page], vectors)

    def count(self, filter: Filter = Filter()) -> int:
        passing = self._passing(filter)
        return len(self._table) if passing is None else int(passing.sum())

    def _facet(self, field: str) -> dict[str, int]:
        column = self._column(field)
        is_list = field in ("folders", KEYWORDS)
        values = itertools.chain.from_iterable(value or () for value in column) if is_list else column
        return Counter(value for value in values if value is not None)

    def read_file(self, name: str) -> bytes | None:
        return self._checked(name).read_bytes() if name in self._manifest.files else None

    def kept_files(self) -> list[str]:
        return sorted(self._manifest.files)

    def close(self) -> None:
        while self._indexes:
            self._indexes.popitem()[1].close()


def _payload(record: dict[str, Any]) -> dict[str, Any]:
    absent = {"id", *(name for name in NOT_IN_ALL if not record.get(name))}
    absent |= {name for name in OF_PHOTOS if record.get(name) is None}
    return {name: value for name, value in record.items() if name not in absent}


def _holds(text: str, asked: Sequence[Sequence[str]]) -> bool:
    """Whether each of the words stands in a text, in one of its spellings."""
    words = set(words_of(text))
    return all(any(words.issuperset(words_of(spelling)) for spelling in spellings) for spellings in asked)
