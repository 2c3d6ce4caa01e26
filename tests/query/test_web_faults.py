"""Clients that go away, say nothing, or ask for what is not there."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ingest.records import stable_id
from ingest.stores.embedded import EmbeddedStore
from model.errors import UsageError
from query.asking import ranking
from query.web import connections, questions
from query.web.access import Access
from query.web.sending import FileSent
from tests.copies import copy_store
from tests.query.conftest import Photos
from tests.query.test_web_api import get, picture, problem
from tests.query.test_web_security import TOKEN, holding
from tests.serving import serve, serving


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_folder_in_the_place_of_a_picture_is_not_served(client: httpx.Client, photos: Photos) -> None:
    folder = photos.folder / "cat" / "folder.jpg"
    folder.mkdir()
    try:
        with holding(photos, "cat/folder.jpg") as id:
            problem(client.get(f"/api/v1/pictures/{id}/original"), 403, "not a regular file")
            before = handles()
            for _ in range(10):
                problem(client.get(f"/api/v1/pictures/{id}/original"), 403)
                problem(client.get(f"/api/v1/pictures/{id}/thumbnail"), 403)
            assert handles() < before + 10
    finally:
        folder.rmdir()


def test_a_loop_of_links_in_the_place_of_a_picture_is_none(client: httpx.Client, photos: Photos) -> None:
    loop = photos.folder / "cat" / "loop.jpg"
    loop.symlink_to(loop)
    try:
        with holding(photos, "cat/loop.jpg") as id:
            problem(client.get(f"/api/v1/pictures/{id}/original"), 404, "cannot be read")
            problem(client.get(f"/api/v1/pictures/{id}/thumbnail"), 404)
    finally:
        loop.unlink()


def test_an_original_comes_with_its_size_and_name(client: httpx.Client, photos: Photos) -> None:
    original = client.get(picture(client, "coffee/turned.jpg")["original"])
    assert int(original.headers["content-length"]) == (photos.folder / "coffee" / "turned.jpg").stat().st_size
    assert original.headers["content-disposition"] == "inline; filename*=UTF-8''turned.jpg"


def test_an_original_that_is_known_is_not_sent_again(client: httpx.Client, photos: Photos) -> None:
    address = picture(client, "coffee/turned.jpg")["original"]
    tag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_tells_what_get_would(client: httpx.Client) -> None:
    original = picture(client, "coffee/turned.jpg")["original"]
    for address in ("/", "/api/docs", "/api/v1/health", "/api/v1/collections", "/api/v1/text?q=cat", original):
        head, got = client.head(address), client.get(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == got.headers["content-length"]
    assert client.head("/api/v1/nothing").status_code == 404


def test_an_original_that_grows_or_shrinks_while_it_is_sent_is_as_long_as_announced(tmp_path: Path) -> None:
    changing = tmp_path / "changing.jpg"

    def body(then: bytes) -> bytes:
        changing.write_bytes(b"12345")
        response = FileSent(changing.open("rb"), "image/jpeg", {})
        changing.write_bytes(then)
        parts: list[bytes] = []

        async def send(message: Any) -> None:
            parts.append(message.get("body", b""))

        async def receive() -> Any:
            return await asyncio.Event().wait()

        asyncio.run(response({"type": "http", "method": "GET", "headers": []}, receive, send))
        return b"".join(parts)

    assert body(b"1234567890") == b"12345"
    assert body(b"123") == b"123"


def test_a_part_of_an_original_is_sent_where_one_is_asked_for(client: httpx.Client, photos: Photos) -> None:
    address = picture(client, "coffee/turned.jpg")["original"]
    whole = (photos.folder / "coffee" / "turned.jpg").read_bytes()
    size = len(whole)
    for asked, begin, end in [("0-4", 0, 5), ("5-", 5, size), ("-7", size - 7, size), (f"3-{size * 2}", 3, size)]:
        part = client.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, whole[begin:end])
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    for asked in (f"{size}-", "-0"):
        gone = client.get(address, headers={"Range": f"bytes={asked}"})
        problem(gone, 416, str(size))
        assert gone.headers["content-range"] == f"bytes */{size}"
    for asked in ("5-2", "0-1,3-4", "x-y", "-"):
        assert client.get(address, headers={"Range": f"bytes={asked}"}).status_code == 200
    tag = client.get(address).headers["etag"]
    assert client.get(address, headers={"Range": "bytes=0-4", "If-Range": tag}).status_code == 206
    assert client.get(address, headers={"Range": "bytes=0-4", "If-Range": '"old"'}).content == whole
    assert "attachment" in client.get(address + "&download=true").headers["content-disposition"]


def test_a_client_that_goes_away_while_it_sends_is_no_news(photos: Photos) -> None:
    with serve("--store", photos.store.root) as served:
        address = urlsplit(served.address)
        for _ in range(3):
            with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
                head = f"POST /api/v1/uploads HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: image/jpeg\r\n"
                raw.sendall(f"{head}Content-Length: 100000\r\n\r\nbegin".encode())
        assert httpx.get(f"{served.address}api/v1/health").status_code == 200
        assert served.end() == 0 or served.process.returncode == 130
        assert served.process.stderr is not None
        assert served.process.stderr.read() == b""


def test_a_connection_that_says_nothing_is_closed(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with serving(photos.store, "photos") as client:
        address = urlsplit(str(client.base_url))
        for begin in (b"", b"GET / HT"):
            with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
                raw.sendall(begin)
                assert raw.recv(100) == b""
        assert client.get("/api/v1/health").status_code == 200


def test_a_question_that_does_not_end_after_another_is_not_waited_for(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    with serving(photos.store, "photos") as client:
        address = urlsplit(str(client.base_url))
        ask = f"GET /api/v1/health HTTP/1.1\r\nHost: {address.netloc}\r\n".encode()
        with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
            for _ in range(2):
                raw.sendall(ask + b"\r\n")
                answer = b""
                while not answer.endswith(b"}"):  # head and body may come apart
                    answer += raw.recv(1000)
                assert answer.startswith(b"HTTP/1.1 200")
            with suppress(ConnectionError):
                for _ in range(200):
                    raw.sendall(b"x")
                    time.sleep(0.05)
                pytest.fail("ten seconds later it still waits")


def test_a_weight_out_of_all_proportion_is_the_clients_mistake(client: httpx.Client) -> None:
    weight = "9" * 400
    id = stable_id("cat/chelsea.png")
    for path, asked in (("text", {}), ("words", {}), ("similar", {"id": str(id)})):
        problem(client.get(f"/api/v1/{path}", params={"q": f"{weight}:cat", **asked}), 400, "1000 is the most")


def test_an_address_where_nothing_is_and_values_that_are_wrong_are_told(client: httpx.Client) -> None:
    problem(client.get("/api/v1/nothing"), 404, "GET /api/v1/nothing: not found", "/api/docs")
    problem(client.post("/api/v1/text"), 405, "POST /api/v1/text: method not allowed")
    problem(client.get("/assets/__init__.py"), 404)
    problem(client.get("/api/v1/text"), 400, "q is missing")
    problem(client.get("/api/v1/text?q=cat&colection=photos"), 400, "no parameter 'colection'", "/api/docs")
    problem(client.get("/api/v1/text?q=cat&limit=999"), 400, "limit is '999': it should be less than or equal to 200")


@pytest.mark.parametrize("name", ["photos.example:8000", "https://photos.example", "", "a b", "."])
def test_an_allowed_host_is_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="--allow-host takes a name"):
        Access.decide("0.0.0.0", TOKEN, no_token=False, allowed=[name])


def test_where_paging_ends_is_told(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MAX_OFFSET", 5)
    page = get(client, "text", q="animal", limit=4)
    assert page["next"] == 4
    page = get(client, "text", q="animal", limit=4, offset=4)
    assert (page["next"], len(page["results"])) == (None, 4)
    assert "no more than 8 are shown" in page["note"]


def test_that_the_others_are_no_answers_is_told_at_the_end(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection by classes finds only what shows one of those that are meant."""
    nearest = ranking.Ranking._nearest
    monkeypatch.setattr(ranking.Ranking, "_nearest", lambda *asked: nearest(*asked)[:13])
    told = "of 16 pictures 3 show nothing of what was asked for: they are no answers"
    assert get(client, "text", q="animal", limit=5, names=False)["note"] == ""
    last = get(client, "text", q="animal", limit=5, offset=10, names=False)
    assert (len(last["results"]), last["total"], last["cursor"], last["note"]) == (3, 16, None, told)
    assert get(client, "text", q="animal", sort="name", limit=5, offset=10, names=False)["note"] == told
    assert get(client, "text", q="animal", limit=20, names=False, min_score=-1)["note"] == ""
    id = picture(client, "cat/chelsea.png")["id"]
    assert get(client, "similar", id=id, limit=20)["note"] == told.replace("3 show", "2 show")


