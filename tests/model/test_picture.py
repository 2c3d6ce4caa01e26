"""Files become upright RGB squares: every format, every orientation, every kind of broken."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model import picture
from model.encoder import ENCODERS, Encoder
from model.errors import PictureError, PictureTooLarge
from model.picture import Framing, frame, is_picture_name, open_framed, open_picture, reader_version

ORIENTATION = 0x0112

STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation to how an upright photo lies in a file that carries that tag (CIPA DC-008, table 7)."""


def make_photo(width: int = 320, height: int = 240) -> Image.Image:
    """A picture without symmetry, which an encoder tells from its turned self."""
    photo = Image.new("RGB", (width, height), (70, 130, 200))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((0, height * 0.7, width, height), fill=(60, 140, 50))
    draw.ellipse((width * 0.1, height * 0.1, width * 0.3, height * 0.4), fill=(250, 220, 60))
    draw.polygon([(width * 0.5, height * 0.7), (width * 0.7, height * 0.3), (width * 0.9, height * 0.7)], "brown")
    draw.line((0, 0, width * 0.4, height), fill="black", width=5)
    return photo


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image).astype(np.int16)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, packed: bytes) -> bytes:
    """A PNG file by hand, for what Pillow does not write. ``packed``: the compressed scan lines."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def turned(orientation: int, file_format: str, **options: object) -> bytes:
    photo = make_photo()
    how = STORED_AS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(photo if how is None else photo.transpose(how), file_format, exif=exif.tobytes(), **options)


# Orientation


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    opened = open_picture(turned(orientation, file_format, **options))
    assert opened.size == (320, 240)
    assert np.array_equal(pixels(opened), pixels(make_photo()))


def test_the_same_photo_under_every_exif_tag_gives_the_same_vector(encoder: Encoder) -> None:
    framing = encoder.spec.framing
    lossless = [turned(orientation, "PNG") for orientation in range(1, 9)]
    camera = [turned(orientation, "JPEG", quality=100, subsampling=0) for orientation in range(1, 9)]
    vectors = encoder.encode(np.stack([frame(open_picture(data), framing) for data in lossless + camera]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors[0]
    assert cosines[:8].min() > 1 - 1e-6
    assert cosines[8:].min() > 0.999  # JPEG's rounding
    upside_down = frame(make_photo().transpose(Image.Transpose.ROTATE_180), framing)
    other = encoder.encode(upside_down[None])[0]
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
def test_broken_exif_spoils_nothing_but_the_orientation(exif: bytes) -> None:
    data = saved(make_photo(), "JPEG", quality=95, exif=exif)
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
    if file_format == "AVIF" and "AVIF" not in picture._installed_formats():
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
        ("PNG", 0.9),
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


# HEIC


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
    for cached in (picture.heic_available, picture._installed_formats):
        cached.cache_clear()
        monkeypatch.setattr(picture, cached.__name__, cached.__wrapped__)


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    picture.heic_available.cache_clear()
    picture._installed_formats.cache_clear()


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


# Size


def bomb(side: int = 30_000) -> bytes:
    """A valid bilevel PNG of side x side pixels in some hundred kB."""
    packer = zlib.compressobj(1)
    line = b"\0" * (1 + (side + 7) // 8)
    packed = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    return png(side, side, 1, 0, packed)


def test_a_bomb_is_refused_by_its_header_before_a_pixel_is_decoded() -> None:
    data = bomb()
    assert len(data) < 2_000_000
    started = time.perf_counter()
    with pytest.raises(PictureTooLarge, match=r"30000 x 30000 pixels.* 200 megapixels.*--max-megapixels"):
        open_picture(data)
    assert time.perf_counter() - started < 0.5


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
    def no_memory(image: Image.Image) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr(picture, "_to_rgb", no_memory)
    with pytest.raises(PictureTooLarge, match="not enough memory"):
        open_picture(saved(make_photo(), "PNG"))


# Framing


@pytest.mark.parametrize(
    "size",
    [(500, 375), (375, 500), (333, 257), (256, 256), (224, 300), (100, 37), (999, 1000), (257, 256), (31, 900), (1, 1)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_preprocessing_is_torchvisions_own_for_vgg16(size: tuple[int, int]) -> None:
    import torch

    from model.architecture import Framed, import_torchvision

    import_torchvision()
    from torchvision.models import VGG16_Weights

    spec = ENCODERS["vgg16"]
    noise = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.blend(Image.fromarray(noise), make_photo(*size), 0.6)
    theirs = VGG16_Weights.IMAGENET1K_V1.transforms()(image)
    framed = torch.from_numpy(frame(image, spec.framing).copy())[None]
    ours = Framed(spec, torch.nn.Identity()).normalise(framed)[0]
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 1e-6


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 4000), (1, 1), (5000, 40), (224, 224)])
def test_any_aspect_gives_the_square_the_encoder_sees_at_once(size: tuple[int, int], name: str) -> None:
    started = time.perf_counter()
    framed = frame(Image.new("RGB", size, (12, 34, 56)), ENCODERS[name].framing)
    assert framed.shape == (224, 224, 3)
    assert framed.dtype == np.uint8
    assert (framed == (12, 34, 56)).all()
    assert time.perf_counter() - started < 1


def test_of_a_far_too_long_picture_the_middle_is_seen() -> None:
    strip = Image.new("RGB", (9000, 10), "red")
    strip.paste((0, 0, 255), (4400, 0, 4600, 10))
    assert (frame(strip, ENCODERS["vgg16"].framing) == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("size", "shift"),
    [((300, 256), lambda rest: round(rest / 2)), ((256, 301), lambda rest: round(rest / 2))],
    ids=["wide", "tall"],
)
def test_the_crop_is_taken_from_the_centre(size: tuple[int, int], shift: Callable[[int], int]) -> None:
    """The shorter side is 256 already, so nothing is resized and each pixel can be followed."""
    width, height = size
    columns, rows = np.meshgrid(np.arange(width) % 256, np.arange(height) % 256)
    image = Image.fromarray(np.stack([columns, rows, columns], axis=2).astype(np.uint8))
    framed = frame(image, ENCODERS["vgg16"].framing)
    assert tuple(framed[0, 0, :2]) == (shift(width - 224) % 256, shift(height - 224) % 256)


def test_a_file_on_disk_opens_the_same_under_a_wrong_ending(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpg"
    make_photo().save(path, "PNG")
    assert np.array_equal(pixels(open_picture(path.read_bytes(), name=path.name)), pixels(make_photo()))


def large_jpeg(orientation: int, size: tuple[int, int] = (3001, 2100)) -> bytes:
    """A photograph of detail at every scale: blocks of noise under a gradient."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (size[1] // 40 + 1, size[0] // 40 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_framed_from_half_its_size_and_told_whole(orientation: int) -> None:
    data = large_jpeg(orientation)
    framing = Framing(256, 224, Image.Resampling.BICUBIC, (0.5,) * 3, (0.5,) * 3)
    framed = open_framed(data, framing)
    whole = open_picture(data)
    assert (framed.width, framed.height) == whole.size
    assert whole.size == ((3001, 2100) if orientation == 1 else (2100, 3001))
    difference = np.abs(framed.pixels.astype(int) - frame(whole, framing))
    assert 0 < difference.mean() < 1.5  # not the same decoding, and hardly another picture
    small = open_picture(large_jpeg(orientation, (2040, 2040)))
    assert np.array_equal(open_framed(large_jpeg(orientation, (2040, 2040)), framing).pixels, frame(small, framing))
