"""Damaged files: refused with the reason, or shown where most of the picture is left, and said to be damaged."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from model.encoders import encoder_spec
from model.errors import PictureError
from model.pictures import open_framed, open_picture
from model.pictures.mending import mended
from tests.model.kinds import chunk, everyday
from tests.model.photos import make_photo, pixels, saved

FRAMING = encoder_spec("efficientnet-lite0").framing
SHARES = (0.05, 0.25, 0.5, 0.6, 0.75, 0.9, 0.97, 0.99)


try:
    import pillow_heif
except ImportError:
    pass
else:
    pillow_heif.register_heif_opener()


def grained(width: int = 320, height: int = 240) -> Image.Image:
    """A photo with detail everywhere, as cameras make them: no row of it is of one colour."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.blend(make_photo(width, height), Image.fromarray(noise).resize((width, height)), 0.4)


FILES = {
    "HEIF": lambda: saved(grained(), "HEIF", quality=80),
    "AVIF": lambda: saved(grained(), "AVIF", quality=80),
    "WebP": lambda: saved(grained(), "WEBP", quality=80),
    "WebP lossless": lambda: saved(grained(), "WEBP", lossless=True),
    "BMP": lambda: saved(grained(), "BMP"),
    "TIFF": lambda: saved(grained(), "TIFF"),
    "TIFF LZW": lambda: saved(grained(), "TIFF", compression="tiff_lzw"),
    "TIFF Deflate": lambda: saved(grained(), "TIFF", compression="tiff_adobe_deflate"),
    "PPM": lambda: saved(grained(), "PPM"),
    "JPEG 2000": lambda: saved(grained(), "JPEG2000", quality_layers=[20], irreversible=True),
    "GIF": lambda: saved(grained(), "GIF"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("filled", [False, True], ids=["cut short", "filled with zeros"])
def test_a_file_that_is_not_all_there_is_refused_with_the_reason(kind: str, filled: bool) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = FILES[kind]()
    assert open_picture(data).size == (320, 240)
    for share in SHARES if kind not in OF_ROWS else (0.05, 0.25, 0.5, 0.6, 0.74):
        begin = data[: int(len(data) * share)]
        with pytest.raises(PictureError, match=r"^broken picture: \w+"):
            open_picture(begin + bytes(len(data) - len(begin)) * filled)


@pytest.mark.parametrize(("kind", "zeros"), [("HEIF", 1), ("HEIF", 3), ("HEIF", 15), ("AVIF", 4), ("AVIF", 15)])
def test_a_few_zeros_at_the_end_are_noticed(kind: str, zeros: int) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = FILES[kind]()
    with pytest.raises(PictureError, match=r"not complete, zeros from byte"):
        open_picture(data[:-zeros] + bytes(zeros))


OF_ROWS = ("BMP", "TIFF", "PPM")


@pytest.mark.parametrize("kind", OF_ROWS)
@pytest.mark.parametrize("filled", [False, True], ids=["cut short", "filled with zeros"])
@pytest.mark.parametrize("share", [0.8, 0.97, 0.99])
def test_rows_kept_as_they_are_are_shown_where_most_are_there(kind: str, filled: bool, share: float) -> None:
    data = FILES[kind]()
    begin = data[: int(len(data) * share)]
    damaged = begin + bytes(len(data) - len(begin)) * filled
    assert open_framed(damaged, FRAMING).damaged.startswith(("not complete, zeros from", "cut short", "image file is"))
    is_right = (pixels(open_picture(damaged)) == pixels(open_picture(data))).all(axis=(1, 2))
    assert share - 0.02 < is_right.mean() < 1
    grey = pixels(open_picture(damaged))[0 if kind == "BMP" else -1]
    assert (grey == 128).mean() > 0.9
    with pytest.raises(PictureError, match=r"^broken picture: \w+"):
        open_picture(damaged, strict=True)


def test_a_heic_whose_last_box_reaches_to_the_end_is_judged_by_its_extents() -> None:
    """An ``mdat`` of size 0 ends with the file, wherever that is."""
    pytest.importorskip("pillow_heif")
    data = bytearray(saved(grained(), "HEIF", quality=80))
    at = data.index(b"mdat") - 4
    data[at : at + 4] = bytes(4)
    assert open_picture(bytes(data)).size == (320, 240)
    with pytest.raises(PictureError, match=r"^broken picture: cut short, it ends after [\d,]+ of [\d,]+ bytes$"):
        open_picture(bytes(data[:-50]))


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "WebP", "BMP", "TIFF", "PPM", "GIF"])
def test_rubbish_behind_a_whole_picture_is_no_damage(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    for rubbish in (b"rubbish" * 100, bytes(700)):
        framed = open_framed(FILES[kind]() + rubbish, FRAMING)
        assert (framed.width, framed.height, framed.damaged) == (320, 240, "")


def letterboxed() -> Image.Image:
    framed = Image.new("RGB", (320, 240))
    framed.paste(grained(320, 160), (0, 40))
    return framed


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM"])
@pytest.mark.parametrize(
    "picture", [letterboxed(), Image.new("RGB", (320, 240)), grained().rotate(20)], ids=["bars", "black", "corners"]
)
def test_black_at_the_end_of_a_picture_is_no_damage(kind: str, picture: Image.Image) -> None:
    assert np.array_equal(pixels(open_picture(saved(picture, kind))), pixels(picture))


def test_flat_pictures_of_every_kind_are_not_taken_for_damaged() -> None:
    for colour in ("black", "white", (200, 30, 30)):
        for kind in ("WEBP", "AVIF", "HEIF", "GIF", "PNG", "JPEG"):
            if kind in Image.SAVE:
                assert open_framed(saved(Image.new("RGB", (900, 700), colour), kind), FRAMING).damaged == ""


JPEG = saved(grained(), "JPEG", quality=88)


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (JPEG[:-2], 0.1),
        (JPEG[:-1], 0.1),
        (JPEG[: int(len(JPEG) * 0.97)], 3),
        (JPEG[: int(len(JPEG) * 0.8)], 12),
        (JPEG[: int(len(JPEG) * 0.8)] + bytes(5000), 12),
    ],
    ids=["no end mark", "half an end mark", "3% missing", "20% missing", "20% zeros"],
)
def test_a_jpeg_whose_most_rows_are_there_is_shown_and_said_to_be_damaged(data: bytes, difference: float) -> None:
    framed = open_framed(data, FRAMING)
    assert re.match(
        r"image file is truncated$|image file is truncated \(|not complete, zeros from byte", framed.damaged
    )
    assert (framed.width, framed.height) == (320, 240)
    assert np.abs(pixels(open_picture(data)) - pixels(open_picture(JPEG))).mean() < difference
    with pytest.raises(PictureError, match=r"^broken picture: (image file is truncated|not complete)"):
        open_framed(data, FRAMING, strict=True)
    assert open_framed(JPEG, FRAMING, strict=True).damaged == ""


