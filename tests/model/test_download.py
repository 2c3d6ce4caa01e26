"""Downloads against a real HTTP server on this machine that can be made to misbehave."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from model.errors import CacheError, DiskFull, WeightsError
from model.system import download
from model.system.download import RemoteFile

CONTENT = np.random.default_rng(0).bytes(700_001)


@dataclass
class Answer:
    """How one request is answered. ``cut``: the connection drops after so many bytes of the body."""

    status: int = 200
    cut: int | None = None
    ranges: bool = True
    endless: bool = False
    location: str = ""


@dataclass
class Server:
    """``plan`` holds an answer for each request to come; when it is used up, all goes well."""

    url: str
    content: bytes = CONTENT
    plan: list[Answer] = field(default_factory=list)
    ranges_asked: list[str | None] = field(default_factory=list)
    sent: int = 0
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def remote(self) -> RemoteFile:
        return RemoteFile(f"{self.url}/weights.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Handler(BaseHTTPRequestHandler):
    server_state: Server

    def do_GET(self) -> None:
        state, asked = self.server_state, self.headers.get("Range")
        state.ranges_asked.append(asked)
        answer = state.plan.pop(0) if state.plan else Answer()
        body, status = state.content, answer.status
        if status != 200:
            body = b"sorry"
        elif asked and answer.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status, body = (206, body[start:]) if start < len(body) else (416, b"")
        self.send_response(status)
        if answer.location:
            self.send_header("Location", answer.location)
        if not answer.endless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if answer.endless:
            try:
                while True:
                    self.wfile.write(b"\0" * 65_536)
                    state.sent += 65_536
            finally:
                state.hung_up.set()
        self.wfile.write(body[: answer.cut])

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is what some of these tests are about."""


