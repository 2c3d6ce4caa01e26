"""A stand-in for a Qdrant server with canned answers."""

from __future__ import annotations

import importlib.metadata
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.local_qdrant import local_qdrant

LOST = 0
"""In place of a status: the connection is closed without an answer."""


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: str = ""


def collection_info(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a server says of a collection, as the client's local mode makes it up."""
    local = local_qdrant()
    local.create_collection("x", vectors_config={}, metadata=metadata)
    info: dict[str, Any] = local.get_collection("x").model_dump(mode="json")
    local.close()
    return {"result": info, "status": "ok", "time": 0.0}


class FakeQdrant:
    """Answers by `answers`, keyed by method and path, then as a healthy server without collections.

    An answer is a status and what to send with it; a list of them is used up one by one. What is recorded of a
    collection is kept and not counted. ``meet`` is called with each request that is.
    """

    def __init__(self) -> None:
        self.version = importlib.metadata.version("qdrant-client")
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.always: dict[tuple[str, str], tuple[int, Any]] = {}
        self.records: dict[str, Any] = {}
        self.meet: Callable[[Request], object] = lambda request: None
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.handle_error = lambda *_: None  # a client that hung up is part of the play
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def asked(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def answer(self, request: Request) -> tuple[int, Any]:
        if b'"payload":{"wordsight":' in request.body:
            self.records |= {point["id"]: point for point in json.loads(request.body)["points"]}
            return 200, {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.0}
        self.requests.append(request)
        self.meet(request)
        key = (request.method, request.path)
        if waiting := self.answers.get(key):
            return waiting.pop(0)
        if key in self.always:
            return self.always[key]
        if key == ("GET", "/"):
            return 200, {"title": "qdrant - vector search engine", "version": self.version}
        result: Any = {"collections": []} if key == ("GET", "/collections") else True
        if request.method == "POST" and request.path.endswith("/points"):
            result = [self.records[id] for id in json.loads(request.body)["ids"] if id in self.records]
        elif "/points" in request.path or "/index" in request.path:
            result = {"operation_id": 1, "status": "completed"}
        elif request.method == "GET" and key != ("GET", "/collections"):
            return 200, collection_info({})
        return 200, {"result": result, "status": "ok", "time": 0.0}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                status, answer = fake.answer(Request(self.command, path, dict(self.headers), body, query))
                if status == LOST:
                    self.close_connection = True
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                for header in fake.headers.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Not on the screen."""

        return Handler


@contextmanager
def fake_qdrant() -> Iterator[FakeQdrant]:
    """One that runs while the block does."""
    fake = FakeQdrant()
    thread = threading.Thread(target=fake.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        fake.http.shutdown()
        thread.join()
        fake.http.server_close()


def refusal(message: str) -> dict[str, Any]:
    return {"status": {"error": message}, "time": 0.0}