@pytest.mark.parametrize("vector", ["visual", "semantic", "both"])
@pytest.mark.parametrize("more", [{}, {"q": "cat"}, {"min_score": "auto"}, {"minus": True, "min_score": "auto"}])
def test_every_page_is_of_one_list(client: httpx.Client, vector: str, more: dict[str, Any]) -> None:
    if "q" in more and vector == "visual":
        return  # words have no look
    ids = [one["id"] for one in get(client, "pictures", limit=3)["results"]]
    asked = {"id": ids[0], "vector": vector, **more}
    if asked.pop("minus", None):
        asked["minus_id"] = ids[1:]
    whole = get(client, "similar", **asked, limit=100)
    pages, offset = [], 0
    while offset is not None:
        page = get(client, "similar", **asked, limit=3, offset=offset)
        pages += page["results"]
        offset = page["next"]
    assert [one["id"] for one in pages] == [one["id"] for one in whole["results"]]
    assert len({one["id"] for one in pages}) == len(pages)
    assert page["ends"] == whole["ends"]


@pytest.mark.parametrize(("depth", "told"), [(10, "only the 10 nearest by each vector are fused"), (16, "")])
def test_where_not_all_pictures_are_fused_it_is_told(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, depth: int, told: str
) -> None:
    monkeypatch.setattr(ranking, "DEPTH", depth)
    id = get(client, "pictures", limit=1)["results"][0]["id"]
    assert get(client, "similar", id=id, vector="both", limit=100)["note"] == told
    assert get(client, "similar", id=id, vector="visual", limit=100)["note"] == ""


