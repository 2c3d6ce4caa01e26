"""The server store: the same collections on a Qdrant server, for several machines or more than one writer.

A collection ``name`` is::

    name           the points; its metadata holds `CollectionMetadata`, and of each file kept its SHA-256 and size
    name--files    parts of those files, base64 in payloads: another machine finds them here too

That and each file have a metadata key of their own: the server replaces whole keys, so two commands
that change different ones do not undo each other. Search is exact or by a graph as it is embedded, by size.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from qdrant_client import QdrantClient, models
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ingest.errors import CollectionNotFound, StoreDamaged, StoreError, StoreUnreachable
from ingest.records import CollectionMetadata, stable_id
from ingest.stores import GRAPH_FROM, SCROLL_PAGE, Collection, Filter, Hit, Point, Store, Summary, Vector, batches
from ingest.stores.server.conversion import (
    graph_params,
    has_graph,
    is_quantized,
    search_params,
    to_filter,
    to_point,
    vector_params,
)
from ingest.stores.server.fault import FOREIGN, TOO_LARGE, is_passing, reason_of, status_of, translated
from ingest.stores.server.lease import lease
from model.errors import UsageError
from model.system.events import note

METADATA_KEY = "wordsight"
WRITER_KEY = "wordsight-writer"
FILE_KEY = "wordsight-file:"
FILES_OF_KEY = "wordsight-files-of"
FILES_SUFFIX = "--files"
OLDEST_SERVER = (1, 16)  # the first with collection metadata
TIMEOUT_SECONDS = 30
ATTEMPTS = 5
RETRY_WAIT = wait_exponential(multiplier=1, max=10)
MESSAGE_BYTES = 4 * 2**20  # of a request or an answer: far below the 32 MB a server takes, soon sent again
PART_BYTES = 2**18  # of a file: a third more as base64, and a proxy may take no more than 1 MB
OLDER_PART_BYTES = 2**20  # of a file whose record does not say
POINT_BYTES = 1024  # of a point beside its numbers: id, punctuation and, in answers, the payload
NUMBER_BYTES = 24  # of a float32 as JSON at its longest: -1.1754943508222875e-38,
ON_DISK_WIDTH = 1024  # from here on, vectors stay on the server's disk and pass through its page cache

P = ParamSpec("P")
T = TypeVar("T")


def connect(url: str, api_key: str | None) -> ServerStore:
    """The store of the server at ``url``, once it has answered.

    Raises:
        UsageError: ``url`` is no address.
        StoreUnreachable: nothing answers there, or the API key is refused.
        StoreError: the server is too old.
    """
    with warnings.catch_warnings():
        # Usual on one's own machine; elsewhere the network is the user's to judge.
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
        try:
            client = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=TIMEOUT_SECONDS,
                prefer_grpc=os.environ.get("QDRANT_PREFER_GRPC") == "1",
                check_compatibility=False,  # it warns from a thread of its own, and explains nothing
            )
        except ValueError as error:
            raise UsageError(f"{url!r} is no address of a Qdrant server: write http://HOST:6333") from error
    try:
        _check_server(client, url)
    except BaseException:
        client.close()
        raise
    return ServerStore(client, url)


def _check_server(client: QdrantClient, url: str) -> None:
    try:
        version = client.info().version
        if _minor(version) < OLDEST_SERVER:
            raise StoreError(f"the Qdrant server at {url} is version {version}: upgrade it to 1.16 or newer")
        client.get_collections()  # the version is told to anybody, this only with the right key
    except ValueError as error:
        raise StoreError(f"what answers at {url} is no Qdrant server: check the address") from error
    except FOREIGN as error:
        if not is_passing(error):
            raise translated(error, url) from error
        way_out = "start one with `docker compose up -d`, or leave the URL out to use the embedded store"
        raise StoreUnreachable(f"no Qdrant server answers at {url} ({reason_of(error)}): {way_out}") from error
    ours = importlib.metadata.version("qdrant-client")
    (major, minor), (our_major, our_minor) = _minor(version), _minor(ours)
    if major != our_major or abs(minor - our_minor) > 1:
        logging.getLogger("wordsight").warning(
            "the Qdrant server at %s is version %s, the client %s: they should be at most one minor apart",
            *(url, version, ours),
        )


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


class ServerStore(Store):
    """Collections on a server; those without our metadata are not ours, and left alone."""

    def __init__(self, client: QdrantClient, where: str) -> None:
        self.client = client
        self.where = where
        self.message_bytes = MESSAGE_BYTES

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the client, again after passing failures; its errors become kinds of StoreError."""
        passing = retry_if_exception(is_passing)
        retrying = Retrying(stop=stop_after_attempt(ATTEMPTS), wait=RETRY_WAIT, retry=passing, reraise=True)
        try:
            return retrying(call, *args, **kwargs)
        except FOREIGN as error:
            raise translated(error, self.where) from error

    def raw_metadata(self, name: str) -> Mapping[str, Any]:
        """Of any collection, ours or not; raises CollectionNotFound."""
        return self.ask(self.client.get_collection, name).config.metadata or {}

    def make(self, name: str, vectors: dict[str, models.VectorParams], key: str, value: object) -> None:
        """Make a collection; one with that metadata may be there, from a request whose answer was lost."""
        create, metadata = self.client.create_collection, {key: value}
        try:
            self.ask(create, name, vectors_config=vectors, metadata=metadata, on_disk_payload=True)
        except StoreError as error:
            there = error.__cause__ is not None and status_of(error.__cause__) == 409
            if not there or self.raw_metadata(name).get(key) != json.loads(json.dumps(value)):
                raise

    def names(self) -> list[str]:
        listed = self.ask(self.client.get_collections).collections
        return sorted(collection.name for collection in listed if self._is_ours(collection.name))

    def _is_ours(self, name: str) -> bool:
        with suppress(CollectionNotFound):  # dropped since it was listed
            return METADATA_KEY in self.raw_metadata(name)
        return False

    def metadata(self, name: str) -> CollectionMetadata:
        try:
            return CollectionMetadata.from_json(self.raw_metadata(name).get(METADATA_KEY, {}), name)
        except CollectionNotFound:
            raise self.not_found(name) from None

    def summary(self, name: str) -> Summary:
        collection = self.open(name)
        points = collection.count()
        info = self.ask(self.client.get_collection, name)
        return Summary(name, collection.metadata, points, None, points if has_graph(info) else 0, is_quantized(info))

    def open(self, name: str, *, write: bool = False) -> ServerCollection:
        """Open a collection. A server takes several writers, so ``write`` keeps nobody out."""
        collection = ServerCollection(self, name, self.metadata(name))
        if write:
            collection.make_indexes()
        return collection

    def writing(self, name: str) -> AbstractContextManager[None]:
        def write(mark: object) -> None:
            self.ask(self.client.update_collection, name, metadata={WRITER_KEY: mark})

        return lease(name, lambda: self.raw_metadata(name).get(WRITER_KEY), write)

    def create(self, name: str, metadata: CollectionMetadata) -> ServerCollection:
        """Make an empty collection; raises StoreError where there is one of that name, ours or not."""
        self.make(name, vector_params(metadata.vectors, ON_DISK_WIDTH), METADATA_KEY, metadata.to_json())
        collection = ServerCollection(self, name, metadata)
        collection.make_indexes()
        return collection

    def drop(self, name: str) -> None:
        self.metadata(name)  # not ours, not ours to remove
        self.ask(self.client.delete_collection, name)
        with suppress(CollectionNotFound):  # no file was ever kept with it
            if self.raw_metadata(name + FILES_SUFFIX).get(FILES_OF_KEY) == name:
                self.ask(self.client.delete_collection, name + FILES_SUFFIX)

    def close(self) -> None:
        self.client.close()


