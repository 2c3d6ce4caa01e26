"""Who may ask, from where, and for what: each promise of `query serve` broken on purpose."""

from __future__ import annotations

import hmac
import http.server
import io
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from ingest.collection import features_of
from ingest.records import stable_id
from ingest.stores import SEMANTIC, VISUAL, Point
from query.serve import DEFAULT_HOST
from query.web import ASSETS
from query.web.access import Access
from query.web.server import listen
from tests.commands import command, refused
from tests.query.conftest import Photos
from tests.query.test_web_api import JPEG, get, picture, problem
from tests.serving import serving

TOKEN = "correct-horse-battery-staple"
ANSWERED = {"q": "cat"}


def access(host: str = "127.0.0.1", token: str = "", no_token: bool = False, allowed: tuple[str, ...] = ()) -> Access:
    return Access.decide(host, token, no_token, allowed)


def ask(client: httpx.Client, **headers: str) -> int:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get("/api/v1/text", params=ANSWERED, headers=names).status_code


def test_only_this_machine_is_listened_to_unless_told() -> None:
    assert DEFAULT_HOST == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks for the way
        except OSError:
            pytest.skip("this machine has no other address")
        outer = probe.getsockname()[0]
    with listen(DEFAULT_HOST, 0) as listening, socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect((outer, listening.getsockname()[1]))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.7.7", "photos.example"])
def test_another_host_needs_a_token_or_a_word_that_it_needs_none(host: str, photos: Photos) -> None:
    refused(command("query", "serve", "--host", host, "--store", photos.store.root), host, "--token", "--no-token")
    assert access(host, token=TOKEN).token == TOKEN
    assert access(host, no_token=True).token == ""


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append({one, other})
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert not access(token=TOKEN).is_token("wrong")
    assert compared == [{b"wrong", TOKEN.encode()}]
    assert not access().is_token("")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", "", "["])
def test_a_rebound_name_is_refused(client: httpx.Client, host: str) -> None:
    problem(client.get("/api/v1/text", params=ANSWERED, headers={"Host": host}), 421, "not called")
    assert client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "[::1]:8000", "127.0.0.1", "127.1.2.3:80"])
def test_names_of_this_machine_are_taken(client: httpx.Client, host: str) -> None:
    assert ask(client, Host=host) == 200


def test_a_server_for_others_goes_by_its_addresses_and_the_names_allowed(photos: Photos) -> None:
    open_to_all = access("0.0.0.0", no_token=True, allowed=("Photos.example",))
    with serving(photos.store, "photos", open_to_all) as client:
        assert ask(client, Host="192.168.1.20:8000") == 200
        assert ask(client, Host="photos.example") == 200
        assert ask(client, Host=socket.gethostname()) == 200
        assert ask(client, Host="evil.example") == 421


def test_pages_of_other_sites_get_nothing(client: httpx.Client) -> None:
    here = str(client.base_url).rstrip("/")
    assert ask(client, Sec_Fetch_Site="cross-site") == 403
    assert ask(client, Sec_Fetch_Site="same-site") == 403
    assert ask(client, Origin="http://evil.example") == 403
    assert ask(client, Origin="null") == 403
    assert ask(client, Origin=here.replace("127.0.0.1", "localhost")) == 403
    assert ask(client, Origin=f"http://127.0.0.1:{client.base_url.port - 1}") == 403, "another server of this machine"
    assert ask(client, Origin="http://127.0.0.1") == 403
    assert ask(client, Origin=here, Host=f"127.0.0.1:{client.base_url.port - 1}") == 403
    assert ask(client, Origin=here) == 200
    assert ask(client, Origin=here, Sec_Fetch_Site="same-origin") == 200
    assert ask(client, Sec_Fetch_Site="none") == 200
    answer = client.get("/api/v1/text", params=ANSWERED, headers={"Origin": here})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200  # a link to the page may be followed
    assert client.get("/api/v1/text", params=ANSWERED, headers=link).status_code == 403
    assert client.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_can_send_nothing(client: httpx.Client, kind: str) -> None:
    problem(client.post("/api/v1/uploads", content=b"x", headers={"Content-Type": kind}), 415)


