"""One collection on a server. Search is exact or by a graph, by size, as in the embedded store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from ingest.errors import CollectionNotFound, StoreError
from ingest.records import KEYWORDS, CollectionMetadata
from ingest.stores import (
    GRAPH_FROM,
    SCROLL_PAGE,
    TIE_MARGIN,
    Begin,
    Collection,
    Filter,
    Hit,
    Point,
    SparseVector,
    Vector,
    batches,
)
from ingest.stores.server.conversion import (
    graph_params,
    has_graph,
    is_quantized,
    payload_indexes,
    search_params,
    strict_mode,
    to_filter,
    to_payload,
    to_point,
    to_sparse,
    to_struct,
)
from ingest.stores.server.files import KeptFiles
from ingest.stores.server.health import health_of
from ingest.stores.server.lease import LEASE_FIELD, BorrowedLease, Lease, PartLeases
from ingest.stores.server.models import models
from ingest.stores.server.older import OlderFiles
from ingest.stores.server.records import METADATA, Records, with_vector
from ingest.stores.server.requests import Requests, checked, has_status
from ingest.stores.server.rest import Json
from model.system.events import note, progress

NO_INDEX = 400
"""The status of what wants a payload index, in a collection that is older than it."""

MOST_VALUES = 1_000_000
"""Of a payload field: labels, folders."""

FRESH_SECONDS = 1.0
"""What the server says of the collection, of which each search wants to know, is asked again after this long."""


LOOK_SECONDS = 0.5
LOOKS = 3
"""One after the other that find a server at rest: it begins a moment after it is told to."""

P = ParamSpec("P")
T = TypeVar("T")


class ServerCollection(Collection):
    """Nothing is held open for it: the connections are the store's.

    Args:
        kept: the files that were written with it and not removed, by name, with their SHA-256.
        older: those files, where an earlier version made it and nobody has written it since.
        lease: gives the lease that this process holds of it now, if it does: without it nothing more is written.
    """

    def __init__(
        self,
        requests: Requests,
        name: str,
        metadata: CollectionMetadata,
        lease: Callable[[], Lease | PartLeases | BorrowedLease | None],
        kept: Mapping[str, str],
        older: OlderFiles | None = None,
    ) -> None:
        self.name = name
        self.metadata = metadata
        self._requests = requests
        self._ask = requests.ask
        self._client = requests.client
        self._records = Records(requests, name)
        self._files = KeptFiles(requests, name)
        self._last_info: tuple[float, Any] = 0.0, None
        self._is_capped = False
        self._older = older
        self._kept = dict(kept)
        self._removed = set[str]()
        self._lease = lease
        self._pictures = with_vector(next(iter(metadata.vectors)))

    @contextmanager
    def writing_ahead(self) -> Iterator[Begin]:
        with self._requests.in_flight() as begin:
            yield begin

    def _check_lease(self) -> None:
        if lease := self._lease():
            lease.check()

    def _leased(self, call: Callable[P, T]) -> Callable[P, T]:
        """A call that writes; each time that it is tried, the lease must be ours still."""
        return checked(call, self._check_lease)

    @property
    def _info(self) -> Any:
        """What the server says of it now."""
        asked_at, info = self._last_info
        if info is None or time.monotonic() - asked_at > FRESH_SECONDS:
            info = self._ask(self._client.get_collection, self.name)
            self._last_info = time.monotonic(), info
        return info

    def _at_most(self, wanted: int, needed: int) -> int:
        """``wanted``, or as many as strict mode lets one request have; said once where that is less than ``needed``."""
        most = int(strict_mode(self._info).get("max_query_limit") or wanted)
        if most < needed and not self._is_capped:
            self._is_capped = True
            note(
                f"the server gives at most {most} answers of {self.name!r} at once (max_query_limit of its strict "
                "mode): what is further down is not seen"
            )
        return min(wanted, most)

    def make_indexes(self) -> None:
        """Make the payload indexes that are missing, as they are where a run ended while it made them."""
        there = self._ask(self._client.get_collection, self.name).payload_schema
        indexes = {**payload_indexes(self.metadata.kind), LEASE_FIELD: models.PayloadSchemaType.KEYWORD}
        for field, schema in indexes.items():
            if field not in there:
                self._ask(self._client.create_payload_index, self.name, field, schema, wait=True)

    @property
    def has_name_index(self) -> bool:
        return "path" in self._ask(self._client.get_collection, self.name).payload_schema

    def _upsert(self, points: Sequence[Point]) -> None:
        self._requests.upsert(self.name, map(to_struct, points), self._check_lease)

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        pairs = zip(ids, matrix, strict=True)
        self._update([{"id": str(id), "vector": {name: row}} for id, row in pairs])

    def _set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None:
        written = {str(id): payload for id, payload in payloads.items()}
        self._requests.overwrite_payloads(self.name, written, self._check_lease)

    def _set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None:
        self._update([{"id": str(id), "vector": {name: to_sparse(v)}} for id, v in vectors.items()])

    def _update(self, updates: Sequence[Json]) -> None:
        try:
            self._requests.update_vectors(self.name, updates, self._check_lease)
        except CollectionNotFound as error:
            self._requests.metadata(self.name)  # raises the same where it is the collection that is gone
            raise StoreError(f"collection {self.name!r} has lost a point while it was changed: run again") from error

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        info = self._info
        is_exact = exact or not has_graph(info)
        params = search_params(limit, self.metadata.search_width, exact=is_exact, strict=strict_mode(info))
        return self._query(vector.tolist(), using, limit, filter, params)

    def _search_sparse(self, using: str, vector: SparseVector, limit: int, filter: Filter) -> list[Hit]:
        return self._query(to_sparse(vector), using, limit, filter, {"exact": True})

    def _query(self, query: object, using: str, limit: int, filter: Filter, params: Json) -> list[Hit]:
        found = self._ask(
            self._client.query_points,
            self.name,
            query,
            using=using,
            query_filter=to_filter(filter),
            limit=self._at_most(limit, limit - TIE_MARGIN),
            search_params=params,
        ).points
        return [Hit(UUID(str(point.id)), point.score, to_payload(point)) for point in found]

    def delete(self, ids: Sequence[UUID]) -> None:
        for batch in batches(map(str, ids), SCROLL_PAGE):
            self._ask(self._leased(self._client.delete), self.name, [*batch], wait=True)

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        found: dict[UUID, Point] = {}
        for batch in batches(map(str, ids), self._requests.points_at_once(self._numbers_of(vectors))):
            records = self._ask(self._client.retrieve, self.name, batch, with_vectors=list(vectors) or False)
            found.update((point.id, point) for point in map(to_point, records))
        return {id: found[id] for id in ids if id in found}

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        limit = self._requests.points_at_once(self._numbers_of(vectors), in_bulk=True) if vectors else page
        limit = self._at_most(limit, 0)
        pages = self._requests.pages(self.name, self._among(filter), limit, vectors)
        return batches((to_point(record) for records in pages for record in records), page)

    def _among(self, filter: Filter) -> Json:
        """A filter that passes no record beside the pictures, or words."""
        wanted = to_filter(filter)
        return {"must": [wanted, self._pictures]} if wanted else self._pictures

    def count(self, filter: Filter = Filter()) -> int:
        found: int = self._ask(self._client.count, self.name, self._among(filter), exact=True).count
        return found

    def _facet(self, field: str) -> dict[str, int]:
        try:
            limit = self._at_most(MOST_VALUES, 0)
            found = self._ask(self._client.facet, self.name, field, limit=limit, exact=True)
        except StoreError as error:
            if field == KEYWORDS and has_status(error, NO_INDEX):
                return {}
            raise
        self._at_most(MOST_VALUES, len(found.hits) + 1)
        return {str(hit.value): hit.count for hit in found.hits}

    def save(self, metadata: CollectionMetadata) -> None:
        """As every store; what runs over other parts of the dataset have recorded meanwhile of their files stays."""
        self._check_lease()

        def changed(there: Mapping[str, Any]) -> Mapping[str, Any]:
            theirs = {name: sha256 for name, sha256 in there.get("files", {}).items() if name not in self._removed}
            return {**there, "record": metadata.to_json(), "files": {**theirs, **self._kept}}

        self._records.change(METADATA, changed)
        self.metadata = metadata

    def write_file(self, name: str, data: bytes) -> None:
        """As every store; that it must be there is recorded by the next `save`."""
        self._check_lease()
        self._kept[name] = self._files.write(name, data)
        self._removed.discard(name)

    def remove_file(self, name: str) -> None:
        self._check_lease()
        self._files.remove(name)
        self._kept.pop(name, None)
        self._removed.add(name)

    def read_file(self, name: str) -> bytes | None:
        if self._older:
            return self._older.read(name)
        return self._files.read(name, is_kept=name in self._kept)

    def kept_files(self) -> list[str]:
        return sorted(self._older.names() if self._older else self._kept)

    def lost_files(self) -> list[str]:
        return [name for name in self._kept if self._files.is_lost(name)]

    def index(self, quantize: bool | None = None) -> bool:
        """Let the server build a graph, which it keeps up with what comes later, and wait for it.

        How much memory the server has is not known here, so it keeps codes only where ``quantize`` says so.
        """
        if self.metadata.kind != "pictures" or self.count() <= GRAPH_FROM:
            return False
        info = self._ask(self._client.get_collection, self.name)
        if has_graph(info) and quantize in (None, is_quantized(info)):
            return False
        params = graph_params(self.metadata.vectors, quantize)
        self._ask(self._leased(self._client.update_collection), self.name, vectors_config=params)
        self._wait_for_graph()
        return True

    def _wait_for_graph(self) -> None:
        """Until the server has nothing to do; segments that are too small for a graph stay without one."""
        looks_green, done = 0, 0
        total = self.count() * (len(self.metadata.vectors) + len(self.metadata.sparse))  # the server counts all kinds
        with progress("the server builds the search graph, and answers meanwhile", total, unit="vectors") as shown:
            while looks_green < LOOKS:
                time.sleep(LOOK_SECONDS)
                info = self._requests.info(self.name)
                indexed = min(total, info.indexed_vectors_count or 0)
                shown.advance(max(0, indexed - done))
                done = max(done, indexed)
                if info.status == "red":
                    error = health_of(self._client, self.name, info).error
                    raise StoreError(f"the server's optimizer failed: {error or 'its log tells why'}")
                looks_green = looks_green + 1 if info.status == "green" else 0
        self._last_info = 0.0, None

    def close(self) -> None:
        """Nothing to release."""

    def _numbers_of(self, vectors: Sequence[str]) -> int:
        return sum(self.metadata.vectors.get(name, 0) for name in vectors)
