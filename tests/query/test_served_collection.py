"""The Python interface pointed at a running `query serve`: the same questions, the same answers, the same errors."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

import query
from ingest.errors import CollectionNotFound, StoreUnreachable
from ingest.records import stable_id
from model.errors import PictureError, PictureGone, UsageError, WordsError
from query import PictureCollection, ServedCollection, open_collection
from query.served_collection import is_served
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
    with pytest.raises(CollectionNotFound, match="there are photos"):
        open_collection(str(client.base_url), "nothere")
    with pytest.raises(StoreUnreachable):
        ServedCollection("http://127.0.0.1:9")
    assert not is_served("http://127.0.0.1:9")
    assert "photos" in repr(served)
    assert query.ServedCollection is ServedCollection


def test_a_token_lets_in(photos: Photos) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        url = str(client.base_url)
        with open_collection(url, token=TOKEN) as opened:
            assert opened.name == "photos"
        with pytest.raises(UsageError, match="token is required"):
            open_collection(url)
