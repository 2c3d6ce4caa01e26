"""A collection of the embedded store as readers have it: its points in a shard of Qdrant's engine, its files beside it.

How the shard is shared between processes is in `shard`, how the engine's errors are translated in `engine`, and what
changes a collection in `writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from ingest.errors import StoreDamaged
from ingest.stores import SCROLL_PAGE, Filter, Hit, Point, ReadOnlyCollection, SparseVector, Vector, is_unit
from ingest.stores.embedded.checking import check_shard, remedy
from ingest.stores.embedded.engine import count_points, edge_filter, point_uuid, search_params, to_point, to_sparse
from ingest.stores.embedded.files import KeptFiles
from ingest.stores.embedded.record import Record, read_record
from ingest.stores.embedded.shard import Access, Shard
from ingest.stores.embedded.shard_lock import gone


class EmbeddedCollection(ReadOnlyCollection):
    """Has its shard loaded from start to end; with `Access.SHARED`, releases it between calls for others who wait.

    Args:
        record: what `read_record` gave.
    """

    read_only = "the collection is open for reading: open it with write=True"

    def __init__(self, folder: Path, name: str, record: Mapping[str, Any], access: Access = Access.READ) -> None:
        self.name = name
        self.folder = folder
        self._record = Record.from_json(record, name)
        self.metadata = self._record.metadata
        self._shard = Shard(folder, name, access, self._before_load, self._on_load)
        self._files = KeptFiles(folder, name, self._read_record)
        self._start()

    def _start(self) -> None:
        try:
            with self._shard.opened():
                pass
        except BaseException:
            self._shard.close()
            raise

    def _read_record(self) -> Record:
        """As it is now: a writer may change it at any time."""
        try:
            return Record.from_json(read_record(self.folder), self.name)
        except FileNotFoundError:
            raise gone(self.folder, self.name) from None

    def _before_load(self) -> None:
        """Read the record again: while this process waited, a writer may have changed it and the shard.

        Raises:
            StoreDamaged: files of the shard are missing or were changed.
        """
        self._record = self._read_record()
        self.metadata = self._record.metadata
        check_shard(self.folder, self.name, self._record)

    def _on_load(self, shard: edge.EdgeShard) -> None:
        """Raises StoreDamaged where points are missing. Some damage makes the engine drop points silently."""
        points = count_points(shard)
        if self._record.missing(points):
            raise StoreDamaged(
                f"collection {self.name!r} in {self.folder} should hold {self._record.points} points and holds "
                f"{points}: {remedy(self.name)}"
            )

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        nearest = edge.Query.Nearest(vector.tolist(), using=using)
        with self._shard.opened() as shard:  # in which nobody adds a point between the two
            found = _hits(shard, nearest, limit, filter, search_params(limit, self.metadata.search_width, exact=exact))
            is_short = len(found) < limit and not self._record.graph
            if is_short and len(found) < count_points(shard, filter):  # the engine leaves out what is not finite
                raise self._changed()
        return found

    def _search_sparse(self, using: str, vector: SparseVector, limit: int, filter: Filter) -> list[Hit]:
        nearest = edge.Query.Nearest(to_sparse(vector), using=using)
        with self._shard.opened() as shard:
            return _hits(shard, nearest, limit, filter, edge.SearchParams())

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        if not ids:
            return {}
        with self._shard.opened() as shard:
            found = shard.retrieve([str(id) for id in ids], True, list(vectors))
        return {point.id: point for point in self._sound(map(to_point, found))}

    def _sound(self, points: Iterable[Point]) -> list[Point]:
        """What the disk has made of a vector since it was written is not answered with.

        Raises:
            StoreDamaged: one has not its length any more. A change that keeps it is found by `ingest check` alone.
        """
        read = list(points)
        if not all(is_unit(vector) for point in read for vector in point.vectors.values()):
            raise self._changed()
        return read

    def _changed(self) -> StoreDamaged:
        return StoreDamaged(f"vectors of collection {self.name!r} in {self.folder} were changed: {remedy(self.name)}")

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        return map(self._sound, self.scroll_unchecked(vectors, page, filter))

    def scroll_unchecked(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        offset: Any = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=page,
                filter=edge_filter(filter),
                with_payload=True,
                with_vector=list(vectors) if vectors else False,
            )
            with self._shard.opened() as shard:
                found, offset = shard.scroll(request)
            if found:
                yield [to_point(record) for record in found]
            if offset is None:
                return

    def count(self, filter: Filter = Filter()) -> int:
        with self._shard.opened() as shard:
            return count_points(shard, filter)

    def _facet(self, field: str) -> dict[str, int]:
        with self._shard.opened() as shard:
            if field not in shard.info().payload_schema:
                return {}
            hits = shard.facet(edge.FacetRequest(field, limit=1_000_000, exact=True)).hits
        return {str(hit.value): hit.count for hit in hits}

    @property
    def has_name_index(self) -> bool:
        with self._shard.opened() as shard:
            return "path" in shard.info().payload_schema

    def read_file(self, name: str) -> bytes | None:
        return self._files.read(name)

    def kept_files(self) -> list[str]:
        return sorted(self._record.kept)

    def lost_files(self) -> list[str]:
        return self._files.lost()

    def yield_lock(self) -> None:
        self._shard.yield_lock()

    def close(self) -> None:
        self._shard.close()


def _hits(shard: edge.EdgeShard, query: edge.Query, limit: int, filter: Filter, params: edge.SearchParams) -> list[Hit]:
    request = edge.QueryRequest(limit=limit, query=query, filter=edge_filter(filter), with_payload=True, params=params)
    return [Hit(point_uuid(p.id), p.score, p.payload or {}) for p in shard.query(request)]
