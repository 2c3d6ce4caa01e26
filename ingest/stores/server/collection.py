"""One collection on a server. Search is exact or by a graph, by size, as in the embedded store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from qdrant_client import models

from ingest.errors import CollectionNotFound, StoreError
from ingest.records import KEYWORDS, CollectionMetadata
from ingest.stores import GRAPH_FROM, SCROLL_PAGE, Collection, Filter, Hit, Point, SparseVector, Vector, batches
from ingest.stores.server.conversion import (
    graph_params,
    has_graph,
    is_quantized,
    payload_indexes,
    search_params,
    to_filter,
    to_point,
    to_sparse,
    to_struct,
)
from ingest.stores.server.fault import status_of
from ingest.stores.server.files import KeptFiles
from ingest.stores.server.requests import MESSAGE_BYTES, Requests
from model.system.events import note

NO_INDEX = 400
"""The status of what wants a payload index, in a collection that is older than it."""

METADATA_KEY = "wordsight"
POINT_BYTES = 3072
"""Of a point beside its numbers: id, punctuation and, in answers, the payload."""

SPARSE_BYTES = 1 << 15
"""Of a sparse vector as JSON at its longest: a thousand indices and values."""

NUMBER_BYTES = 24
"""Of a float32 as JSON at its longest: ``-1.1754943508222875e-38,``."""


class ServerCollection(Collection):
    """Nothing is held open for it: the connections are the store's."""

    def __init__(self, requests: Requests, name: str, metadata: CollectionMetadata) -> None:
        self.name = name
        self.metadata = metadata
        self._requests = requests
        self._ask = requests.ask
        self._client = requests.client
        self._files = KeptFiles(requests, name)

    @cached_property
    def _has_graph(self) -> bool:
        return has_graph(self._ask(self._client.get_collection, self.name))

    def make_indexes(self) -> None:
        """Make the payload indexes that are missing, as they are where a run ended while it made them."""
        there = self._ask(self._client.get_collection, self.name).payload_schema
        for field, schema in payload_indexes(self.metadata.kind).items():
            if field not in there:
                self._ask(self._client.create_payload_index, self.name, field, schema, wait=True)

    @property
    def has_name_index(self) -> bool:
        return "path" in self._ask(self._client.get_collection, self.name).payload_schema

    def _upsert(self, points: Sequence[Point]) -> None:
        numbers = self._bytes_of(self.metadata.vectors) + SPARSE_BYTES * len(self.metadata.sparse)
        structs = map(to_struct, points)
        self._requests.write(
            self._client.upsert, self.name, structs, lambda struct: numbers + len(json.dumps(struct.payload))
        )

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        pairs = zip(ids, matrix, strict=True)
        updates = (models.PointVectors(id=str(id), vector={name: row.tolist()}) for id, row in pairs)
        self._update(updates, self._bytes_of([name]))

    def _set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None:
        operations = (
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(payload=dict(payload), points=[str(id)])
            )
            for id, payload in payloads.items()
        )
        self._requests.write(
            self._client.batch_update_points,
            self.name,
            operations,
            lambda operation: POINT_BYTES + len(json.dumps(operation.overwrite_payload.payload)),
        )

    def _set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None:
        updates = (models.PointVectors(id=str(id), vector={name: to_sparse(v)}) for id, v in vectors.items())
        self._update(updates, SPARSE_BYTES)

    def _update(self, updates: Iterable[models.PointVectors], size: int) -> None:
        try:
            self._requests.write(self._client.update_vectors, self.name, updates, lambda _: size)
        except CollectionNotFound as error:
            self._requests.metadata(self.name)  # raises the same where it is the collection that is gone
            raise StoreError(f"collection {self.name!r} has lost a point while it was changed: run again") from error

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        params = search_params(limit, self.metadata.search_width, exact=exact) if self._has_graph else None
        return self._query(vector.tolist(), using, limit, filter, params)

    def _search_sparse(self, using: str, vector: SparseVector, limit: int, filter: Filter) -> list[Hit]:
        return self._query(to_sparse(vector), using, limit, filter, None)

    def _query(
        self,
        query: list[float] | models.SparseVector,
        using: str,
        limit: int,
        filter: Filter,
        params: models.SearchParams | None,
    ) -> list[Hit]:
        found = self._ask(
            self._client.query_points,
            self.name,
            query,
            using=using,
            query_filter=to_filter(filter),
            limit=limit,
            search_params=params,
        ).points
        return [Hit(UUID(str(point.id)), point.score, point.payload or {}) for point in found]

    def delete(self, ids: Sequence[UUID]) -> None:
        for batch in batches(map(str, ids), SCROLL_PAGE):
            self._ask(self._client.delete, self.name, [*batch], wait=True)

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        found: dict[UUID, Point] = {}
        for batch in batches(map(str, ids), self._points_at_once(vectors)):
            records = self._ask(self._client.retrieve, self.name, batch, with_vectors=list(vectors) or False)
            found.update((point.id, point) for point in map(to_point, records))
        return {id: found[id] for id in ids if id in found}

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        return batches(self._every_point(vectors, min(page, self._points_at_once(vectors)), to_filter(filter)), page)

    def _every_point(self, vectors: Sequence[str], limit: int, wanted: models.Filter | None) -> Iterator[Point]:
        ask, named, offset = self._client.scroll, list(vectors) or False, None
        while True:
            found, offset = self._ask(ask, self.name, wanted, limit, offset=offset, with_vectors=named)
            yield from map(to_point, found)
            if offset is None:
                return

    def count(self, filter: Filter = Filter()) -> int:
        return self._ask(self._client.count, self.name, to_filter(filter), exact=True).count

    def _facet(self, field: str) -> dict[str, int]:
        try:
            found = self._ask(self._client.facet, self.name, field, limit=1_000_000, exact=True)
        except StoreError as error:
            if field == KEYWORDS and error.__cause__ and status_of(error.__cause__) == NO_INDEX:
                return {}
            raise
        return {str(hit.value): hit.count for hit in found.hits}

    def save(self, metadata: CollectionMetadata) -> None:
        self._requests.set_metadata(self.name, METADATA_KEY, metadata.to_json())
        self.metadata = metadata

    def write_file(self, name: str, data: bytes) -> None:
        self._files.write(name, data)

    def remove_file(self, name: str) -> None:
        self._files.remove(name)

    def read_file(self, name: str) -> bytes | None:
        return self._files.read(name)

    def index(self, quantize: bool | None = None) -> bool:
        """Let the server build a graph; it answers meanwhile, and keeps the graph up with what comes later.

        How much memory the server has is not known here, so it keeps codes only where ``quantize`` says so.
        """
        if self.metadata.kind != "pictures" or self.count() <= GRAPH_FROM:
            return False
        had = is_quantized(self._ask(self._client.get_collection, self.name))
        if not self._has_graph or quantize not in (None, had):
            note(f"the server builds a search graph of {self.name!r}; it answers meanwhile")
            params = graph_params(self.metadata.vectors, quantize)
            self._ask(self._client.update_collection, self.name, vectors_config=params)
            del self._has_graph
        return False  # it is not known when it is built

    def close(self) -> None:
        """Nothing to release."""

    def _bytes_of(self, vectors: Iterable[str]) -> int:
        return NUMBER_BYTES * sum(self.metadata.vectors.get(name, 0) for name in vectors) + POINT_BYTES

    def _points_at_once(self, vectors: Sequence[str]) -> int:
        return max(1, MESSAGE_BYTES // self._bytes_of(vectors))
