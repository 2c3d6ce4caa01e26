"""Samples of every kind become the picture they stand for; what libvips makes of the same file is compared."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import PictureError
from model.pictures import open_picture
from tests.model import kinds
from tests.model.photos import make_photo, pixels, saved


def libvips() -> Any:
    """Imported late: it keeps threads of its own."""
    return pytest.importorskip("pyvips", reason="libvips, an independent decoder, is not installed")


@pytest.mark.parametrize("kind", [*kinds.everyday(), *kinds.depths()], ids=lambda kind: kind.name)
def test_every_kind_is_seen_as_the_photograph_it_holds(kind: kinds.Kind) -> None:
    opened = pixels(open_picture(kind.data))
    assert opened.shape == kind.seen.shape
    assert np.abs(opened - kind.seen).mean() <= kind.tolerance


UNSCALED = ("10 ", "12 ", "14 ", "i1", "i2", "i4", "u4", "u8", "i8", "f2", "f4", "f8", "float")
"""What libvips leaves to its caller."""


@pytest.mark.parametrize(
    "kind",
    [kind for kind in (*kinds.everyday(), *kinds.depths()) if not any(word in kind.name for word in UNSCALED)],
    ids=lambda kind: kind.name,
)
def test_libvips_sees_the_same(kind: kinds.Kind) -> None:
    vips = libvips()
    try:
        image = vips.Image.new_from_buffer(kind.data, "")
        other = image.colourspace("srgb").numpy()
    except vips.error.Error as error:
        pytest.skip(f"this libvips cannot read it: {str(error).splitlines()[0]}")
    other = np.repeat(other[..., None], 3, axis=2) if other.ndim == 2 else other
    other = np.repeat(other, 3, axis=2) if other.shape[2] == 1 else other[..., :3]
    assert np.abs(pixels(open_picture(kind.data)) - other).mean() <= kind.tolerance


@pytest.mark.parametrize("space", ["lab", "labs", "labq"])
def test_a_tiff_of_lab_colours_is_seen_in_them(space: str) -> None:
    vips = libvips()
    data = vips.Image.new_from_array(np.asarray(make_photo())).colourspace(space).tiffsave_buffer()
    assert np.abs(pixels(open_picture(data)) - pixels(make_photo())).mean() < 8  # libvips writes them for another white


@pytest.mark.parametrize(
    ("depth", "rows", "value", "right"),
    [
        (1, np.tile(np.array([255, 255, 0, 0], np.uint8), (32, 1)), 1, 0),
        (2, np.tile(np.array([0x55] * 8 + [0] * 8, np.uint8), (64, 1)), 1, 0),
        (4, np.tile(np.array([0x77] * 8 + [0] * 8, np.uint8), (64, 1)), 7, 0),
        (8, np.tile(np.array([7] * 8 + [0] * 8, np.uint8), (64, 1)), 7, 0),
        (16, np.tile(np.array([263] * 8 + [0] * 8 + [65535] * 0, ">u2"), (64, 1)), 263, 0),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_the_transparent_value_of_a_grey_png_is_laid_on_white(depth: int, rows: Any, value: int, right: int) -> None:
    opened = open_picture(kinds.png(depth, 0, rows, kinds.chunk(b"tRNS", struct.pack(">H", value))))
    assert opened.getpixel((0, 5)) == (255, 255, 255)
    assert opened.getpixel((opened.width - 1, 5)) == (right,) * 3


def test_the_transparent_colour_of_a_16_bit_png_is_compared_in_all_its_bits() -> None:
    rows = np.zeros((4, 3, 3), ">u2")
    rows[:, 0], rows[:, 1], rows[:, 2] = (0x1234, 0x1234, 0x1234), (0x1235, 0x1234, 0x1234), (0xFFFF, 0, 0)
    key = kinds.chunk(b"tRNS", struct.pack(">HHH", 0x1234, 0x1234, 0x1234))
    opened = open_picture(kinds.png(16, 2, rows, key))
    assert [opened.getpixel((x, 1)) for x in range(3)] == [(255, 255, 255), (18, 18, 18), (255, 0, 0)]


def test_a_tiff_that_cannot_be_read_is_named_for_what_it_is() -> None:
    vips = libvips()
    image = vips.Image.new_from_array(np.asarray(make_photo())).cast("double")
    data = image.tiffsave_buffer(compression="lzw")
    with pytest.raises(
        PictureError, match=r"^a TIFF of 64-bit floating-point samples, compressed by LZW, which cannot"
    ):
        open_picture(data)
    complex_ = kinds.tiff(np.ones((8, 8), np.complex64))
    with pytest.raises(PictureError, match=r"^a TIFF of 64-bit complex samples, which cannot be read here"):
        open_picture(complex_)


def test_what_a_c_library_prints_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    noise = Image.fromarray(np.random.default_rng(0).random((400, 300)) > 0.9)
    data = bytearray(saved(noise, "TIFF", compression="group3"))
    for at in range(200, 400, 97):
        data[at] ^= 0x55
    opened = open_picture(bytes(data))
    assert opened.size == (300, 400)
    with pytest.raises(PictureError, match=r"^broken picture: Fax3Decode1D: "):
        open_picture(bytes(data), strict=True)
    assert capfd.readouterr().err == ""


def test_what_tifffile_logs_of_a_file_is_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(kinds.tiff(np.ones((8, 8), np.float32)))
    at = data.index(struct.pack("<HH", 262, 3))
    data[at + 8 : at + 10] = struct.pack("<H", 60417)
    open_picture(bytes(data))
    assert caplog.text == ""
