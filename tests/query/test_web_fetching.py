"""`--fetch-urls`: which addresses a server fetches for its clients, and what it tells of those that it does not."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from query.web import fetching
from query.web.fetching import NOT_FETCHED, NotFetched, fetch, is_public, public_address
from tests.query.conftest import Photos
from tests.query.test_web_api import problem
from tests.serving import serving

NOT_PUBLIC = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
    "2001:db8::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001::1",
]  # fmt: skip
"""Each is this machine, its network, or nobody's."""


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_not_everybody_reaches_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_everybody_reaches_is(address: str) -> None:
    assert is_public(address)


class Handler(http.server.BaseHTTPRequestHandler):
    """``/to?ADDRESS`` redirects there; all else is a few bytes."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"secret")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def inside() -> Iterator[tuple[int, list[str]]]:
    """A server that only this machine reaches: its port, and what it was asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, server.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "[::ffff:127.0.0.1]",
    "0",
    "[::1]",
]


def test_no_spelling_of_this_machine_is_fetched() -> None:
    with inside() as (port, asked):
        for host in SPELLINGS:
            with pytest.raises(NotFetched, match="no picture came"):
                fetch(f"http://{host}:{port}/x.jpg", 100, private=False)
        assert asked == []
        with fetch(f"http://127.0.0.1:{port}/x.jpg", 100, private=True) as file:
            assert file.read() == b"secret"
        with pytest.raises(NotFetched):
            fetch(f"http://127.0.0.1:{port}/x.jpg", 5, private=True)


def test_a_name_is_looked_up_once_and_every_redirect_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked at and private when it is connected to reaches nobody."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: int, **more: int) -> list[tuple[object, ...]]:
        looked_up.append(host)
        return real("127.0.0.1" if host == "elsewhere.example" else host, port, *rest, **more)

    with inside() as (port, asked):
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(NotFetched):
            public_address("elsewhere.example", port)
        # The first hop is let through, as if it were public, and leads to this machine.
        monkeypatch.setattr(fetching, "is_public", lambda address: len(asked) < 1)
        with pytest.raises(NotFetched):
            fetch(f"http://elsewhere.example:{port}/to?http://127.0.0.1:{port}/secret", 100, private=False)
        assert asked == [f"/to?http://127.0.0.1:{port}/secret"]
        assert looked_up.count("127.0.0.1") >= 1


def test_all_failures_are_told_alike(photos: Photos) -> None:
    with inside() as (port, _), serving(photos.store, "photos", fetch_urls=True) as client:
        for url in (
            f"http://127.0.0.1:{port}/there",
            "http://127.0.0.1:9/nobody-listens",
            "http://no.such.host.invalid/",
            "http://[",
            "http://x:99999999/",
            "https://",
        ):
            answer = client.post("/api/v1/similar", json={"url": url})
            problem(answer, 422, NOT_FETCHED)
    with inside() as (port, _), serving(photos.store, "photos", fetch_urls=True, fetch_private=True) as client:
        answer = client.post("/api/v1/similar", json={"url": f"http://127.0.0.1:{port}/no-picture"})
        problem(answer, 422, NOT_FETCHED)


def test_json_that_is_nested_too_deeply_is_a_mistake_of_the_client(photos: Photos) -> None:
    with serving(photos.store, "photos", fetch_urls=True) as client:
        for nested in (b"[" * 4000, b'{"url":' + b"[" * 4000):
            answer = client.post("/api/v1/similar", content=nested, headers={"Content-Type": "application/json"})
            problem(answer, 400, "no address")
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_fetching_of_private_addresses_needs_that_of_any(photos: Photos) -> None:
    from tests.commands import command, refused

    refused(command("query", "serve", "--fetch-private", "--store", photos.store.root), "--fetch-urls")


def test_a_client_of_this_kind_follows_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with inside() as (port, asked), fetch(f"http://127.0.0.1:{port}/x", 100, private=True):
        assert asked == ["/x"]
    assert httpx.Client  # the library reads that variable, unless told
