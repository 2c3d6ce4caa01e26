"""The sample photographs as a collection, for what is tested over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

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
