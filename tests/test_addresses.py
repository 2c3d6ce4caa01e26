"""Pictures asked about by their address on the web."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.commands import command, refused


class Answers(BaseHTTPRequestHandler):
    """What the web may answer instead of a picture."""

    picture = b""

    def do_GET(self) -> None:
        match self.path:
            case "/picture.png":
                self._send(200, self.picture)
            case "/html":
                self._send(200, b"<html><body>not a picture</body></html>")
            case "/moved":
                self.send_response(302)
                self.send_header("Location", "/picture.png")
                self.end_headers()
            case "/endless":
                self.send_response(200)
                self.send_header("Content-Length", str(2 << 30))
                self.end_headers()
                for _ in range(2 << 10):
                    self.wfile.write(bytes(1 << 20))
            case "/silent":
                time.sleep(3)
            case _:
                self._send(404, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is what these tests are about."""


@pytest.fixture
def web(originals: Path) -> Iterator[str]:
    Answers.picture = (originals / "cat/chelsea.png").read_bytes()
    server = QuietServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("page", ["picture.png", "moved"])
def test_a_picture_is_asked_about_by_its_address(place: Path, web: str, page: str) -> None:
    ran = command("query", "similar", f"{web}/{page}", "-n", "1")
    assert ran.status == 0, ran.err
    assert ran.rows[0][1] == "cat"


@pytest.mark.parametrize(
    ("page", "told"),
    [("absent", "404"), ("html", "not a picture"), ("endless", "more than 50 MB")],
)
def test_an_address_without_a_picture_is_refused(place: Path, web: str, page: str, told: str) -> None:
    refused(command("query", "similar", f"{web}/{page}"), f"{web}/{page}", told)


def test_an_address_that_does_not_answer_in_time_is_refused(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from model.errors import PictureError
    from query.asking import source

    monkeypatch.setattr(source, "READ_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(PictureError, match="in time"):
        source.Source(f"{web}/silent").read()
