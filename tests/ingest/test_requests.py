"""Requests to a Qdrant server: which are tried again, how large they get, and the errors of those that fail."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import grpc
import httpx
import numpy as np
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ingest.errors import CollectionNotFound, RightMissing, StoreError, StoreUnreachable
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Point
from ingest.stores.server import ServerStore, client, connect, fault
from ingest.stores.server.client import Patience
from ingest.stores.server.full import fault_of
from tests.ingest.fake_qdrant import LOST, FakeQdrant, Request, collection_info, fake_qdrant, refusal

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
    """Over REST alone, as patient as a run."""
    store = connect(fake.url, None, "0")
    with store._requests.patient():
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


def test_no_answer_is_to_be_compressed(fake: FakeQdrant, store: ServerStore) -> None:
    """It would come in two pieces, the second 40 ms late, at every request."""
    with store.create("a", METADATA) as collection:  # by qdrant-client, and by our own
        collection.count()
    assert {request.headers.get("accept-encoding") for request in fake.requests} == {"identity"}


def test_a_server_that_says_when_to_come_again(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", METADATA)
    fake.headers = {"Retry-After": "37"}
    fake.answers["POST", f"{PATH}/count"] = [(429, refusal("rate limit"))] * 2 + [(200, {"result": {"count": 7}})]
    assert collection.count() == 7
    assert waits == [37, 37]


def test_a_run_waits_ten_minutes_and_says_so_once(
    fake: FakeQdrant, store: ServerStore, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 503, refusal("no leader")
    with pytest.raises(StoreUnreachable, match="what it acknowledged stays, run the same command again") as raised:
        collection.upsert(points(3))
    assert waits == sorted(waits)
    assert max(waits) == 10
    assert 590 <= sum(waits) <= 600
    assert fake.url in str(raised.value)
    assert "no leader" in str(raised.value)
    assert capsys.readouterr().err.splitlines() == [
        f"the Qdrant server at {fake.url} does not do its work now (no leader): waiting up to 10 min for it"
    ]


def test_a_question_waits_ten_seconds(fake: FakeQdrant, waits: list[float]) -> None:
    with connect(fake.url, None) as store:
        fake.always["GET", "/collections/a"] = LOST, None
        with pytest.raises(StoreUnreachable, match="does not answer, it ends the connection"):
            store.metadata("a")
    assert 5 < sum(waits) <= 10


def test_a_server_that_is_stopped_is_not_said_to_be_none(
    fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(client, "QUESTION", Patience(0.2, 0.2))
    answered = threading.Event()
    monkeypatch.setattr(fake, "answer", lambda request: (200, {}) if answered.wait(5) else (500, {}))
    with pytest.raises(StoreUnreachable, match="is there and does not answer in time") as raised:
        connect(fake.url, None)
    answered.set()
    assert "docker compose up" not in str(raised.value)
    assert waits == []


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
    arrived.sort(key=lambda point: point["id"])  # several are in flight
    assert [point["id"] for point in arrived] == [str(point.id) for point in every]
    np.testing.assert_array_equal(np.float32(arrived[99]["vector"][VISUAL]), every[99].vectors[VISUAL])


def test_the_last_of_a_point_that_is_given_twice_is_written(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    first, second = points(2)
    collection.upsert([first, Point(first.id, second.vectors, {"path": "later"})])
    sent = [point for request in fake.asked("PUT", PATH) for point in json.loads(request.body)["points"]]
    assert [point["payload"] for point in sent] == [{"path": "later"}]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (413, b"<html>Request Entity Too Large</html>"),
        (400, refusal("JSON payload (3845700 bytes) is larger than allowed (limit: 1048576 bytes).")),
        (429, refusal("Rate limiting exceeded: Write rate limit exceeded: larger than it can ever be")),
    ],
)
def test_what_is_not_taken_at_once_is_sent_in_halves(
    fake: FakeQdrant, store: ServerStore, waits: list[float], status: int, said: Any
) -> None:
    collection = store.create("a", METADATA)
    usual, taken = fake.answer, []

    def answer(request: Request) -> tuple[int, Any]:
        if request.method != "PUT" or request.path != PATH:
            return usual(request)
        there = json.loads(request.body)["points"]
        if len(there) > 2:
            return status, said
        taken.extend(point["id"] for point in there)
        return usual(request)

    fake.answer = answer  # type: ignore[method-assign]
    collection.upsert(points(7))
    assert sorted(taken) == [str(UUID(int=i)) for i in range(7)]


def test_of_points_that_are_wrong_the_wrong_one_is_told(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 400, refusal("Wrong input: Vector dimension")
    with pytest.raises(StoreError, match="failed: Wrong input: Vector dimension"):
        collection.upsert(points(4))
    assert [len(json.loads(request.body)["points"]) for request in fake.asked("PUT", PATH)] == [4, 2, 1]


def test_payloads_count_too(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    long = [Point(point.id, point.vectors, {"path": "x" * 1_000_000}) for point in points(10)]
    huge = Point(UUID(int=99), long[0].vectors, {"path": "x" * 5_000_000})
    collection.upsert([*long, huge])
    sizes = sorted(len(request.body) for request in fake.asked("PUT", PATH))
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


FULL = "Service internal error: No space left on device: WAL buffer size exceeds available disk space"
CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("error", "passing", "kind", "message"),
    [
        (GrpcError(CODE.UNAVAILABLE, "failed to connect"), True, StoreUnreachable, "failed to connect"),
        (GrpcError(CODE.DEADLINE_EXCEEDED, "deadline"), True, StoreUnreachable, "does not answer in time"),
        (GrpcError(CODE.UNAUTHENTICATED, "no key"), False, StoreUnreachable, "refuses the API key that was given"),
        (GrpcError(CODE.PERMISSION_DENIED, "no"), False, RightMissing, "lacks a right on"),
        (GrpcError(CODE.NOT_FOUND, "Collection a"), False, CollectionNotFound, "no longer"),
        (GrpcError(CODE.INVALID_ARGUMENT, "bad"), False, StoreError, "failed: bad"),
        (GrpcError(CODE.INTERNAL, FULL), False, StoreError, "the disk of the Qdrant server at http://there is full"),
        (GrpcError(CODE.OUT_OF_RANGE, "decoded message length too large"), False, StoreError, "client_max_body_size"),
        (ResourceExhaustedResponse("rate limit", 3), True, StoreUnreachable, "is asked too often (rate limit)"),
        (ResponseHandlingException(httpx.ReadTimeout("")), True, StoreUnreachable, "ReadTimeout"),
        (ResponseHandlingException(httpx.ConnectError("refused")), True, StoreUnreachable, "refused"),
        (ResponseHandlingException(ValueError("pydantic")), False, StoreError, "none of Qdrant's"),
        (httpx.RemoteProtocolError("hung up"), True, StoreUnreachable, "hung up"),
        (httpx.ConnectTimeout("slow"), True, StoreUnreachable, "cannot be reached in time"),
        (answer(401, "no"), False, StoreUnreachable, "refuses the API key that was given (no)"),
        (answer(403, "Global access is required"), False, RightMissing, "lacks a right on"),
        (answer(404, "Collection `a` doesn't exist!"), False, CollectionNotFound, "doesn't exist"),
        (answer(404, "nothing said of what"), False, CollectionNotFound, "nothing said of what"),
        (answer(400, "Collection `a` not found"), False, StoreError, "failed: Collection `a` not found"),
        (answer(408, "Timeout"), True, StoreUnreachable, "does not answer in time"),
        (answer(409, "already"), False, StoreError, "failed: already"),
        (answer(413, "too large"), False, StoreError, "client_max_body_size"),
        (answer(500, "panic"), True, StoreError, "fails (panic)"),
        (answer(500, FULL), False, StoreError, "make room there"),
        (answer(503, "loading"), True, StoreUnreachable, "is not ready (loading): it starts"),
    ],
)
def test_errors_are_translated(error: Exception, passing: bool, kind: type, message: str) -> None:
    met = fault_of(error, "http://there")
    translated = fault.translated(met, "nowhere", has_key=True)
    assert fault.is_passing(met) == passing
    assert type(translated) is kind
    assert message in str(translated)
    assert "http://there" in str(translated)
    assert "set QDRANT_API_KEY" not in str(translated)


def test_a_key_that_was_not_given_is_asked_for() -> None:
    assert "wants an API key (no): give it, in QDRANT_API_KEY" in str(fault.translated(fault.answered(401, "no"), "x"))


def test_a_storage_that_is_locked_lacks_no_right(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", METADATA)
    fake.always["PUT", PATH] = 403, refusal("Storage locked: maintenance")
    fake.always["GET", "/locks"] = 200, {"result": {"write": True, "error_message": "maintenance"}}
    with pytest.raises(StoreError, match=r"is locked against writing .*maintenance.*POST /locks"):
        collection.upsert(points(1))
    fake.always["GET", "/locks"] = 404, b""
    with pytest.raises(StoreUnreachable, match="lacks a right"):
        collection.upsert(points(1))


def test_strict_mode_gets_no_more_answers_than_it_gives(
    fake: FakeQdrant, store: ServerStore, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = store.create("a", METADATA)
    info = collection_info({"wordsight": METADATA.to_json()})
    info["result"]["config"]["strict_mode_config"] = {"enabled": True, "max_query_limit": 10}
    fake.always["GET", "/collections/a"] = 200, info
    fake.always["POST", f"{PATH}/query"] = 200, {"result": {"points": []}}
    collection.search(VISUAL, np.ones(4, np.float32), 3)
    assert capsys.readouterr().err == ""
    collection.search(VISUAL, np.ones(4, np.float32), 30)
    collection.search(VISUAL, np.ones(4, np.float32), 30)
    assert capsys.readouterr().err.count("max_query_limit of its strict mode") == 1
    asked = [json.loads(request.body) for request in fake.asked("POST", f"{PATH}/query")]
    assert [body["limit"] for body in asked] == [10, 10, 10]
    assert [body["params"]["exact"] for body in asked] == [True, True, True]


# Several nodes


def test_a_node_that_is_gone_is_passed_over(
    fake: FakeQdrant, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_qdrant() as other:
        with connect(f"{fake.url},{other.url}", None, "0") as store:
            collection = store.create("a", METADATA)
            fake.always["PUT", PATH] = LOST, None
            collection.upsert(points(2))
            collection.upsert(points(1))
        assert (len(fake.asked("PUT", PATH)), len(other.asked("PUT", PATH))) == (1, 2)
    assert waits == []
    assert f"{fake.url} is passed over" in capsys.readouterr().err


def test_of_nodes_that_all_fail_the_one_that_answers_is_asked_again(fake: FakeQdrant, waits: list[float]) -> None:
    with fake_qdrant() as other, connect(f"{other.url},{fake.url}", None, "0") as store:
        collection = store.create("a", METADATA)
        other.answers["PUT", PATH] = [(503, refusal("no leader"))]
        fake.answers["PUT", PATH] = [(LOST, None)]
        collection.upsert(points(2))
        assert (len(other.asked("PUT", PATH)), len(fake.asked("PUT", PATH))) == (2, 1)
    assert waits == [0.5]


def test_a_node_that_stands_still_gets_a_request_when_it_shows_life_again(
    fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(client, "QUESTION", Patience(0.6, 0.6))
    monkeypatch.setattr(client, "PROBE_SECONDS", 0.2)
    goes_on, asked = threading.Event(), f"{PATH}/count"
    fake.always["POST", asked] = 200, {"result": {"count": 7}}
    with fake_qdrant() as other, connect(f"{fake.url},{other.url}", None, "0") as store:
        collection = store.create("a", METADATA)
        other.answers["POST", asked] = [(200, {"result": {"count": 8}}), (503, refusal("no leader"))]
        fake.meet = lambda request: goes_on.wait(30)
        assert collection.count() == 8
        with pytest.raises(StoreUnreachable, match="does not answer in time"):
            collection.count()
        stood_still = len(fake.asked("POST", asked))
        assert fake.asked("GET", "/")[1:], "it was asked for a sign of life, and for nothing else"
        goes_on.set()
        other.always["POST", asked] = 503, refusal("no leader")
        assert collection.count() == 7
    assert stood_still == 1


def test_writes_in_order_do_without_the_node_that_is_to_order_them(
    fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait ten seconds for it, through every node."""
    orders: list[str] = []
    answered = fake.answer

    def leaderless(request: Request) -> tuple[int, Any]:
        if found := re.search("ordering=([a-z]+)", request.query):
            orders.append(found[1])
            if orders[-1] == "strong":
                return 500, refusal("via leader peer 7: Deadline Exceeded")
        return answered(request)

    with fake_qdrant() as other, connect(f"{fake.url},{other.url}", None, "0") as store:
        collection = store.create("a", METADATA)
        monkeypatch.setattr(fake, "answer", leaderless)
        for data in (b"1", b"2", b"3"):
            collection.write_file("projection", data)
        assert orders == ["strong", "medium", "medium", "medium"]
        assert not [request for request in other.requests if request.method == "PUT"]


