"""Files become upright RGB pictures: every format, every mode, every size, every kind of broken."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from model.errors import PictureError, PictureTooLarge
from model.pictures import decode as picture
from model.pictures import is_picture_name, open_picture
from tests.model.photos import make_photo, pixels, saved


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, packed: bytes) -> bytes:
    """A PNG file by hand, for what Pillow does not write. ``packed``: the compressed scan lines."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


# Modes and depths


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    grey_clear = Image.new("LA", (8, 8), (0, 0))
    for image, wanted in ((clear, 255), (half, 127), (grey_clear, 255)):
        assert np.abs(pixels(open_picture(saved(image, "PNG"))) - wanted).max() <= 1, image.mode


def test_one_transparent_colour_of_an_rgb_or_grey_png_is_laid_on_white() -> None:
    rgb = Image.new("RGB", (8, 8), (10, 20, 30))
    rgb.putpixel((0, 0), (200, 0, 0))
    opened = open_picture(saved(rgb, "PNG", transparency=(10, 20, 30)))
    assert opened.getpixel((5, 5)) == (255, 255, 255)
    assert opened.getpixel((0, 0)) == (200, 0, 0)
    opened = open_picture(saved(Image.new("L", (8, 8), 40), "PNG", transparency=40))
    assert opened.getpixel((5, 5)) == (255, 255, 255)


def test_a_palette_gives_its_colours() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 250, 10, 120, 5, 5, 5])
    assert open_picture(saved(image, "PNG")).getpixel((3, 3)) == (250, 10, 120)
    assert open_picture(saved(image, "GIF")).getpixel((3, 3)) == (250, 10, 120)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\xff"], ids=["index", "table"])
def test_a_transparent_palette_entry_is_laid_on_white(transparency: object) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 250, 10, 120, 5, 5, 5])
    image.putpixel((0, 0), 2)
    opened = open_picture(saved(image, "PNG", transparency=transparency))
    assert opened.getpixel((3, 3)) == (255, 255, 255)
    assert opened.getpixel((0, 0)) == (5, 5, 5)


def test_a_cmyk_jpeg_shows_its_colours_and_not_their_negative() -> None:
    photo = make_photo()
    opened = open_picture(saved(photo.convert("CMYK"), "JPEG", quality=95, subsampling=0))
    assert opened.mode == "RGB"
    assert np.abs(pixels(opened) - pixels(photo)).mean() < 4


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_pictures_become_rgb_with_equal_channels(mode: str) -> None:
    image = make_photo().convert(mode)
    opened = pixels(open_picture(saved(image, "PNG")))
    assert np.array_equal(opened[..., 0], pixels(image.convert("L")))
    assert np.array_equal(opened[..., 0], opened[..., 1])
    assert np.array_equal(opened[..., 0], opened[..., 2])


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_cut_off(file_format: str) -> None:
    ramp = np.linspace(1000, 60_000, 64).astype(np.uint16).reshape(8, 8)
    if file_format == "PPM":
        data = b"P5 8 8 65535\n" + ramp.astype(">u2").tobytes()
    else:
        data = saved(Image.fromarray(ramp), file_format)
    assert np.array_equal(pixels(open_picture(data))[..., 0], np.rint(ramp / 257).astype(np.int16))


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)], ids=["rgb", "rgba"])
def test_16_bit_colour_keeps_its_upper_bits(colour: int, channels: int) -> None:
    samples = np.full((2, 2, channels), 65_535, ">u2")
    samples[..., :3] = (0x1234, 0x8000, 0xFF00)
    lines = b"".join(b"\0" + line.tobytes() for line in samples)
    opened = open_picture(png(2, 2, 16, colour, zlib.compress(lines)))
    assert np.abs(pixels(opened)[0, 0] - (0x12, 0x80, 0xFF)).max() <= 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_samples_without_a_range_are_stretched_from_black_to_white(dtype: type) -> None:
    samples = np.linspace(-3, 7, 11).astype(dtype).reshape(1, 11).repeat(4, axis=0)
    opened = pixels(open_picture(saved(Image.fromarray(samples), "TIFF")))[0, :, 0]
    assert opened[0] == 0
    assert opened[-1] == 255
    assert np.array_equal(opened, np.rint(np.linspace(0, 255, 11)).astype(np.int16))


