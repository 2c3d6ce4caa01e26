"""The sample photographs as a collection, for what is tested over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from ingest.collection import PROJECTION_FILE
from ingest.records import stable_id
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder
from model.words import Words
from tests.commands import command
from tests.copies import copy_store
from tests.photographs import sample
from tests.serving import serving


@dataclass(frozen=True)
class Photos:
    """``folder``: the dataset. ``store``: holds it as the collection ``photos``."""

    folder: Path
    store: EmbeddedStore


@pytest.fixture(scope="session")
def photos(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path, words: Words, encoder: Encoder, tags_store: Path
) -> Photos:
    """The sample photographs, one of them turned and with a place in its EXIF."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    place = tmp_path_factory.mktemp("served")
    folder = sample(place / "photos")
    _tell_place(folder / "coffee" / "coffee.png", folder / "coffee" / "turned.jpg")
    copy_store(tags_store, place / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        patch.setenv("WORDSIGHT_STORE", str(place / "store"))
        assert command("ingest", "run", folder, "--offline").status == 0
    return Photos(folder, EmbeddedStore(place / "store"))


def _tell_place(source: Path, target: Path) -> None:
    image = Image.open(source).convert("RGB").resize((600, 400)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: upright after a quarter
    exif[0x010F] = "SecretCam"
    exif.get_ifd(0x8825)[1] = "N"
    image.save(target, exif=exif, comment=b"SecretComment")


@pytest.fixture(scope="session")
def client(photos: Photos, shared_cache: Path) -> Iterator[httpx.Client]:
    """A client of the application that serves them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        with serving(photos.store, "photos") as made:
            yield made


@pytest.fixture(scope="module")
def two(photos: Photos) -> Iterator[EmbeddedStore]:
    """The photographs, and a collection of two of them under other names."""
    with photos.store.open("photos") as collection:
        points = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page][:2]
        metadata = collection.metadata
        projection = collection.read_file(PROJECTION_FILE)
    assert projection is not None
    with photos.store.create("other", replace(metadata, root="/gone")) as other:
        other.write_file(PROJECTION_FILE, projection)
        for point in points:
            path = f"other/{point.payload['path']}"
            other.upsert([Point(stable_id(path), point.vectors, {**point.payload, "path": path})])
    yield photos.store
    photos.store.drop("other")