def test_copies_that_cannot_agree_are_no_fault_of_a_node(fake: FakeQdrant, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_qdrant() as other, connect(f"{other.url},{fake.url}", None, "0") as store:
        store.create("a", METADATA).close()
        capsys.readouterr()
        other.answers["POST", PATH] = [(500, refusal("1 of 2 read operations failed"))]
        assert store.metadata("a") == METADATA
        assert fake.asked("POST", PATH) == []
    assert capsys.readouterr().err == ""


def test_what_one_node_refuses_no_other_is_asked(fake: FakeQdrant) -> None:
    with fake_qdrant() as other, connect(f"{fake.url},{other.url}", None, "0") as store:
        fake.always["GET", "/collections/a"] = 404, refusal("no")
        with pytest.raises(CollectionNotFound):
            store.metadata("a")
        assert other.asked("GET", "/collections/a") == []


def test_four_writes_are_under_way_and_done_in_order(fake: FakeQdrant, store: ServerStore) -> None:
    collection, met, done = store.create("a", METADATA), threading.Barrier(4), list[int]()
    fake.meet = lambda request: met.wait(10) if request.path == PATH else None
    with collection.writing_ahead() as begin:
        for number, point in enumerate(points(8)):
            begin(partial(collection.upsert, [point]), partial(done.append, number))
            assert number - len(done) < 4
    assert done == [*range(8)]
    assert len(fake.asked("PUT", PATH)) == 8


def test_of_writes_under_way_the_first_that_fails_ends_all(fake: FakeQdrant, store: ServerStore) -> None:
    collection, done = store.create("a", METADATA), list[int]()
    fake.answers["PUT", PATH] = [(200, {"result": {}}), (400, refusal("wrong"))]

    def write_all() -> None:
        with collection.writing_ahead() as begin:
            for number, point in enumerate(points(50)):
                begin(partial(collection.upsert, [point]), partial(done.append, number))

    with pytest.raises(StoreError, match="wrong"):
        write_all()
    assert len(done) < 5
    assert len(fake.asked("PUT", PATH)) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("points")]
