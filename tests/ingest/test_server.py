"""What goes wrong between us and a Qdrant server, against a stand-in that answers as it is told."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from uuid import UUID

import grpc
import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException

from ingest import fault, server
from ingest.facts import Facts
from ingest.server import ServerStore, connect
from ingest.store import VISUAL, Point
from model.errors import CollectionNotFound, StoreDamaged, StoreError, StoreUnreachable, UsageError

FACTS = Facts(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00")
LOST = 0
"""In place of a status: the connection is closed without an answer."""


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def collection_info(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a server tells of a collection, as the client's local mode makes it up."""
    local = QdrantClient(":memory:")
    local.create_collection("x", vectors_config={}, metadata=metadata)
    info: dict[str, Any] = local.get_collection("x").model_dump(mode="json")
    local.close()
    return {"result": info, "status": "ok", "time": 0.0}


class FakeQdrant:
    """Answers by `answers`, keyed by method and path, then as a healthy server without collections.

    An answer is a status and what to send with it; a list of them is used up one by one.
    """

    def __init__(self) -> None:
        self.version = importlib.metadata.version("qdrant-client")
        self.requests: list[Request] = []
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.always: dict[tuple[str, str], tuple[int, Any]] = {}
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.handle_error = lambda *_: None  # a client that hung up is part of the play
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def asked(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def answer(self, request: Request) -> tuple[int, Any]:
        self.requests.append(request)
        key = (request.method, request.path)
        if waiting := self.answers.get(key):
            return waiting.pop(0)
        if key in self.always:
            return self.always[key]
        if key == ("GET", "/"):
            return 200, {"title": "qdrant - vector search engine", "version": self.version}
        result: Any = {"collections": []} if key == ("GET", "/collections") else True
        if "/points" in request.path or "/index" in request.path:
            result = {"operation_id": 1, "status": "completed"}
        elif request.method == "GET" and key != ("GET", "/collections"):
            return 200, collection_info({})
        return 200, {"result": result, "status": "ok", "time": 0.0}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.partition("?")[0]
                status, answer = fake.answer(Request(self.command, path, dict(self.headers), body))
                if status == LOST:
                    self.close_connection = True
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Not on the screen."""

        return Handler


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQdrant]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fake = FakeQdrant()
    thread = threading.Thread(target=fake.http.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.http.shutdown()
    thread.join()
    fake.http.server_close()


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


@pytest.fixture
def memory() -> Iterator[ServerStore]:
    store = ServerStore(QdrantClient(":memory:"), "memory")
    yield store
    store.close()


def refusal(message: str) -> dict[str, Any]:
    return {"status": {"error": message}, "time": 0.0}


def points(count: int, width: int = 4) -> list[Point]:
    matrix = np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)
    return [Point(UUID(int=i), {VISUAL: row}, {"path": f"{i}.jpg"}) for i, row in enumerate(matrix)]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_nothing_listens() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    start = time.monotonic()
    with pytest.raises(StoreUnreachable, match="no Qdrant server answers") as raised:
        connect(url, None)
    assert url in str(raised.value)
    assert "docker compose up -d" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.monotonic() - start < 2, "a server that is down when a command starts is not waited for"


def test_a_server_that_fails_at_once(fake: FakeQdrant) -> None:
    fake.always["GET", "/"] = 502, b"<html>Bad gateway</html>"
    with pytest.raises(StoreUnreachable, match=r"answers at http://127.0.0.1:\d+ \(502 Bad Gateway\)"):
        connect(fake.url, None)


@pytest.mark.parametrize("status", [401, 403])
def test_the_wrong_key(fake: FakeQdrant, status: int) -> None:
    fake.always["GET", "/collections"] = status, b"Must provide an API key or an Authorization bearer token"
    with pytest.raises(StoreUnreachable, match="refuses the API key") as raised:
        connect(fake.url, "wrong")
    assert fake.url in str(raised.value)
    assert "QDRANT_API_KEY" in str(raised.value)
    assert "wrong" not in str(raised.value), "the key itself is nobody's to read"
    assert len(fake.asked("GET", "/collections")) == 1


def test_the_key_is_sent(fake: FakeQdrant) -> None:
    connect(fake.url, "secret").close()
    assert {request.headers["api-key"] for request in fake.requests} == {"secret"}


@pytest.mark.parametrize("version", ["1.15.9", "0.11.0"])
def test_a_server_that_is_too_old(fake: FakeQdrant, version: str) -> None:
    fake.version = version
    with pytest.raises(StoreError, match=rf"is version {version}: upgrade it to 1\.16 or newer") as raised:
        connect(fake.url, None)
    assert fake.url in str(raised.value)


def other_version(minors: int) -> str:
    major, minor, *_ = importlib.metadata.version("qdrant-client").split(".")
    return f"{major}.{int(minor) + minors}.3-dev"


@pytest.mark.parametrize(("minors", "lines"), [(0, 0), (1, 0), (2, 1), (30, 1)])
def test_versions_far_apart_are_told_once(
    fake: FakeQdrant, caplog: pytest.LogCaptureFixture, minors: int, lines: int
) -> None:
    fake.version = other_version(minors)
    with caplog.at_level(logging.WARNING):
        connect(fake.url, None).close()
    assert [record.name for record in caplog.records] == ["wordsight"] * lines
    assert all(fake.version in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("answer", [b"<html>It works!</html>", {"message": "hello"}, {"title": "x", "version": "v?"}])
def test_a_server_that_is_no_qdrant(fake: FakeQdrant, answer: object) -> None:
    fake.always["GET", "/"] = 200, answer
    with pytest.raises(StoreError, match=r"is no Qdrant server|none of Qdrant's") as raised:
        connect(fake.url, None)
    assert fake.url in str(raised.value)


@pytest.mark.parametrize("url", ["ftp://localhost", "http://[::1", "http://localhost:port"])
def test_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a Qdrant server"):
        connect(url, None)


PATH = "/collections/a/points"


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
    with store.create("a", FACTS) as collection:
        fake.answers["PUT", PATH] = list(failures)
        collection.upsert(points(3))
    sent = fake.asked("PUT", PATH)
    assert len(sent) == len(waits) + 1 == len(failures) + 1
    assert len({request.body for request in sent}) == 1, "the same points each time"


def test_a_server_that_asks_to_wait_is_tried_again(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", FACTS)
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
    collection = store.create("a", FACTS)
    fake.always["PUT", PATH] = 503, refusal("no leader")
    with pytest.raises(StoreUnreachable, match="what it acknowledged stays, run the same command again") as raised:
        collection.upsert(points(3))
    assert len(fake.asked("PUT", PATH)) == server.ATTEMPTS == 5
    assert waits == sorted(waits)
    assert len(waits) == 4
    assert max(waits) <= 10
    assert fake.url in str(raised.value)
    assert "no leader" in str(raised.value)


def test_a_server_that_goes_away(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", FACTS)
    fake.always["PUT", PATH] = LOST, None
    with pytest.raises(StoreUnreachable, match="does not answer"):
        collection.upsert(points(1))
    assert len(waits) == 4


def test_a_server_that_takes_too_long(fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setattr(server, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(server, "ATTEMPTS", 1)
    answered = threading.Event()
    usual = fake.answer

    def slowly(request: Request) -> tuple[int, Any]:
        if request.method == "PUT":
            answered.wait(3)
        return usual(request)

    store = connect(fake.url, None)
    monkeypatch.setattr(fake, "answer", slowly)
    with pytest.raises(StoreUnreachable, match="timed out"):
        store.create("a", FACTS)
    answered.set()
    store.close()


def test_what_is_refused_is_not_tried_again(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    collection = store.create("a", FACTS)
    fake.always["PUT", PATH] = 400, refusal("Wrong input: Vector dimension\n error")
    with pytest.raises(StoreError, match="failed: Wrong input: Vector dimension error") as raised:
        collection.upsert(points(1))
    assert type(raised.value) is StoreError
    assert (len(fake.asked("PUT", PATH)), waits) == (1, [])


def test_a_collection_dropped_meanwhile(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", FACTS)
    fake.always["PUT", PATH] = 404, refusal("Not found: Collection `a` doesn't exist!")
    with pytest.raises(CollectionNotFound, match="no longer on the Qdrant server"):
        collection.upsert(points(1))


def test_requests_stay_small(fake: FakeQdrant, store: ServerStore) -> None:
    wide = Facts(kind="pictures", vectors={VISUAL: 4096}, words="glove", words_sha256="00")
    collection = store.create("a", wide)
    every = points(150, 4096)
    collection.upsert(every)
    sent = fake.asked("PUT", PATH)
    assert 150 * 4096 * 15 / server.MESSAGE_BYTES < len(sent) < 10
    assert max(len(request.body) for request in sent) <= server.MESSAGE_BYTES
    arrived = [point for request in sent for point in json.loads(request.body)["points"]]
    assert [point["id"] for point in arrived] == [str(point.id) for point in every]
    np.testing.assert_array_equal(np.float32(arrived[99]["vector"][VISUAL]), every[99].vectors[VISUAL])


def test_payloads_count_too(fake: FakeQdrant, store: ServerStore) -> None:
    collection = store.create("a", FACTS)
    long = [Point(point.id, point.vectors, {"path": "x" * 1_000_000}) for point in points(10)]
    huge = Point(UUID(int=99), long[0].vectors, {"path": "x" * 5_000_000})
    collection.upsert([*long, huge])
    sizes = [len(request.body) for request in fake.asked("PUT", PATH)]
    assert [size > server.MESSAGE_BYTES for size in sizes] == [False, False, False, True], "one point cannot be split"


def test_a_create_whose_answer_was_lost(fake: FakeQdrant, store: ServerStore, waits: list[float]) -> None:
    path = "/collections/a"
    taken = 409, refusal("Wrong input: Collection `a` already exists!")
    fake.answers["PUT", path] = [(LOST, None), taken]
    fake.always["GET", path] = 200, collection_info({server.FACTS_KEY: FACTS.to_json()})
    assert store.create("a", FACTS).facts == FACTS
    assert len(fake.asked("PUT", path)) == 2
    fake.answers["PUT", path] = [taken]
    fake.always["GET", path] = 200, collection_info({server.FACTS_KEY: {**FACTS.to_json(), "created": "before"}})
    with pytest.raises(StoreError, match="already exists"):
        store.create("a", FACTS)


class GrpcError(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._said = code, details

    def code(self) -> grpc.StatusCode:
        return self._said[0]

    def details(self) -> str:
        return self._said[1]


@pytest.mark.parametrize(
    ("error", "passing", "kind", "told"),
    [
        (GrpcError(grpc.StatusCode.UNAVAILABLE, "failed to connect"), True, StoreUnreachable, "failed to connect"),
        (GrpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "deadline"), True, StoreUnreachable, "does not answer"),
        (GrpcError(grpc.StatusCode.UNAUTHENTICATED, "no key"), False, StoreUnreachable, "refuses the API key"),
        (GrpcError(grpc.StatusCode.PERMISSION_DENIED, "no"), False, StoreUnreachable, "refuses the API key"),
        (GrpcError(grpc.StatusCode.NOT_FOUND, "Collection a"), False, CollectionNotFound, "no longer"),
        (GrpcError(grpc.StatusCode.NOT_FOUND, "No point with id"), False, StoreError, "No point with id"),
        (GrpcError(grpc.StatusCode.INVALID_ARGUMENT, "bad"), False, StoreError, "failed: bad"),
        (ResponseHandlingException(httpx.ReadTimeout("")), True, StoreUnreachable, "ReadTimeout"),
        (ResponseHandlingException(httpx.ConnectError("refused")), True, StoreUnreachable, "refused"),
        (ResponseHandlingException(ValueError("pydantic")), False, StoreError, "none of Qdrant's"),
        (httpx.RemoteProtocolError("hung up"), True, StoreUnreachable, "hung up"),
        (ValueError("Collection a not found"), False, CollectionNotFound, "no longer"),
        (KeyError("No point with id 1 found"), False, StoreError, "No point"),
    ],
)
def test_errors_are_translated(error: Exception, passing: bool, kind: type, told: str) -> None:
    translated = fault.translated(error, "http://there")
    assert fault.is_passing(error) == passing
    assert type(translated) is kind
    assert told in str(translated)
    assert "http://there" in str(translated)


def test_our_own_mistakes_are_no_store_errors(memory: ServerStore) -> None:
    def mistake() -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError):
        memory.ask(mistake)


def test_collections_of_others_are_left_alone(memory: ServerStore) -> None:
    client = memory.client
    client.create_collection("theirs", vectors_config={})
    client.create_collection("ours--files", vectors_config={}, metadata={"wordsight": "something else"})
    memory.create("ours", FACTS).close()
    client.create_collection("with metadata", vectors_config={}, metadata={"owner": "somebody"})
    assert "theirs" not in memory.names()
    assert "with metadata" not in memory.names()
    for name in ("theirs", "with metadata", "ours--files"):
        for call in (memory.open, memory.facts, memory.summary, memory.drop):
            with pytest.raises(StoreError, match="was not made by this program"):
                call(name)
    with pytest.raises(StoreError, match="already exists"):
        memory.create("theirs", FACTS)
    with pytest.raises(StoreError, match="already exists"):
        memory.open("ours").write_file("f", b"1")
    memory.drop("ours")
    assert {c.name for c in client.get_collections().collections} == {"theirs", "with metadata", "ours--files"}


def test_wide_vectors_stay_on_disk_and_nothing_builds_a_graph(memory: ServerStore) -> None:
    memory.create("a", Facts("pictures", {"wide": 1024, "narrow": 1023}, "glove", "00")).close()
    made = memory.client.get_collection("a").config.params.vectors
    assert isinstance(made, dict)
    assert {name: params.on_disk for name, params in made.items()} == {"wide": True, "narrow": False}
    assert {params.distance for params in made.values()} == {models.Distance.COSINE}
    assert [params.hnsw_config and params.hnsw_config.m for params in made.values()] == [0, 0]


def test_indexes_that_are_missing_are_made_by_the_next_writer(
    memory: ServerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.create("a", FACTS).close()
    made: list[str] = []
    monkeypatch.setattr(memory.client, "create_payload_index", lambda name, field, *_, **__: made.append(field))
    memory.open("a").close()
    assert made == []
    memory.open("a", write=True).close()
    assert sorted(made) == ["folders", "label"]


def test_a_file_is_replaced_whole_or_not_at_all(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (np.random.default_rng(seed).bytes(5 * 2**20 + 1) for seed in (1, 2))
    collection = memory.create("a", FACTS)
    collection.write_file("big", old)
    usual, calls = memory.client.upsert, []

    def once(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) > 1:
            raise ResponseHandlingException(httpx.UnsupportedProtocol("gone"))
        return usual(*args, **kwargs)

    monkeypatch.setattr(server, "ATTEMPTS", 1)
    monkeypatch.setattr(memory.client, "upsert", once)
    with pytest.raises(StoreUnreachable):
        collection.write_file("big", new)
    assert collection.read_file("big") == old
    monkeypatch.undo()
    collection.write_file("big", new)
    assert collection.read_file("big") == new
    assert memory.client.count("a--files").count == -(-len(new) // server.PART_BYTES), "the old parts are gone"


def test_a_damaged_file_is_told(memory: ServerStore) -> None:
    collection = memory.create("a", FACTS)
    collection.write_file("f", b"x" * (2 * server.PART_BYTES))
    parts, _ = memory.client.scroll("a--files")
    memory.client.delete("a--files", [parts[0].id])
    with pytest.raises(StoreDamaged, match="'f' of collection 'a' on memory is damaged"):
        collection.read_file("f")


def test_a_file_replaced_while_it_is_read(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = memory.create("a", FACTS), memory.open("a", write=True)
    writer.write_file("f", b"old")
    usual = reader._read_parts

    def late(ids: list[str]) -> bytes:
        writer.write_file("f", b"new")
        return usual(ids)

    monkeypatch.setattr(reader, "_read_parts", late)
    assert reader.read_file("f") == b"new"


def test_two_writers_do_not_undo_each_other(memory: ServerStore) -> None:
    first, second = memory.create("a", FACTS), memory.open("a", write=True)
    first.write_file("one", b"1")
    second.write_file("two", b"2")
    second.save(Facts("pictures", {VISUAL: 4}, "glove", "00", updated="now"))
    first.write_file("three", b"3")
    assert [second.read_file(name) for name in ("one", "two", "three")] == [b"1", b"2", b"3"]
    assert memory.facts("a").updated == "now"