class ServerCollection(Collection):
    """One collection; nothing is held open for it."""

    def __init__(self, store: ServerStore, name: str, metadata: CollectionMetadata) -> None:
        self.name = name
        self.metadata = metadata
        self._store = store
        self._ask = store.ask
        self._client = store.client

    @cached_property
    def _has_graph(self) -> bool:
        return has_graph(self._ask(self._client.get_collection, self.name))

    def make_indexes(self) -> None:
        """Make the payload indexes that are missing, as they are where a run ended while it made them."""
        there = self._ask(self._client.get_collection, self.name).payload_schema
        keyword = models.PayloadSchemaType.KEYWORD
        for field in {"label", "folders"}.difference(there):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)  # local mode
                self._ask(self._client.create_payload_index, self.name, field, keyword, wait=True)

    def _upsert(self, points: Sequence[Point]) -> None:
        size = self._bytes_of(self.metadata.vectors)
        for batch in self._by_bytes(points, lambda point: size + len(json.dumps(point.payload))):
            structs = [
                models.PointStruct(
                    id=str(point.id),
                    vector={name: vector.tolist() for name, vector in point.vectors.items()},
                    payload=dict(point.payload),
                )
                for point in batch
            ]
            self._send(self._client.upsert, self.name, structs)

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        size = self._bytes_of([name])
        for batch in self._by_bytes(zip(ids, matrix, strict=True), lambda _: size):
            updates = [models.PointVectors(id=str(id), vector={name: row.tolist()}) for id, row in batch]
            self._send(self._client.update_vectors, self.name, updates)

    def _send(self, call: Callable[..., object], name: str, batch: list[Any]) -> None:
        """Write a batch; where a proxy before the server finds it too large, in halves, and smaller from then on."""
        try:
            self._ask(call, name, batch, wait=True)
        except StoreError as error:
            if len(batch) == 1 or error.__cause__ is None or status_of(error.__cause__) != TOO_LARGE:
                raise
            self._store.message_bytes //= 2
            middle = len(batch) // 2
            self._send(call, name, batch[:middle])
            self._send(call, name, batch[middle:])

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        ask, query, wanted = self._client.query_points, vector.tolist(), to_filter(filter)
        params = search_params(limit, exact=exact) if self._has_graph else None
        found = self._ask(
            ask, self.name, query, using=using, query_filter=wanted, limit=limit, search_params=params
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
        found = self._ask(self._client.facet, self.name, field, limit=1_000_000, exact=True)
        return {str(hit.value): hit.count for hit in found.hits}

    def save(self, metadata: CollectionMetadata) -> None:
        self._ask(self._client.update_collection, self.name, metadata={METADATA_KEY: metadata.to_json()})
        self.metadata = metadata

    def write_file(self, name: str, data: bytes) -> None:
        """Its parts first, then its name, then away with the old parts: readers see one version, whole."""
        side = self.name + FILES_SUFFIX
        self._store.make(side, {}, FILES_OF_KEY, self.name)
        old = self._store.raw_metadata(self.name).get(FILE_KEY + name)
        new = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "part": PART_BYTES}
        starts = range(0, len(data), PART_BYTES)
        encoded = (base64.b64encode(data[start : start + PART_BYTES]).decode() for start in starts)
        for batch in self._by_bytes(zip(_part_ids(name, new), encoded, strict=True), lambda part: len(part[1])):
            structs = [models.PointStruct(id=id, vector={}, payload={"data": text}) for id, text in batch]
            self._send(self._client.upsert, side, structs)
        self._ask(self._client.update_collection, self.name, metadata={FILE_KEY + name: new})
        if old and old != new and (parts := _part_ids(name, old)):
            self._ask(self._client.delete, side, [*parts], wait=True)

    def remove_file(self, name: str) -> None:
        if record := self._store.raw_metadata(self.name).get(FILE_KEY + name):
            self._ask(self._client.update_collection, self.name, metadata={FILE_KEY + name: None})
            if parts := _part_ids(name, record):
                self._ask(self._client.delete, self.name + FILES_SUFFIX, [*parts], wait=True)

    def read_file(self, name: str) -> bytes | None:
        for _ in range(2):  # a writer may replace the file between its name and its parts
            record = self._store.raw_metadata(self.name).get(FILE_KEY + name)
            if record is None:
                return None
            data = self._read_parts(_part_ids(name, record))
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return data
        there = f"{name!r} of collection {self.name!r} on {self._store.where}"
        raise StoreDamaged(f"{there} is damaged: drop the collection and run `ingest run` again")

    def _read_parts(self, ids: list[str]) -> bytes:
        texts: dict[str, str] = {}
        for batch in batches(ids, MESSAGE_BYTES // PART_BYTES):
            found = self._ask(self._client.retrieve, self.name + FILES_SUFFIX, batch)
            texts.update((str(part.id), (part.payload or {})["data"]) for part in found)
        return b"".join(base64.b64decode(texts.get(id, "")) for id in ids)

    def index(self, quantize: bool | None = None) -> None:
        """Let the server build a graph; it answers meanwhile, and keeps the graph up with what comes later.

        How much memory the server has is not known here, so it keeps codes only where ``quantize`` says so.
        """
        if self.metadata.kind != "pictures" or self.count() <= GRAPH_FROM:
            return
        had = is_quantized(self._ask(self._client.get_collection, self.name))
        if not self._has_graph or quantize not in (None, had):
            note(f"the server builds a search graph of {self.name!r}; it answers meanwhile")
            params = graph_params(self.metadata.vectors, quantize)
            self._ask(self._client.update_collection, self.name, vectors_config=params)
            del self._has_graph

    def close(self) -> None:
        """Nothing to let go of: the connections are the store's."""

    def _bytes_of(self, vectors: Iterable[str]) -> int:
        return NUMBER_BYTES * sum(self.metadata.vectors.get(name, 0) for name in vectors) + POINT_BYTES

    def _by_bytes(self, items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
        """Lists of items of up to `MESSAGE_BYTES` together, of one item where that alone is more."""
        batch: list[T] = []
        size = 0
        for item in items:
            more = size_of(item)
            if batch and size + more > self._store.message_bytes:
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += more
        if batch:
            yield batch

    def _points_at_once(self, vectors: Sequence[str]) -> int:
        return max(1, MESSAGE_BYTES // self._bytes_of(vectors))


def _part_ids(name: str, record: Mapping[str, Any]) -> list[str]:
    """The point ids of a file's parts, new ones for new content."""
    starts = range(0, record["size"], record.get("part", OLDER_PART_BYTES))
    return [str(stable_id(f"{name}/{record['sha256']}/{start}")) for start in starts]