def test_the_content_policy_lets_nothing_in_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/api/docs", "/assets/app.js", "/api/v1/text?q=cat", "/api/v1/nothing"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        sources = {name: value for name, value in policy.items() if name.endswith("-src") and name != "default-src"}
        assert set(sources.values()) == {"'self'"}
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_needs_nothing_from_elsewhere_and_writes_no_html() -> None:
    files = [path for path in ASSETS.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}]
    assert len(files) > 8
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|document\.write|eval\(", text), path.name
        if path.suffix == ".html":
            assert not re.search(r"<style|<script(?![^>]*\bsrc=\"(\.\./)?assets/)|\son\w+=|\sstyle=", text), path.name
        assert len(text.splitlines()) <= 400


def test_no_path_of_a_client_is_followed(client: httpx.Client, photos: Photos) -> None:
    for id in ("..%2F..%2Fetc%2Fpasswd", "cat%2Fchelsea.png", "coffee", "%00"):
        assert client.get(f"/api/v1/pictures/{id}/original").status_code in (400, 404)
    for name in ("../photos", "..", "/etc", "photos/../photos", ".", "\x00"):
        answer = client.get("/api/v1/text", params={**ANSWERED, "collection": name})
        problem(answer, 404, "is served here")
    for path in ("/assets/../library.py", "/assets/%2e%2e/library.py", "/assets/..%2flibrary.py"):
        assert client.get(path).status_code == 404
    for under in ("/etc", "../..", str(photos.folder)):
        assert get(client, "text", q="cat", under=under)["results"] == []


def test_only_the_collection_named_is_served(photos: Photos) -> None:
    metadata = photos.store.metadata("photos")
    with photos.store.create("other", metadata) as other:
        other.save(metadata)
    try:
        with serving(photos.store, "photos", only=True) as client:
            assert [one["name"] for one in get(client, "collections")] == ["photos"]
            problem(client.get("/api/v1/text", params={**ANSWERED, "collection": "other"}), 404)
        with serving(photos.store, "photos") as client:
            assert [one["name"] for one in get(client, "collections")] == ["other", "photos"]
            tags = next(name for name in photos.store.names() if name.startswith("tags-"))
            problem(client.get("/api/v1/text", params={**ANSWERED, "collection": tags}), 404)
    finally:
        photos.store.drop("other")


@contextmanager
def holding(photos: Photos, path: str) -> Iterator[str]:
    """The collection with one more point, of a file at ``path``; gives its id."""
    cat = stable_id("cat/chelsea.png")
    with photos.store.open("photos", write=True) as collection:
        point = collection.retrieve([cat], [VISUAL, SEMANTIC])[cat]
        vectors = {VISUAL: features_of(point), SEMANTIC: point.vectors[SEMANTIC]}
        payload = {**point.payload, "path": path, "sha256": stable_id(path).hex * 2}
        collection.upsert([Point(stable_id(path), vectors, payload)])
    try:
        yield str(stable_id(path))
    finally:
        with photos.store.open("photos", write=True) as collection:
            collection.delete([stable_id(path)])


@pytest.mark.parametrize("path", ["../secret.png", "cat/../../secret.png", "cat/link.png", "linked/secret.png"])
def test_what_leads_out_of_the_dataset_is_refused(client: httpx.Client, photos: Photos, path: str) -> None:
    """Also where the store says so: a Qdrant server that others write to may say anything."""
    outside = photos.folder.parent
    secret = outside / "secret.png"
    secret.write_bytes((photos.folder / "cat" / "chelsea.png").read_bytes())
    links = {photos.folder / "cat" / "link.png": secret, photos.folder / "linked": outside}
    for link, target in links.items():
        link.symlink_to(target)
    try:
        with holding(photos, path) as id:
            problem(client.get(f"/api/v1/pictures/{id}/original"), 403, "outside the dataset")
            problem(client.get(f"/api/v1/pictures/{id}/thumbnail"), 403, "outside the dataset")
    finally:
        for link in links:
            link.unlink()


def test_a_link_inside_the_dataset_is_followed_and_a_pipe_is_not_waited_for(
    client: httpx.Client, photos: Photos
) -> None:
    inside, pipe = photos.folder / "cat" / "again.png", photos.folder / "cat" / "pipe.png"
    inside.symlink_to(photos.folder / "cat" / "chelsea.png")
    os.mkfifo(pipe)
    try:
        with holding(photos, "cat/again.png") as id:
            assert client.get(f"/api/v1/pictures/{id}/original").content == inside.read_bytes()
        with holding(photos, "cat/pipe.png") as id:
            problem(client.get(f"/api/v1/pictures/{id}/original"), 403, "not a regular file")
    finally:
        inside.unlink()
        pipe.unlink()


def test_a_page_that_calls_itself_a_picture_stays_one(client: httpx.Client, photos: Photos) -> None:
    file = photos.folder / "cat" / "page.html.jpg"
    file.write_text("<script>alert(1)</script>")
    try:
        with holding(photos, "cat/page.html.jpg") as id:
            answer = client.get(f"/api/v1/pictures/{id}/original")
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            problem(client.get(f"/api/v1/pictures/{id}/thumbnail"), 415)
    finally:
        file.unlink()


def test_thumbnails_carry_no_metadata(client: httpx.Client, photos: Photos) -> None:
    assert b"SecretCam" in (photos.folder / "coffee" / "turned.jpg").read_bytes()
    data = client.get(picture(client, "coffee/turned.jpg")["thumbnail"]).content
    kept = client.post(
        "/api/v1/uploads", content=(photos.folder / "coffee" / "turned.jpg").read_bytes(), headers=JPEG
    ).json()
    for small in (data, client.get(kept["thumbnail"]).content):
        assert b"Secret" not in small
        image = Image.open(io.BytesIO(small))
        assert not image.getexif()
        assert not {"exif", "comment", "icc_profile"} & image.info.keys()


def test_uploads_are_limited_in_size_whatever_they_announce(photos: Photos) -> None:
    with serving(photos.store, "photos", max_upload=100_000) as client:
        large = b"\xff" * 100_001
        problem(client.post("/api/v1/uploads", content=large, headers=JPEG), 413, "--max-upload")
        pieces = (large[start : start + 10_000] for start in range(0, len(large), 10_000))
        problem(client.post("/api/v1/similar", content=pieces, headers=JPEG), 413, "--max-upload")
        address = urlsplit(str(client.base_url))
        with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
            head = f"POST /api/v1/uploads HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: image/jpeg\r\n"
            raw.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
            assert b" 413 " in raw.recv(1000)  # before a byte of it was sent


def test_pictures_are_limited_in_pixels(photos: Photos) -> None:
    bomb = io.BytesIO()
    Image.new("1", (2000, 1000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 1000
    with serving(photos.store, "photos", max_megapixels=1) as client:
        problem(client.post("/api/v1/uploads", content=bomb.getvalue(), headers=JPEG), 413, "2000 x 1000")


@pytest.fixture
def elsewhere(photos: Photos) -> Iterator[str]:
    """The address of a picture on another server."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=photos.folder)  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/cat/chelsea.png"
        server.shutdown()
        thread.join()


def test_addresses_are_fetched_for_nobody_unless_told(photos: Photos, elsewhere: str) -> None:
    with serving(photos.store, "photos") as client:
        problem(client.post("/api/v1/uploads", json={"url": elsewhere}), 403, "fetches no addresses")
    with serving(photos.store, "photos", fetch_urls=True, fetch_private=True) as client:
        found = client.post("/api/v1/similar", json={"url": elsewhere}).json()["results"]
        assert found[0]["path"] == "cat/chelsea.png"
        for url in ("file:///etc/passwd", str(photos.folder / "cat" / "chelsea.png"), "-"):
            problem(client.post("/api/v1/similar", json={"url": url}), 400, "no address")
        problem(client.post("/api/v1/similar", json=["x"]), 400, "no address")


def test_trouble_of_the_server_tells_no_path(photos: Photos, tmp_path: Path) -> None:
    """What a client is told of a damaged store is nothing of where it lies."""

    class Damaged(type(photos.store)):  # type: ignore[misc]
        def summary(self, name: str) -> None:
            raise RuntimeError(f"{tmp_path}/secret")

    with serving(Damaged(photos.store.root), "photos") as client:
        problem(client.get("/api/v1/collections"), 500, "the server failed")