def test_float_pictures_of_one_value_or_with_nan_give_pixels() -> None:
    level = np.full((4, 4), 0.5, np.float32)
    assert open_picture(saved(Image.fromarray(level), "TIFF")).size == (4, 4)
    level[0, 0], level[0, 1], level[1, 1] = np.nan, np.inf, 2.0
    opened = pixels(open_picture(saved(Image.fromarray(level), "TIFF")))[..., 0]
    assert opened[0, 0] == opened[0, 1] == 0
    assert opened[1, 1] == 255


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first_is_taken(file_format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 30, 30), (30, 200, 30), (30, 30, 200))]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = saved(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as animated:
        assert animated.n_frames == 3
    assert np.abs(pixels(open_picture(data)) - (200, 30, 30)).max() <= 2


# Names and formats


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_every_listed_format_opens_whatever_the_file_is_called(file_format: str) -> None:
    if file_format == "AVIF" and "AVIF" not in picture.installed_formats():
        pytest.skip("this Pillow has no AVIF")
    data = saved(make_photo(), file_format)
    for name in ("a.jpg", "a.png", "a"):
        opened = open_picture(data, name=name)
        assert (opened.size, opened.mode) == ((320, 240), "RGB")


def test_text_called_jpg_is_refused() -> None:
    with pytest.raises(PictureError, match="not a picture of a known format"):
        open_picture(b"Dear diary, today I saw a dog.\n" * 50, name="dog.jpg")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(PictureError, match="empty file"):
        open_picture(b"", name="dog.jpg")


def test_postscript_is_not_opened_since_that_would_start_another_program() -> None:
    eps = saved(make_photo(), "EPS")
    with pytest.raises(PictureError, match="not a picture of a known format"):
        open_picture(eps, name="dog.jpg")


@pytest.mark.parametrize(
    ("file_format", "share"),
    [
        ("JPEG", 0.5),
        ("JPEG", 0.05),
        ("PNG", 0.5),
        ("GIF", 0.5),
        ("WEBP", 0.5),
        ("BMP", 0.5),
        ("TIFF", 0.5),
        ("JPEG2000", 0.5),
    ],
)
def test_a_truncated_file_is_refused(file_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), file_format)
    assert open_picture(data).size == (160, 120)
    with pytest.raises(PictureError) as told:
        open_picture(data[: int(len(data) * share)])
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_a_refusal_and_nothing_else() -> None:
    dice = random.Random(7)
    for file_format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000"):
        good = saved(make_photo(40, 30), file_format)
        for _ in range(60):
            bad = bytearray(good)
            for _ in range(dice.choice((1, 3, 20))):
                bad[dice.randrange(len(bad))] = dice.randrange(256)
            try:
                opened = open_picture(bytes(bad), max_megapixels=1)
            except PictureError:
                continue
            assert opened.mode == "RGB"


def test_file_names_are_taken_by_their_ending_in_any_case() -> None:
    for name in ("a.jpg", "b.JPEG", "c.Png", "d.HEIC", "e.tar.webp", "f.TIFF"):
        assert is_picture_name(name), name
    for name in ("a.txt", "jpg", ".jpg", "a.jpg.part", "a.svg", "a.eps", ""):
        assert not is_picture_name(name), name


def test_a_file_on_disk_opens_the_same_under_a_wrong_ending(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpg"
    make_photo().save(path, "PNG")
    assert np.array_equal(pixels(open_picture(path.read_bytes(), name=path.name)), pixels(make_photo()))


# Size


def bomb(side: int = 30_000) -> bytes:
    """A valid bilevel PNG of side x side pixels in some hundred kB."""
    packer = zlib.compressobj(1)
    line = b"\0" * (1 + (side + 7) // 8)
    packed = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    return png(side, side, 1, 0, packed)


def test_a_bomb_is_refused_by_its_header_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bomb()
    assert len(data) < 2_000_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(PictureTooLarge, match=r"30000 x 30000 pixels.* 200 megapixels.*--max-megapixels"):
        open_picture(data)


def test_the_pixel_limit_can_be_moved_and_lifted() -> None:
    data = saved(Image.new("L", (1500, 1000)), "PNG")
    with pytest.raises(PictureTooLarge, match="--max-megapixels"):
        open_picture(data, max_megapixels=1)
    assert open_picture(data, max_megapixels=2).size == (1500, 1000)
    assert open_picture(data, max_megapixels=0).size == (1500, 1000)


def test_the_limit_itself_is_allowed() -> None:
    assert open_picture(saved(Image.new("L", (1000, 1000)), "PNG"), max_megapixels=1).size == (1000, 1000)


def test_pictures_over_the_size_for_one_at_a_time_open_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LARGE_PIXELS", 10)
    assert open_picture(saved(make_photo(), "PNG")).size == (320, 240)
    assert not picture._one_large_at_a_time.locked()


def test_a_lack_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr(picture, "as_seen", no_memory)
    with pytest.raises(PictureTooLarge, match="not enough memory"):
        open_picture(saved(make_photo(), "PNG"))
