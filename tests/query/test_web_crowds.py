"""Clients that take places and do nothing with them: silent, dribbling, not reading. Each locked others out once."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from query.web import body, connections
from query.web.connections import Connection
from query.web.places import Full, Places
from tests.query.conftest import Photos
from tests.query.test_web_api import JPEG, get, problem
from tests.query.test_web_security import holding
from tests.serving import serve, serving
from tests.waiting import wait_until


@contextmanager
def connected(client: httpx.Client, number: int, begin: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections, over each of which ``begin`` was sent."""
    address = urlsplit(str(client.base_url))
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            made.append(stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=30)))
            with suppress(ConnectionError):
                made[-1].sendall(begin)
        yield made


@contextmanager
def sending(client: httpx.Client, number: int) -> Iterator[list[socket.socket]]:
    """So many connections over each of which the server waits for the rest of a picture."""
    begin = head(
        client, "POST /api/v1/uploads", "Content-Type: image/jpeg", "Content-Length: 9", "Expect: 100-continue"
    )
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            made += stack.enter_context(connected(client, 1, begin))
            assert b"100 Continue" in made[-1].recv(4000)
        yield made


def head(client: httpx.Client, request: str, *more: str) -> bytes:
    netloc = urlsplit(str(client.base_url)).netloc
    return "\r\n".join([f"{request} HTTP/1.1", f"Host: {netloc}", *more, "", ""]).encode()


def to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(4000), b""))


def small() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((60, 40), 80).save(file, "JPEG")
    return file.getvalue()


