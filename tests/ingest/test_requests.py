"""Requests to a Qdrant server: which are tried again, how large they get, and the errors of those that fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import grpc
import httpx
import numpy as np
import pytest
from qdrant_client import models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ingest.errors import CollectionNotFound, StoreError, StoreUnreachable
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Point
from ingest.stores.server import ServerStore, connect, connection, fault, requests
from tests.ingest.fake_qdrant import LOST, FakeQdrant, Request, collection_info, refusal

METADATA = CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00")
PATH = "/collections/a/points"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between attempts, without waiting."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    return waits


@pytest.fixture
def store(fake: FakeQdrant) -> Iterator[ServerStore]:
    store = connect(fake.url, None)
    yield store
    store.close()


def points(count: int, width: int = 4) -> list[Point]:
    matrix = np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)
    return [Point(UUID(int=i), {VISUAL: row}, {"path": f"{i}.jpg"}) for i, row in enumerate(matrix)]


@pytest.mark.parametrize(
    "failures",
    [
        [(503, refusal("overloaded")), (500, refusal("service internal error"))],
        [(LOST, None)],
        [(429, refusal("rate limited"))] * 2,
        [(504, b"")] * 4,
    ],
)
def test_passing_failures_are_tried_again(
    fake: FakeQdrant, store: ServerStore, waits: list[float], failures: list[tuple[int, Any]]
) -> None:
    with store.create("a", METADATA) as collection:
        fake.answers["PUT", PATH] = list(failures)
        collection.upsert(points(3))
    sent = fake.asked("PUT", PATH)
    assert len(sent) == len(waits) + 1 == len(failures) + 1
    assert len({request.body for request in sent}) == 1, "the same points each time"


def test_a_server_that_asks_to_wait_is_tried_again(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", METADATA)
    limited = ResourceExhaustedResponse("rate limit", 3)
    calls = iter([limited, limited])

    def count(*args: object, **kwargs: object) -> models.CountResult:
        for error in calls:
            raise error
        return models.CountResult(count=7)

    collection._client.count = count  # type: ignore[attr-defined]
    assert collection.count() == 7
    assert len(waits) == 2


def test_attempts_are_bounded(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 503, refusal("no leader")
    with pytest.raises(StoreUnreachable, match="what it acknowledged stays, run the same command again") as raised:
        collection.upsert(points(3))
    assert len(fake.asked("PUT", PATH)) == 5
    assert waits == sorted(waits)
    assert len(waits) == 4
    assert max(waits) <= 10
    assert fake.url in str(raised.value)
    assert "no leader" in str(raised.value)


def test_a_server_that_goes_away(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = LOST, None
    with pytest.raises(StoreUnreachable, match="does not answer"):
        collection.upsert(points(1))
    assert len(waits) == 4


def test_a_server_that_takes_too_long(fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(requests, "ATTEMPTS", 1)
    answered = threading.Event()
    usual = fake.answer

    def slowly(request: Request) -> tuple[int, Any]:
        if request.method == "PUT":
            answered.wait(3)
        return usual(request)

    store = connect(fake.url, None)
    monkeypatch.setattr(fake, "answer", slowly)
    with pytest.raises(StoreUnreachable, match="timed out"):
        store.create("a", METADATA)
    answered.set()
    store.close()


def test_what_is_refused_is_not_tried_again(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 400, refusal("Wrong input: Vector dimension\n error")
    with pytest.raises(StoreError, match="failed: Wrong input: Vector dimension error") as raised:
        collection.upsert(points(1))
    assert type(raised.value) is StoreError
    assert (len(fake.asked("PUT", PATH)), waits) == (1, [])


def test_a_collection_dropped_meanwhile(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 404, refusal("Not found: Collection `a` doesn't exist!")
    with pytest.raises(CollectionNotFound, match="no longer on the Qdrant server"):
        collection.upsert(points(1))


def test_requests_stay_small(fake: FakeQdrant, store: ServerStore) -> None:
    wide = CollectionMetadata(kind="pictures", vectors={VISUAL: 4096}, words="glove", words_sha256="00")
    collection = store.create("a", wide)
    every = points(150, 4096)
    collection.upsert(every)
    sent = fake.asked("PUT", PATH)
    assert 3 <= len(sent) < 10
    assert max(len(request.body) for request in sent) <= 4 * 2**20
    arrived = [point for request in sent for point in json.loads(request.body)["points"]]
    assert [point["id"] for point in arrived] == [str(point.id) for point in every]
    np.testing.assert_array_equal(np.float32(arrived[99]["vector"][VISUAL]), every[99].vectors[VISUAL])


def test_payloads_count_too(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    long = [Point(point.id, point.vectors, {"path": "x" * 1_000_000}) for point in points(10)]
    huge = Point(UUID(int=99), long[0].vectors, {"path": "x" * 5_000_000})
    collection.upsert([*long, huge])
    sizes = [len(request.body) for request in fake.asked("PUT", PATH)]
    assert [size > 4 * 2**20 for size in sizes] == [False, False, False, True], "one point cannot be split"


def test_a_create_whose_answer_was_lost(
    fake: FakeQdrant, store: ServerStore, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, usual = "/collections/a", fake.answer
    taken = 409, refusal("Wrong input: Collection `a` already exists!")
    fake.answers["PUT", path] = [(LOST, None), taken]

    def keeping(request: Request) -> tuple[int, Any]:
        if (request.method, request.path) == ("PUT", path):
            fake.always["GET", path] = 200, collection_info(json.loads(request.body)["metadata"])
        return usual(request)

    monkeypatch.setattr(fake, "answer", keeping)
    assert store.create("a", METADATA).metadata == METADATA
    assert len(fake.asked("PUT", path)) == 2
    monkeypatch.setattr(fake, "answer", usual)
    fake.answers["PUT", path] = [taken]
    with pytest.raises(StoreError, match="already exists"):
        store.create("a", METADATA)


class GrpcError(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._said = code, details

    def code(self) -> grpc.StatusCode:
        return self._said[0]

    def details(self) -> str:
        return self._said[1]


def answer(status: int, message: str) -> UnexpectedResponse:
    return UnexpectedResponse(status, "phrase", json.dumps(refusal(message)).encode(), httpx.Headers())


@pytest.mark.parametrize(
    ("error", "passing", "kind", "message"),
    [
        (GrpcError(grpc.StatusCode.UNAVAILABLE, "failed to connect"), True, StoreUnreachable, "failed to connect"),
        (GrpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "deadline"), True, StoreUnreachable, "does not answer"),
        (GrpcError(grpc.StatusCode.UNAUTHENTICATED, "no key"), False, StoreUnreachable, "refuses the API key"),
        (GrpcError(grpc.StatusCode.PERMISSION_DENIED, "no"), False, StoreUnreachable, "refuses the API key"),
        (GrpcError(grpc.StatusCode.NOT_FOUND, "Collection a"), False, CollectionNotFound, "no longer"),
        (GrpcError(grpc.StatusCode.INVALID_ARGUMENT, "bad"), False, StoreError, "failed: bad"),
        (ResponseHandlingException(httpx.ReadTimeout("")), True, StoreUnreachable, "ReadTimeout"),
        (ResponseHandlingException(httpx.ConnectError("refused")), True, StoreUnreachable, "refused"),
        (ResponseHandlingException(ValueError("pydantic")), False, StoreError, "none of Qdrant's"),
        (httpx.RemoteProtocolError("hung up"), True, StoreUnreachable, "hung up"),
        (answer(404, "Collection `a` doesn't exist!"), False, CollectionNotFound, "doesn't exist"),
        (answer(404, "nothing said of what"), False, CollectionNotFound, "nothing said of what"),
        (answer(400, "Collection `a` not found"), False, StoreError, "failed: Collection `a` not found"),
        (answer(409, "already"), False, StoreError, "failed: already"),
        (answer(413, "too large"), False, StoreError, "client_max_body_size"),
    ],
)
def test_errors_are_translated(error: Exception, passing: bool, kind: type, message: str) -> None:
    translated = fault.translated(error, "http://there")
    assert fault.is_passing(error) == passing
    assert type(translated) is kind
    assert message in str(translated)
    assert "http://there" in str(translated)
