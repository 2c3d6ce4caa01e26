"""The server store: the same collections on a Qdrant server, for several machines or more than one writer.

A collection ``name`` is::

    name           the points; its metadata holds the facts, and of each file kept its SHA-256 and size
    name--files    parts of those files, base64 in payloads: another machine finds them here too

The facts and each file have a metadata key of their own: the server replaces whole keys, so that two
commands that change different ones do not undo each other. Search is exact, as it is embedded.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID, uuid5

import grpc
import httpx
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from urllib3.util import parse_url

from ingest.store import SCROLL_PAGE, Collection, Facts, Filter, Hit, Point, Store, Summary, Vector, batches
from model.errors import CollectionNotFound, StoreDamaged, StoreError, StoreUnreachable, UsageError

FACTS_KEY = "wordsight"
FILE_KEY = "wordsight-file:"
FILES_OF_KEY = "wordsight-files-of"
FILES_SUFFIX = "--files"
INDEXED = ("label", "folders")

TIMEOUT_SECONDS = 30
OLDEST_SERVER = (1, 16)
"""The first with collection metadata."""

ATTEMPTS = 5
RETRY_WAIT = wait_exponential(multiplier=1, max=10)

REQUEST_BYTES = 4 * 2**20
"""Of one request, estimated: far below the 32 MB a server takes, and soon sent again after a failure."""

RESPONSE_BYTES = 16 * 2**20
NUMBER_BYTES = 24
"""A float32 as JSON at its longest, ``-1.1754943508222875e-38,``."""

PAYLOAD_BYTES = 2048
IDS_IN_REQUEST = 10_000
PART_BYTES = 2**20
ON_DISK_WIDTH = 1024
"""From this width on, vectors stay on the server's disk and pass through its page cache."""

PARTS = UUID("3b1b5c0e-8a59-5d0c-9f0e-0a4c6d1d7f52")
"""Of the version-5 UUIDs that are ids of file parts: any fixed value of our own."""

P = ParamSpec("P")
T = TypeVar("T")

_FOREIGN = (ApiException, QdrantException, grpc.RpcError, httpx.HTTPError, ValueError, KeyError, RuntimeError)
"""What a client raises. The last three come of its local mode, which stands for a server in tests."""

_HTTP_OF_GRPC = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_NO_ANSWER = 503
_REFUSED = 400


def connect(url: str, api_key: str | None) -> ServerStore:
    """The store of the server at ``url``, once it has answered.

    Raises:
        UsageError: ``url`` is no address.
        StoreUnreachable: nothing answers there, or the API key is refused.
        StoreError: the server is too old.
    """
    try:
        client = _client(url, api_key)
    except ValueError as error:
        raise UsageError(f"{url!r} is no address of a Qdrant server: write http://HOST:6333") from error
    try:
        _check_server(client, url)
    except BaseException:
        client.close()
        raise
    return ServerStore(client, url)


def _client(url: str, api_key: str | None) -> QdrantClient:
    if parse_url(url).host is None:
        raise ValueError(url)
    with warnings.catch_warnings():
        # A key over http is as safe as the network is: usual on one's own machine, and not ours to judge.
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
        return QdrantClient(
            url=url,
            api_key=api_key,
            timeout=TIMEOUT_SECONDS,
            prefer_grpc=os.environ.get("QDRANT_PREFER_GRPC") == "1",
            check_compatibility=False,  # it warns from a thread, when the first requests have failed already
        )


def _check_server(client: QdrantClient, url: str) -> None:
    try:
        version = client.info().version
        if _minor(version) < OLDEST_SERVER:
            oldest = ".".join(map(str, OLDEST_SERVER))
            raise StoreError(
                f"the Qdrant server at {url} is version {version}: upgrade it to {oldest} or newer"
            )
        client.get_collections()  # the version is told to anybody, this only with the right key
    except _FOREIGN as error:
        if _status(error) in (401, 403) or not _is_passing(error):
            raise _translated(error, url) from error
        raise StoreUnreachable(
            f"no Qdrant server answers at {url} ({_reason(error)}): start one with `docker compose up -d`, "
            "or leave the URL out to use the embedded store"
        ) from error
    ours = importlib.metadata.version("qdrant-client")
    (major, minor), (our_major, our_minor) = _minor(version), _minor(ours)
    if major != our_major or abs(minor - our_minor) > 1:
        logging.getLogger("wordsight").warning(
            "the Qdrant server at %s is version %s and the client %s: more than one minor version apart is "
            "not tested by Qdrant",
            url,
            version,
            ours,
        )


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"version {version!r} is none of Qdrant's")
    return int(found[1]), int(found[2])


