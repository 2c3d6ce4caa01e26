"""The Python interface pointed at a running `query serve`: the same questions, the same answers, the same errors."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from PIL import Image

import query
from ingest.errors import CollectionNotFound, StoreError, StoreUnreachable
from ingest.records import stable_id
from ingest.stores.embedded import EmbeddedStore
from model.errors import PictureError, PictureGone, UsageError, WordsError
from query import PictureCollection, ServedCollection, open_collection, served_collection
from tests.query.conftest import Photos
from tests.query.test_web_security import TOKEN, access
from tests.serving import serving


@pytest.fixture(scope="module")
def here(photos: Photos) -> Iterator[PictureCollection]:
    with open_collection(photos.store.root, "photos") as opened:
        assert isinstance(opened, PictureCollection)
        yield opened


@pytest.fixture
def served(client: httpx.Client) -> Iterator[ServedCollection]:
    with open_collection(str(client.base_url), "photos") as opened:
        assert isinstance(opened, ServedCollection)
        yield opened


def test_answers_are_those_of_the_store(here: PictureCollection, served: ServedCollection, photos: Photos) -> None:
    cat = photos.folder / "cat" / "chelsea.png"
    id = stable_id("cat/chelsea.png")
    for one, other in [
        (here.text("animal", limit=4, labels=["cat", "moon"]), served.text("animal", limit=4, labels=["cat", "moon"])),
        (here.text("cat", min_score="auto"), served.text("cat", min_score="auto")),
        (here.text("cat", names=False, ocr=False), served.text("cat", names=False, ocr=False)),
        (here.similar(id), served.similar(id)),
        (
            here.similar(id, plus="snow"),
            served.similar(id, plus="snow"),
        ),
    ]:
        assert [(hit.picture.id, hit.score, hit.stands_out) for hit in other] == [
            (hit.picture.id, hit.score, hit.stands_out) for hit in one
        ]
        assert (other.total, other.standing, other.has_more) == (one.total, one.standing, one.has_more)
    assert served.similar(cat).hits[0].picture.path == "cat/chelsea.png"  # it was sent, and is compared as any
    assert served.similar(Image.open(cat)).hits[0].picture.path == "cat/chelsea.png"
    assert [tag.word for tag in served.tags(stable_id("cat/chelsea.png"))] == [
        tag.word for tag in here.tags(stable_id("cat/chelsea.png"))
    ]


def test_all_pictures_and_their_files_are_had(served: ServedCollection, photos: Photos) -> None:
    pictures = served.pictures()
    assert [one.path for one in pictures] == sorted(one.path for one in pictures)
    assert len(pictures) == 16
    turned = next(one for one in pictures if one.path == "coffee/turned.jpg")
    assert turned.photo is not None
    assert "SecretCam" in turned.photo.camera
    assert served.original(turned.id) == (photos.folder / "coffee" / "turned.jpg").read_bytes()
    assert all(len(group.members) > 1 for group in served.duplicates())


def test_errors_are_of_the_same_kinds(served: ServedCollection, client: httpx.Client) -> None:
    with pytest.raises(WordsError, match="did you mean"):
        served.text("motorcycl xqzvw")
    with pytest.raises(UsageError, match="limit is '0'"):
        served.text("cat", limit=0)
    with pytest.raises(PictureGone):
        served.similar(stable_id("nothere"))
    with pytest.raises(PictureError, match="not a picture"):
        served.similar(b"rubbish")
    with pytest.raises(UsageError, match=r"^after takes a date such as 2019"):
        served.text("cat", after="soon")
    with pytest.raises(CollectionNotFound, match="there are photos"):
        open_collection(str(client.base_url), "nothere")
    with pytest.raises(StoreUnreachable, match=r"no `query serve` answers at http://127.0.0.1:9: "):
        ServedCollection("http://127.0.0.1:9")
    with pytest.raises(StoreUnreachable, match=r"no `query serve` answers at http://127.0.0.1:9, and no Qdrant server"):
        open_collection("http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor() as threads:
        threads.submit(_answer_something, other)
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StoreError, match=f"no `query serve` answers at {url}, and what answers at {url} is not"):
            open_collection(url)
        other.shutdown(socket.SHUT_RDWR)
    for token in ("", TOKEN):
        with pytest.raises(StoreUnreachable, match=f"no `query serve` answers at {client.base_url}/photos"):
            open_collection(f"{client.base_url}/photos", token=token)
    assert "photos" in repr(served)
    assert query.ServedCollection is ServedCollection


def _answer_something(listening: socket.socket) -> None:
    """As a server that is neither a `query serve` nor Qdrant."""
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")


def test_a_token_lets_in(photos: Photos) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        url = str(client.base_url)
        with open_collection(url, token=TOKEN) as opened:
            assert opened.name == "photos"
        with pytest.raises(UsageError, match="token is required"):
            open_collection(url)
        with pytest.raises(UsageError, match=f"^the token is wrong: {url}"):
            open_collection(url, token=TOKEN[::-1])


def test_more_answers_than_one_request_has_are_all_had(
    here: PictureCollection, served: ServedCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(served.text("animal", limit=1000).hits) == 16
    monkeypatch.setattr(served_collection, "MOST", 5)
    for asked in ({"limit": 1000}, {"limit": 12}, {"limit": 12, "offset": 3}, {"limit": 14, "min_score": "auto"}):
        one, other = here.text("animal", **asked), served.text("animal", **asked)
        assert [hit.picture.path for hit in other] == [hit.picture.path for hit in one]
        assert (other.total, other.has_more, other.standing, other.ends) == (
            one.total,
            one.has_more,
            one.standing,
            one.ends,
        )


def test_what_says_when_a_picture_was_taken_is_told(here: PictureCollection, served: ServedCollection) -> None:
    one, other = here.text("animal", limit=16), served.text("animal", limit=16)
    said = [hit.picture.photo.taken_from for hit in other if hit.picture.photo]
    assert said == [hit.picture.photo.taken_from for hit in one if hit.picture.photo]
    assert set(said) == {"file", "xmp"}


def test_of_several_collections_one_is_named_or_all(here: PictureCollection, two: EmbeddedStore) -> None:
    with serving(two, "photos") as client:
        url = str(client.base_url)
        with pytest.raises(CollectionNotFound, match=f"several collections at {url}: choose other | photos"):
            open_collection(url)
        with open_collection(url, "all") as every:
            assert isinstance(every, ServedCollection)
            found = every.text("cat", limit=18)
            assert (found.total, {hit.collection for hit in found}) == (18, {"other", "photos"})
            of_other = next(hit.picture.id for hit in found if hit.collection == "other")
            assert {hit.collection for hit in every.similar(of_other, limit=18)} == {"other", "photos"}
            assert len(every.pictures()) == 18
    with pytest.raises(UsageError, match=r"opened for one collection, a `query serve` for all of them: choose other"):
        open_collection(two.root, "all")
