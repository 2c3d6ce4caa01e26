"""A Qdrant server for tests: the client's local mode behind HTTP, with faults put in on request.

It stores and searches for real, so an installed command runs against it as against a server, and goes on after
a fault with what was acknowledged before.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import models

from ingest.stores.server import fault as faults
from tests.local_qdrant import local_qdrant


@dataclass
class Fault:
    """What happens to the writes of points that are counted by ``meets``.

    ``status``: answered instead. ``drop``: the connection is closed, ``before`` or ``after`` the points are stored,
    or in the ``middle`` of the request. ``seconds``: waited before the answer. ``largest``: bytes of a request that
    are taken, else 413 as a proxy says it.
    """

    meets: Callable[[int], bool] = lambda number: True
    status: int = 0
    drop: str = ""
    seconds: float = 0.0
    largest: int = 0


class QdrantHttp:
    """A server on a port of its own. ``fault`` may be set and taken away at any time."""

    def __init__(self) -> None:
        self.local = local_qdrant()
        self.lock = threading.Lock()
        self.fault: Fault | None = None
        self.writes = 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def pictures(self, name: str) -> int:
        """How many points a collection has; none where it is not there."""
        pictures = models.Filter(must=[models.HasVectorCondition(has_vector="visual")])
        return self.local.count(name, pictures).count if self.local.collection_exists(name) else 0

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The ``result`` of a request; raises the server's fault for one that is refused."""
        if path == "/collections":
            return self.local.get_collections().model_dump(mode="json")
        name, rest = re.fullmatch(r"/collections/([^/]+)(.*)", path).groups()  # type: ignore[union-attr]
        with self.lock:
            return self._routes()[method, rest](name, body)

    def _routes(self) -> dict[tuple[str, str], Callable[[str, Any], Any]]:
        local = self.local
        done: Any = {"operation_id": 0, "status": "completed"}
        dump = TypeAdapter(Any).dump_python

        def vectors(body: Any) -> Any:
            return {key: models.VectorParams(**value) for key, value in (body.get("vectors") or {}).items()}

        def scroll(name: str, body: Any) -> Any:
            points, after = local.scroll(
                name,
                filter_of(body),
                limit=body["limit"],
                offset=body.get("offset"),
                with_payload=body.get("with_payload", True),
                with_vectors=body.get("with_vector", False),
            )
            return {"points": dump(points, mode="json"), "next_page_offset": after}

        def query(name: str, body: Any) -> Any:
            near = body["query"]["nearest"] if isinstance(body["query"], dict) else body["query"]
            found = local.query_points(
                name, near, using=body.get("using"), query_filter=filter_of(body), limit=body["limit"]
            )
            return dump(found, mode="json")

        def upsert(name: str, body: Any) -> Any:
            local.upsert(name, body["points"], update_filter=body.get("update_filter"))
            return done

        def update(name: str, body: Any) -> Any:
            local.update_vectors(name, body["points"])
            return done

        def filter_of(body: Any) -> Any:
            return body.get("filter")

        return {
            ("GET", ""): lambda name, _: local.get_collection(name).model_dump(mode="json"),
            ("PUT", ""): lambda name, body: local.create_collection(name, vectors(body), metadata=body.get("metadata")),
            ("PATCH", ""): lambda name, body: local.update_collection(name, metadata=body.get("metadata")),
            ("DELETE", ""): lambda name, _: local.delete_collection(name),
            ("PUT", "/index"): lambda name, body: done,
            ("PUT", "/points"): upsert,
            ("PUT", "/points/vectors"): update,
            ("POST", "/points"): lambda name, body: dump(
                local.retrieve(name, body["ids"], with_vectors=body.get("with_vector", False)), mode="json"
            ),
            ("POST", "/points/delete"): lambda name, body: (local.delete(name, body["points"]), done)[1],
            ("POST", "/points/scroll"): scroll,
            ("POST", "/points/query"): query,
            ("POST", "/points/count"): lambda name, body: local.count(name, filter_of(body)).model_dump(),
            ("POST", "/facet"): lambda name, body: local.facet(name, body["key"], limit=body["limit"]).model_dump(),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size, path = int(self.headers.get("Content-Length", 0)), self.path.partition("?")[0]
                fault = server.fault if self.command == "PUT" and "/points" in path else None
                if "/points" in path and self.command == "PUT":
                    server.writes += 1
                if fault and not fault.meets(server.writes):
                    fault = None
                if fault and fault.drop == "middle":
                    self.rfile.read(size // 2)
                    return self.hang_up()
                body = json.loads(self.rfile.read(size) or b"null")
                if fault and fault.drop == "before":
                    return self.hang_up()
                if fault and fault.status:
                    return self.send(fault.status, {"status": {"error": "out of order"}})
                if fault and fault.largest and size > fault.largest:
                    return self.send(413, b"<html><h1>413 Request Entity Too Large</h1></html>")
                self.store_and_answer(path, body, fault)
                return None

            def store_and_answer(self, path: str, body: Any, fault: Fault | None) -> None:
                if path == "/":
                    version = importlib.metadata.version("qdrant-client")
                    return self.send(200, {"title": "qdrant - vector search engine", "version": version})
                try:
                    result = server.answer(self.command, path, body)
                except faults.Fault as error:
                    return self.send(error.status, {"status": {"error": error.reason}})
                if fault and fault.drop == "after":
                    return self.hang_up()
                time.sleep(fault.seconds if fault else 0)
                return self.send(200, {"result": result, "status": "ok", "time": 0.0})

            def send(self, status: int, answer: Any) -> None:
                data = answer if isinstance(answer, bytes) else json.dumps(answer, default=str).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def hang_up(self) -> None:
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Nothing on stderr."""

        return Handler


@contextmanager
def qdrant_server() -> Iterator[QdrantHttp]:
    """A server that runs while the block does."""
    server = QdrantHttp()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()
        server.local.close()