def _status(error: BaseException) -> int:
    """The HTTP status an error amounts to, whichever way it came."""
    if isinstance(error, UnexpectedResponse):
        already = error.status_code == _REFUSED and b"already exists" in error.content
        return 409 if already else error.status_code or _REFUSED
    if isinstance(error, ResponseHandlingException):
        return _NO_ANSWER if isinstance(error.source, httpx.TransportError) else _REFUSED
    if isinstance(error, ResourceExhaustedResponse):
        return 429
    if isinstance(error, grpc.RpcError):
        return _HTTP_OF_GRPC.get(error.code(), _REFUSED)
    if isinstance(error, httpx.TransportError):
        return _NO_ANSWER
    if isinstance(error, ValueError):
        return 404 if "not found" in str(error) else 409 if "already exists" in str(error) else _REFUSED
    return _REFUSED


def _is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    return isinstance(error, _FOREIGN) and (_status(error) == 429 or _status(error) >= 500)


def _reason(error: BaseException) -> str:
    said: object = error
    if isinstance(error, ResponseHandlingException):
        said = error.source
        if not isinstance(said, httpx.TransportError):
            return "its answer is none of Qdrant's"
    elif isinstance(error, grpc.RpcError):
        said = error.details()
    elif isinstance(error, UnexpectedResponse):
        try:
            said = error.structured()["status"]["error"]
        except (ValueError, KeyError, TypeError):
            said = f"{error.status_code} {error.reason_phrase}"
    return " ".join(str(said).split())[:160] or type(said).__name__


def _translated(error: BaseException, where: str) -> StoreError:
    status, reason = _status(error), _reason(error)
    if status in (401, 403):
        return StoreUnreachable(
            f"the Qdrant server at {where} refuses the API key ({reason}): set QDRANT_API_KEY"
        )
    if status == 404 and "ollection" in reason:
        return CollectionNotFound(f"the collection is no longer on the Qdrant server at {where} ({reason})")
    if _is_passing(error):
        return StoreUnreachable(
            f"the Qdrant server at {where} does not answer ({reason}): what it acknowledged stays, "
            "run the same command again when it is back"
        )
    return StoreError(f"the Qdrant server at {where} refuses a request: {reason}")