def test_a_jpeg_of_which_half_is_missing_is_refused_and_says_how_much_is_left() -> None:
    with pytest.raises(PictureError, match=r"^broken picture: only (4|5)\d% of its rows can be decoded$"):
        open_framed(JPEG[: len(JPEG) // 2], FRAMING)


def test_a_progressive_jpeg_is_all_there_after_its_first_scan() -> None:
    data = saved(grained(), "JPEG", quality=88, progressive=True)
    framed = open_framed(data[: len(data) // 2], FRAMING)
    assert framed.damaged
    assert np.abs(framed.pixels.astype(int) - open_framed(data, FRAMING).pixels).mean() < 10


PNG = saved(grained(), "PNG")


def test_a_png_with_a_damaged_comment_is_shown_whole() -> None:
    bad = chunk(b"tEXt", b"Comment\0x")[:-4] + bytes(4)
    data = PNG[:33] + bad + PNG[33:]
    framed = open_framed(data, FRAMING)
    assert "tEXt" in framed.damaged
    assert np.array_equal(framed.pixels, open_framed(PNG, FRAMING).pixels)
    with pytest.raises(PictureError, match=r"^broken picture: .*tEXt"):
        open_picture(data, strict=True)


def test_a_png_whose_last_rows_are_missing_is_grey_there() -> None:
    opened = pixels(open_picture(PNG[: int(len(PNG) * 0.9)]))
    rows = int((np.abs(opened - pixels(grained())).reshape(240, -1).max(axis=1) == 0).argmin())
    assert 190 < rows < 235
    assert (opened[rows + 1 :] == 128).all()
    with pytest.raises(PictureError, match=r"only 4\d% of its rows|only 5\d% of its rows"):
        open_picture(PNG[: len(PNG) // 2])


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.97, 0.99, 0.999])
def test_a_png_or_jpeg_that_ends_in_zeros_is_never_taken_for_whole(mode: str, share: float) -> None:
    """Zeros are a code of their own in both, and where they stand for pixels their decoders say nothing."""
    for kind in ("PNG", "JPEG") if mode != "P" else ("PNG",):
        data = saved(grained().convert(mode), kind)
        begin = data[: int(len(data) * share)]
        try:
            said = open_framed(begin + bytes(len(data) - len(begin)), FRAMING).damaged
        except PictureError as error:
            said = str(error) if share < 0.8 else ""
        assert said


def test_a_png_without_its_end_is_shown_whole_and_said_to_be_damaged() -> None:
    framed = open_framed(PNG[:-12], FRAMING)
    assert framed.damaged == "cut short, its end is missing"
    assert np.array_equal(framed.pixels, open_framed(PNG, FRAMING).pixels)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_pngs_of_every_mode_are_mended(mode: str) -> None:
    photo = grained().convert(mode)
    data = saved(photo, "PNG")
    framed = open_framed(data[: int(len(data) * 0.95)], FRAMING)
    assert framed.damaged
    assert np.abs(framed.pixels.astype(int) - open_framed(data, FRAMING).pixels).mean() < 12


def test_an_interlaced_png_is_mended_by_its_passes() -> None:
    """Adam7 by hand, of a grey picture of 8 x 8: each pass a picture of its own."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in starts for row in grey[y::dy, x::dx])
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.array_equal(pixels(open_picture(data))[..., 0], grey)
    repaired = mended(data)
    assert repaired is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(repaired.data))), grey)


def test_an_apng_whose_animation_is_broken_shows_its_picture() -> None:
    frames = [grained(), make_photo()]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    at = data.index(b"fdAT")
    broken = data[: at + 8] + b"rubbish" + data[at + 15 :]
    assert np.array_equal(pixels(open_picture(broken)), pixels(grained()))
    at = data.index(b"acTL")
    broken = data[: at + 4] + b"\0\0\0\0" + data[at + 8 :]
    assert np.array_equal(pixels(open_picture(broken)), pixels(grained()))


def test_whole_files_are_not_said_to_be_damaged() -> None:
    for kind in everyday():
        assert open_framed(kind.data, FRAMING, strict=True).damaged == "", kind.name
