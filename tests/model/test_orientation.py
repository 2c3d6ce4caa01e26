"""Photographs are upright, whatever their EXIF says and however broken it is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from model.encoders import Encoder
from model.pictures import open_framed, open_picture
from model.pictures.framing import frame
from tests.model.photos import ORIENTATION, make_photo, pixels, saved, turned


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    opened = open_picture(turned(orientation, file_format, **options))
    assert opened.size == (320, 240)
    assert np.array_equal(pixels(opened), pixels(make_photo()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sides_are_told_as_they_are_when_the_picture_is_upright(orientation: int, encoder: Encoder) -> None:
    framed = open_framed(turned(orientation, "JPEG"), encoder.spec.framing)
    assert (framed.width, framed.height) == (320, 240)


def test_the_same_photo_under_every_exif_tag_gives_the_same_vector(encoder: Encoder) -> None:
    framing = encoder.spec.framing
    lossless = [turned(orientation, "PNG") for orientation in range(1, 9)]
    camera = [turned(orientation, "JPEG", quality=100, subsampling=0) for orientation in range(1, 9)]
    vectors = encoder.encode(np.concatenate([frame(open_picture(data), framing) for data in lossless + camera]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors[0]
    assert cosines[:8].min() > 1 - 1e-6
    assert cosines[8:].min() > 0.999  # JPEG's rounding
    upside_down = frame(make_photo().transpose(Image.Transpose.ROTATE_180), framing)
    other = encoder.encode(upside_down)[0]
    assert other @ vectors[0] / np.linalg.norm(other) < 0.98  # the encoder does see a turn


def test_a_turned_16_bit_picture_is_upright_too() -> None:
    upright = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = saved(Image.fromarray(np.rot90(upright).copy()), "PNG", exif=exif)
    assert np.array_equal(pixels(open_picture(data))[..., 0], np.rint(upright / 257).astype(np.int16))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"Exif\0\0garbage that is no TIFF header", id="no-header"),
        pytest.param(b"Exif\0\0II*\0\xff\xff\xff\x7f", id="offset-past-the-end"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", id="entries-missing"),
        pytest.param(b"Exif\0\0", id="empty"),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_spoils_nothing_but_the_orientation(exif: bytes, file_format: str) -> None:
    """Pillow passes over it in a JPEG, and fails in the others."""
    data = saved(make_photo(), file_format, exif=exif)
    assert open_picture(data).size == (320, 240)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert open_picture(saved(make_photo(), "PNG", exif=exif)).size == (320, 240)


def test_a_broken_tag_beside_it_does_not_spoil_the_orientation() -> None:
    """ImageOps.exif_transpose writes the other tags anew and fails where one does not fit its type."""
    entries = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0) + struct.pack("<HHII", 0x0128, 4, 1, 70_000)
    tiff = b"II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)
    data = saved(make_photo().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=b"Exif\0\0" + tiff)
    assert open_picture(data).size == (320, 240)