class _Server:
    """A client whose calls are tried again after passing failures, and fail with our own errors."""

    def __init__(self, client: QdrantClient, where: str) -> None:
        self.client = client
        self.where = where

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises StoreUnreachable, CollectionNotFound or StoreError."""
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=RETRY_WAIT,
            retry=retry_if_exception(_is_passing),
            reraise=True,
        )
        try:
            return retrying(call, *args, **kwargs)
        except _FOREIGN as error:
            raise _translated(error, self.where) from error

    def metadata(self, name: str) -> Mapping[str, Any]:
        """Raises CollectionNotFound where there is none of that name, ours or not."""
        return self.ask(self.client.get_collection, name).config.metadata or {}

    def create(
        self, name: str, vectors: dict[str, models.VectorParams], metadata: dict[str, Any], key: str
    ) -> None:
        """Make a collection; one with the same metadata under ``key`` may be there already.

        That is so when the server made it and its answer was lost, and the request then sent again.
        """
        try:
            self.ask(
                self.client.create_collection,
                name,
                vectors_config=vectors,
                metadata=metadata,
                on_disk_payload=True,
            )
        except StoreError as error:
            there = error.__cause__ is not None and _status(error.__cause__) == 409
            if not there or self.metadata(name).get(key) != metadata[key]:
                raise


class ServerStore(Store):
    """Collections on a server; those without our metadata are not ours, and left alone."""

    def __init__(self, client: QdrantClient, where: str) -> None:
        self.where = where
        self._server = _Server(client, where)

    def names(self) -> list[str]:
        return sorted(name for name, _ in self._ours())

    def _ours(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        listed = self._server.ask(self._server.client.get_collections).collections
        for name in [collection.name for collection in listed]:
            try:
                metadata = self._server.metadata(name)
            except CollectionNotFound:  # dropped since it was listed
                continue
            if FACTS_KEY in metadata:
                yield name, metadata

    def collections(self) -> dict[str, Facts]:
        every = (
            (name, Facts.from_json(metadata[FACTS_KEY], name)) for name, metadata in sorted(self._ours())
        )
        return {name: facts for name, facts in every if facts.kind == "pictures"}

    def facts(self, name: str) -> Facts:
        try:
            return Facts.from_json(self._server.metadata(name).get(FACTS_KEY, {}), name)
        except CollectionNotFound:
            raise self.not_found(name) from None

    def summary(self, name: str) -> Summary:
        with self.open(name) as collection:
            return Summary(name, collection.facts, collection.count(), None)

    def open(self, name: str, *, write: bool = False) -> ServerCollection:
        """Open a collection. A server takes several writers, so ``write`` keeps nobody out."""
        collection = ServerCollection(self._server, name, self.facts(name))
        if write:
            collection.make_indexes()
        return collection

    def create(self, name: str, facts: Facts) -> ServerCollection:
        """Make an empty collection.

        Raises:
            StoreError: there is one of that name, ours or not.
        """
        vectors = {
            vector: models.VectorParams(
                size=width,
                distance=models.Distance.COSINE,
                on_disk=width >= ON_DISK_WIDTH,
                hnsw_config=models.HnswConfigDiff(m=0),  # no graph: every answer is that of a full comparison
            )
            for vector, width in facts.vectors.items()
        }
        self._server.create(name, vectors, {FACTS_KEY: facts.to_json()}, FACTS_KEY)
        collection = ServerCollection(self._server, name, facts)
        collection.make_indexes()
        return collection

    def drop(self, name: str) -> None:
        self.facts(name)  # not ours, not ours to remove
        self._server.ask(self._server.client.delete_collection, name)
        try:
            if self._server.metadata(name + FILES_SUFFIX).get(FILES_OF_KEY) == name:
                self._server.ask(self._server.client.delete_collection, name + FILES_SUFFIX)
        except CollectionNotFound:  # no file was ever kept with it
            return

    def close(self) -> None:
        self._server.client.close()


class ServerCollection(Collection):
    """One collection; nothing is held open for it."""

    def __init__(self, server: _Server, name: str, facts: Facts) -> None:
        self.name = name
        self.facts = facts
        self._server = server
        self._client = server.client

    def make_indexes(self) -> None:
        """Make the payload indexes that are missing, as they are where a run ended while it made them."""
        there = self._server.ask(self._client.get_collection, self.name).payload_schema
        for field in INDEXED:
            if field not in there:
                with warnings.catch_warnings():
                    warnings.filterwarnings(
                        "ignore", "Payload indexes have no effect", UserWarning
                    )  # local mode
                    self._server.ask(
                        self._client.create_payload_index, self.name, field, models.PayloadSchemaType.KEYWORD
                    )

    def _upsert(self, points: Sequence[Point]) -> None:
        def size_of(point: Point) -> int:
            return self._point_bytes(point.vectors) + len(json.dumps(point.payload))

        for batch in _by_bytes(points, size_of):
            structs = [
                models.PointStruct(
                    id=str(point.id),
                    vector={name: vector.tolist() for name, vector in point.vectors.items()},
                    payload=dict(point.payload),
                )
                for point in batch
            ]
            self._server.ask(self._client.upsert, self.name, structs, wait=True)

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        rows = zip(ids, matrix, strict=True)
        for batch in _by_bytes(rows, lambda row: self._point_bytes([name])):
            updates = [models.PointVectors(id=str(id), vector={name: row.tolist()}) for id, row in batch]
            self._server.ask(self._client.update_vectors, self.name, updates, wait=True)

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter) -> list[Hit]:  # noqa: A002
        found = self._server.ask(
            self._client.query_points,
            self.name,
            query=vector.tolist(),
            using=using,
            query_filter=_filter(filter),
            limit=limit,
            with_payload=True,
        )
        return [Hit(UUID(str(point.id)), point.score, point.payload or {}) for point in found.points]

    def delete(self, ids: Sequence[UUID]) -> None:
        for batch in batches(map(str, ids), IDS_IN_REQUEST):
            self._server.ask(self._client.delete, self.name, batch, wait=True)

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        found: dict[UUID, Point] = {}
        for batch in batches(map(str, ids), self._points_in_response(vectors)):
            records = self._server.ask(
                self._client.retrieve,
                self.name,
                batch,
                with_payload=True,
                with_vectors=list(vectors) or False,
            )
            found.update((point.id, point) for point in map(_point, records))
        return {id: found[id] for id in ids if id in found}

    def scroll(self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE) -> Iterator[list[Point]]:
        return batches(self._every_point(vectors, page), page)

    def _every_point(self, vectors: Sequence[str], page: int) -> Iterator[Point]:
        offset: Any = None
        while True:
            found, offset = self._server.ask(
                self._client.scroll,
                self.name,
                limit=min(page, self._points_in_response(vectors)),
                offset=offset,
                with_payload=True,
                with_vectors=list(vectors) or False,
            )
            yield from map(_point, found)
            if offset is None:
                return

    def count(self, filter: Filter = Filter()) -> int:  # noqa: A002, B008 - immutable
        return self._server.ask(self._client.count, self.name, count_filter=_filter(filter), exact=True).count

    def labels(self) -> dict[str, int]:
        hits = self._server.ask(self._client.facet, self.name, "label", limit=1_000_000, exact=True).hits
        return dict(
            sorted(((str(hit.value), hit.count) for hit in hits), key=lambda item: (-item[1], item[0]))
        )

    def save(self, facts: Facts) -> None:
        self._record(FACTS_KEY, facts.to_json())
        self.facts = facts

    def _record(self, key: str, value: dict[str, Any]) -> None:
        self._server.ask(self._client.update_collection, self.name, metadata={key: value})

    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file: its parts first, then its name, so that readers see the old one whole or the new one."""
        side = self.name + FILES_SUFFIX
        self._server.create(side, {}, {FILES_OF_KEY: self.name}, FILES_OF_KEY)
        digest = hashlib.sha256(data).hexdigest()
        parts = (
            (id, base64.b64encode(data[start : start + PART_BYTES]).decode())
            for id, start in zip(_part_ids(digest, len(data)), range(0, len(data), PART_BYTES), strict=True)
        )
        for batch in _by_bytes(parts, lambda part: len(part[1])):
            structs = [models.PointStruct(id=id, vector={}, payload={"data": text}) for id, text in batch]
            self._server.ask(self._client.upsert, side, structs, wait=True)
        metadata = self._server.metadata(self.name)
        self._record(FILE_KEY + name, {"sha256": digest, "size": len(data)})
        old = metadata.get(FILE_KEY + name)
        kept = {digest} | {
            value["sha256"]
            for key, value in metadata.items()
            if key.startswith(FILE_KEY) and key != FILE_KEY + name
        }
        if old and old["size"] and old["sha256"] not in kept:
            self._server.ask(self._client.delete, side, _part_ids(old["sha256"], old["size"]), wait=True)

    def read_file(self, name: str) -> bytes | None:
        for _ in range(2):  # a writer may replace the file between its name and its parts
            record = self._server.metadata(self.name).get(FILE_KEY + name)
            if record is None:
                return None
            data = self._read_parts(_part_ids(record["sha256"], record["size"]))
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return data
        raise StoreDamaged(
            f"{name!r} of collection {self.name!r} on {self._server.where} is damaged: remove the collection "
            "and run `ingest run` again; the pictures themselves are not touched"
        )

    def _read_parts(self, ids: list[str]) -> bytes:
        texts: dict[str, str] = {}
        for batch in batches(ids, REQUEST_BYTES // PART_BYTES):
            found = self._server.ask(
                self._client.retrieve, self.name + FILES_SUFFIX, batch, with_payload=True
            )
            texts.update((str(part.id), (part.payload or {})["data"]) for part in found)
        return b"".join(base64.b64decode(texts.get(id, "")) for id in ids)

    def close(self) -> None:
        """Nothing to let go of: the connections are the store's."""

    def _point_bytes(self, vectors: Iterable[str]) -> int:
        return NUMBER_BYTES * sum(self.facts.vectors.get(name, 0) for name in vectors) + 256

    def _points_in_response(self, vectors: Sequence[str]) -> int:
        return max(1, RESPONSE_BYTES // (self._point_bytes(vectors) + PAYLOAD_BYTES))


def _part_ids(digest: str, size: int) -> list[str]:
    return [str(uuid5(PARTS, f"{digest}/{start}")) for start in range(0, size, PART_BYTES)]


def _by_bytes(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of items of up to `REQUEST_BYTES` together, of one item where that alone is more."""
    batch: list[T] = []
    size = 0
    for item in items:
        more = size_of(item)
        if batch and size + more > REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch


def _filter(filter: Filter) -> models.Filter | None:  # noqa: A002
    must: list[models.Condition] = []
    if filter.labels:
        must.append(models.FieldCondition(key="label", match=models.MatchAny(any=list(filter.labels))))
    if filter.under:
        must.append(models.FieldCondition(key="folders", match=models.MatchValue(value=filter.under)))
    without: list[models.Condition] = []
    if filter.without:
        without.append(models.HasIdCondition(has_id=[str(id) for id in filter.without]))
    return models.Filter(must=must, must_not=without) if must or without else None


def _point(record: models.Record) -> Point:
    vectors = record.vector if isinstance(record.vector, dict) else {}
    return Point(
        UUID(str(record.id)),
        {name: np.asarray(vector, np.float32) for name, vector in vectors.items()},
        record.payload or {},
    )
