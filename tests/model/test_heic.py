"""HEIC: read where its extra is installed, and told where it is not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from model.errors import PictureError
from model.pictures import decode as picture
from model.pictures import open_picture, reader_version
from tests.model.photos import make_photo, pixels, saved, turned


def heic(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return saved(image, "HEIF", quality=100, chroma=444)


def test_heic_is_read_where_its_extra_is_installed() -> None:
    opened = open_picture(heic(make_photo()), name="IMG_0001.HEIC")
    assert np.abs(pixels(opened) - pixels(make_photo())).mean() < 3


def test_a_turned_heic_is_upright() -> None:
    pytest.importorskip("pillow_heif")
    import pillow_heif

    pillow_heif.register_heif_opener()
    opened = open_picture(turned(6, "HEIF", quality=100), name="IMG_0001.HEIC")
    assert opened.size == (320, 240)
    assert np.abs(pixels(opened) - pixels(make_photo())).mean() < 3


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pillow-heif were not installed."""
    monkeypatch.setattr(picture, "find_spec", lambda name: None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    for cached in (picture.heic_available, picture.installed_formats):
        cached.cache_clear()
        monkeypatch.setattr(picture, cached.__name__, cached.__wrapped__)


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    picture.heic_available.cache_clear()
    picture.installed_formats.cache_clear()


@pytest.mark.usefixtures("without_heic")
def test_heic_without_its_extra_says_what_to_install() -> None:
    ftyp = struct.pack(">I", 24) + b"ftypheic" + b"\0\0\0\0mif1heic"
    with pytest.raises(PictureError, match=r"HEIC needs another package: pip install pillow-heif"):
        open_picture(ftyp + b"\0" * 100, name="IMG_0001.HEIC")


@pytest.mark.usefixtures("without_heic")
def test_a_jpeg_called_heic_needs_no_extra() -> None:
    assert open_picture(saved(make_photo(), "JPEG"), name="IMG_0001.HEIC").size == (320, 240)


@pytest.mark.usefixtures("without_heic")
def test_the_reader_version_tells_what_can_be_read() -> None:
    without = reader_version(200, 60)
    assert "heic" not in without
    assert len({without, reader_version(50, 60), reader_version(200, 90)}) == 3