def is_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_silent_connections_make_room_for_those_that_ask(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    with serving(photos.store, "photos") as client, connected(client, 60) as silent:
        for _ in range(5):
            with httpx.Client(base_url=client.base_url, timeout=30) as another:
                assert another.get("/api/v1/health").status_code == 200
        wait_until(lambda: sum(map(is_ended, silent)) >= 40)
        assert not is_ended(silent[-1])


def test_of_one_client_there_are_only_so_many(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GRACE_SECONDS", 60)
    monkeypatch.setattr(connections, "MOST_OF_CLIENT", 5)
    monkeypatch.setattr(connections, "_is_here", lambda address: False)
    with serving(photos.store, "photos") as client, sending(client, 5), connected(client, 1) as (late,):
        answer = to_end(late)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in answer
    assert b"nosniff" in answer


def test_whether_it_is_alive_is_told_though_all_connections_are_busy(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "GRACE_SECONDS", 60)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 8)
    with serving(photos.store, "photos") as client, sending(client, 8):
        problem(client.get("/api/v1/text?q=cat"), 503, "too many connections")
        assert client.get("/livez").status_code == 200


def test_a_client_that_does_not_read_is_not_waited_for(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.3)
    large = photos.folder / "cat" / "large.png"
    large.write_bytes(b"x" * 12_000_000)
    try:
        with holding(photos, "cat/large.png") as id, serving(photos.store, "photos") as client:
            ask = head(client, f"GET /api/v1/pictures/{id}/original")
            before = open_files(large)
            with connected(client, 10, ask) as unread:
                wait_until(lambda: open_files(large) > before)
                wait_until(lambda: open_files(large) == before)
                for one in unread:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert client.get(f"/api/v1/pictures/{id}/original").content == large.read_bytes()
    finally:
        large.unlink()


def open_files(path: Path) -> int:
    def is_it(link: Path) -> bool:
        with suppress(OSError):
            return link.readlink() == path
        return False

    return sum(is_it(link) for link in Path("/proc/self/fd").iterdir())


def test_those_who_dribble_are_out_before_others_have_waited_long(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "GRACE_SECONDS", 0.5)
    with serving(photos.store, "photos") as client:
        dribble = head(client, "POST /api/v1/uploads", "Content-Type: image/jpeg", "Content-Length: 9000") + b"x"
        with connected(client, 64, dribble) as slow:
            assert client.post("/api/v1/uploads", content=small(), headers=JPEG).status_code == 201
            answers = [one.recv(4000) for one in slow]
            assert all(one.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 503 ")) for one in answers)
            assert sum(one.startswith(b"HTTP/1.1 408 ") for one in answers) >= 32


def test_more_bodies_than_can_wait_are_sent_away_at_once(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GRACE_SECONDS", 60)
    monkeypatch.setattr(body, "MOST_WAITING", 4)
    with serving(photos.store, "photos") as client:
        begun = head(client, "POST /api/v1/uploads", "Content-Type: image/jpeg", "Content-Length: 9000") + b"x"
        with sending(client, body.MOST_OF_CLIENT), connected(client, 4, begun):
            answers: list[httpx.Response] = []

            def is_full() -> bool:
                with suppress(httpx.ReadTimeout):
                    answers.append(client.post("/api/v1/uploads", content=small(), headers=JPEG, timeout=0.2))
                return bool(answers)

            wait_until(is_full)
            problem(answers[-1], 503, "receiving pictures", "try again")
            assert answers[-1].headers["retry-after"] == "5"
            assert "wordsight_bodies_being_received 32" in client.get("/metrics").text


def test_places_go_round_and_are_given_back() -> None:
    import asyncio

    async def all_of_it() -> list[str]:
        places = Places("thinking", most=2, of_client=1, waiting=2)
        order: list[str] = []

        async def use(client: str) -> None:
            async with places.place(client):
                order.append(client)
                await asyncio.sleep(0)

        async with places.place("a"):
            waiting = [asyncio.ensure_future(use(client)) for client in ("a", "b")]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert order == ["b"]  # the second of one client waits, and nobody behind it does
            gone = asyncio.ensure_future(use("a"))
            await asyncio.sleep(0)
            with pytest.raises(Full, match="thinking"):
                await use("a")
            gone.cancel()
        await asyncio.gather(*waiting, gone, return_exceptions=True)
        assert places.taken == 0
        return order

    assert asyncio.run(all_of_it()) == ["b", "a"]


def test_a_length_beside_an_encoding_is_refused(client: httpx.Client) -> None:
    both = head(client, "POST /api/v1/uploads", "Content-Length: 5", "Transfer-Encoding: chunked")
    with connected(client, 1, both + b"0\r\n\r\n") as (one,):
        answer = to_end(one)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"contradict" in answer
    assert b"nosniff" in answer


def test_what_is_no_request_at_all_is_answered_with_all_headers(client: httpx.Client) -> None:
    with connected(client, 1, b"\x00\x01 rubbish\r\n\r\n") as (one,):
        answer = to_end(one).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert "Content-Security-Policy" in answer
    assert answer.endswith('"code": "invalid"}')


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "https://[x]"])
def test_an_origin_that_is_none_is_a_mistake_of_the_client(client: httpx.Client, origin: str) -> None:
    answer = client.get("/api/v1/text?q=cat", headers={"Origin": origin})
    problem(answer, 400, "is no origin")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_uploads_are_few_for_one_client_and_can_be_removed(client: httpx.Client) -> None:
    first = client.post("/api/v1/uploads", content=small(), headers=JPEG).json()["id"]
    assert client.get(f"/api/v1/pictures/{first}/thumbnail").status_code == 200
    assert client.delete(f"/api/v1/uploads/{first}").status_code == 204
    problem(client.get(f"/api/v1/pictures/{first}/thumbnail"), 404, "is gone")
    problem(client.delete(f"/api/v1/uploads/{first}"), 404)
    ids = [client.post("/api/v1/uploads", content=small(), headers=JPEG).json()["id"] for _ in range(51)]
    problem(client.get(f"/api/v1/pictures/{ids[0]}/thumbnail"), 404)
    assert get(client, "tags", id=ids[1])["results"]


def test_term_answers_what_it_can_and_tells_the_others_to_come_back(photos: Photos) -> None:
    with serve("--store", photos.store.root) as served, httpx.Client(base_url=served.address) as client:
        with sending(client, 1) as (half,):
            served.process.terminate()
            answer = half.recv(4000)
        assert served.process.wait(30) == -15
        assert served.process.stderr is not None
        told = served.process.stderr.read().decode().splitlines()
    assert answer.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 408 "))
    assert len(told) == 1
    assert told[0].startswith("ended: ")


def test_files_may_be_opened_for_all_connections() -> None:
    assert connections.room_for_connections() >= 32
    assert Connection.most >= 8