def test_what_does_not_stand_out_is_told_also_where_the_pictures_asked_about_do_not_pass(client: httpx.Client) -> None:
    pictures = get(client, "pictures", limit=100)["results"]
    asked = [one["id"] for one in pictures if one["label"] == "cat"] * 3
    labels = [one["label"] for one in pictures if one["label"] not in ("cat", None)]
    answer = get(client, "similar", id=asked, label=labels, min_score="auto", limit=100)
    assert answer["standing"] < len(answer["results"])
    assert answer["ends"]


def test_a_collection_that_was_dropped_is_told_without_the_others(photos: Photos, tmp_path: Path) -> None:
    copy_store(photos.store.root, tmp_path / "store")
    store = EmbeddedStore(tmp_path / "store")
    with serving(store, "photos", only=True) as client:
        assert client.get("/api/v1/text", params={"q": "cat"}).status_code == 200
        store.drop("photos")
        for address in ("text?q=cat", "pictures", "collections", "collections/photos"):
            answer = client.get(f"/api/v1/{address}")
            problem(answer, 404, "no collection 'photos' is served here")
            assert str(tmp_path) not in answer.text
        ready = client.get("/readyz")
        problem(ready, 503, "the collection that is served is no longer there")
        assert ready.json()["code"] == "no-collection"