@pytest.fixture
def server() -> Iterator[Server]:
    with QuietServer(("127.0.0.1", 0), Handler) as listening:
        state = Server(f"http://127.0.0.1:{listening.server_port}")
        listening.RequestHandlerClass = type("Bound", (Handler,), {"server_state": state})
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds slept between tries, which are not slept here; and no proxy in between."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return slept


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "weights.pth"


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def left_in(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def fetch(server: Server, target: Path, **options: int) -> int:
    """Download, and return what the progress adds up to."""
    counted: list[int] = []
    download.download(server.remote, target, advance=counted.append, **options)
    return sum(counted)


def test_a_whole_file_comes_with_its_progress_and_nothing_else(server: Server, target: Path) -> None:
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert left_in(target) == ["weights.pth"]
    assert server.ranges_asked == [None]


def test_a_connection_that_drops_is_taken_up_where_it_was(server: Server, target: Path, pauses: list[float]) -> None:
    server.plan = [Answer(cut=300_000), Answer(cut=200_000)]
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert server.ranges_asked == [None, "bytes=300000-", "bytes=500000-"]
    assert len(pauses) == 2
    assert left_in(target) == ["weights.pth"]


def test_an_interrupted_download_goes_on_in_the_next_run(server: Server, target: Path) -> None:
    server.plan = [Answer(cut=300_000)]
    with pytest.raises(WeightsError, match=r"cannot reach .*weights\.pth"):
        fetch(server, target, attempts=1)
    assert part_of(target).read_bytes() == CONTENT[:300_000]
    assert not target.exists()
    assert fetch(server, target) == len(CONTENT)
    assert server.ranges_asked == [None, "bytes=300000-"]
    assert target.read_bytes() == CONTENT
    assert left_in(target) == ["weights.pth"]


def test_a_server_that_cannot_resume_sends_all_of_it_again(server: Server, target: Path) -> None:
    server.plan = [Answer(cut=300_000), Answer(ranges=False)]
    assert fetch(server, target) == len(CONTENT)
    assert server.ranges_asked == [None, "bytes=300000-"]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_only_checked(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert server.ranges_asked == []


@pytest.mark.parametrize("left", [CONTENT + b"more", b"x" * len(CONTENT)], ids=["too-long", "other"])
def test_a_part_that_is_not_ours_is_thrown_away_and_the_next_try_succeeds(
    server: Server, target: Path, left: bytes
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(left)
    with pytest.raises(WeightsError, match="deleted"):
        fetch(server, target)
    assert left_in(target) == []
    assert fetch(server, target) == len(CONTENT)


def test_a_part_longer_than_what_the_server_has_does_not_block_for_ever(server: Server, target: Path) -> None:
    """Its answer is 416: the file there was cut for a while, or is another one."""
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 500_000)
    server.content = CONTENT[:400_000]
    with pytest.raises(WeightsError, match="ended after 400000 of 700001 bytes"):
        fetch(server, target, attempts=2)
    assert server.ranges_asked == ["bytes=500000-", None]
    assert part_of(target).read_bytes() == CONTENT[:400_000]
    server.content = CONTENT
    assert fetch(server, target) == len(CONTENT)


@pytest.mark.parametrize("status", [404, 403, 401])
def test_a_refusal_is_reported_at_once(server: Server, target: Path, status: int, pauses: list[float]) -> None:
    server.plan = [Answer(status=status)]
    with pytest.raises(WeightsError, match=rf"weights\.pth answers {status}"):
        fetch(server, target)
    assert pauses == []
    assert left_in(target) == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again_after_growing_pauses(
    server: Server, target: Path, status: int, pauses: list[float]
) -> None:
    server.plan = [Answer(status=status)] * 3
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= 10


def test_a_server_that_stays_in_trouble_is_given_up(server: Server, target: Path, pauses: list[float]) -> None:
    server.plan = [Answer(status=503)] * 50
    with pytest.raises(WeightsError, match="answers 503"):
        fetch(server, target)
    assert (len(server.ranges_asked), len(pauses)) == (5, 4)


def test_other_bytes_than_published_are_thrown_away(server: Server, target: Path) -> None:
    server.content = b"x" * len(CONTENT)
    with pytest.raises(WeightsError, match=r"gave a file with checksum .*deleted"):
        fetch(server, target)
    assert left_in(target) == []


@pytest.mark.timeout(30)
def test_an_endless_answer_is_cut_off(server: Server, target: Path) -> None:
    server.plan = [Answer(endless=True)]
    with pytest.raises(WeightsError, match="deleted"):
        fetch(server, target)
    assert left_in(target) == []
    assert server.hung_up.wait(60)
    assert server.sent < 30 * len(CONTENT)  # what fits into the sockets' buffers


def test_redirects_are_followed(server: Server, target: Path) -> None:
    server.plan = [Answer(status=302, location="/elsewhere")]
    assert fetch(server, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_a_closed_port_is_reported_at_once(server: Server, target: Path, pauses: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    remote = replace(server.remote, url=f"http://127.0.0.1:{port}/weights.pth")
    with pytest.raises(WeightsError, match=rf"cannot reach http://127\.0\.0\.1:{port}/weights\.pth: .*refused"):
        download.download(remote, target)
    assert pauses == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "nonsense", "http://[/a"])
def test_an_address_that_is_none_is_refused(server: Server, target: Path, url: str) -> None:
    with pytest.raises(WeightsError, match="cannot reach"):
        download.download(replace(server.remote, url=url), target)


def test_an_older_file_stays_until_the_new_one_is_right(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.content = b"x" * len(CONTENT)
    with pytest.raises(WeightsError):
        fetch(server, target)
    assert target.read_bytes() == b"old"
    server.content = CONTENT
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_reported_before_anything_is_fetched(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=67_108_864 + len(CONTENT) - 1)  # 64 MB must stay free
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(DiskFull):
        fetch(server, target)
    assert server.ranges_asked == []
    target.parent.mkdir(exist_ok=True)
    part_of(target).write_bytes(CONTENT[:1])  # what is here already needs no room
    assert fetch(server, target) == len(CONTENT)


def test_a_folder_that_cannot_be_made_is_the_caches_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="WORDSIGHT_CACHE"):
        fetch(server, tmp_path / "file" / "downloads" / "weights.pth")


def test_the_published_files_are_named_by_their_address() -> None:
    assert RemoteFile("https://nlp.stanford.edu/data/glove.6B.zip", 1, "").name == "glove.6B.zip"
