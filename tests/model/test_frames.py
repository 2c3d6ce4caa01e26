"""Which frame or page stands for a file of several, and that its number is recorded."""

from __future__ import annotations

import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from model.encoders import encoder_spec
from model.pictures import open_framed, open_picture
from model.pictures.frames import choose_frame
from tests.model.photos import make_photo, pixels, saved

FRAMING = encoder_spec("efficientnet-lite0").framing


def animated(frames: list[Image.Image], file_format: str) -> bytes:
    options = {"lossless": True} if file_format == "WEBP" else {"duration": 100} if file_format == "GIF" else {}
    return saved(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_fade_in_the_end_is_seen(file_format: str) -> None:
    black = Image.new("RGB", (320, 240))
    frames = [Image.blend(black, make_photo(), step / 6) for step in range(7)]
    data = animated([*frames, make_photo(), make_photo()], file_format)
    framed = open_framed(data, FRAMING)
    assert framed.frame == 6
    assert np.abs(pixels(open_picture(data)) - pixels(make_photo())).mean() < 6


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_a_first_frame_that_shows_something_is_the_picture(file_format: str) -> None:
    turned = make_photo().transpose(Image.Transpose.ROTATE_180)
    framed = open_framed(animated([make_photo(), turned], file_format), FRAMING)
    assert framed.frame == 0
    assert np.abs(framed.pixels.astype(int) - open_framed(saved(make_photo(), "PNG"), FRAMING).pixels).mean() < 6


def page(text: str, ink: int = 0) -> Image.Image:
    blank = Image.fromarray(np.random.default_rng(0).integers(250, 256, (400, 300), dtype=np.uint8))
    pen = ImageDraw.Draw(blank)
    for row in range(20):
        pen.text((20, 20 * row), text * 6, fill=ink)
    return blank


def test_of_a_scan_the_first_page_with_writing_is_seen_and_not_the_one_with_most() -> None:
    dense = Image.fromarray(np.random.default_rng(1).integers(0, 256, (400, 300), dtype=np.uint8))
    framed = open_framed(animated([page(""), page("letter "), dense], "TIFF"), FRAMING)
    assert framed.frame == 1


def test_a_brighter_frame_that_shows_something_else_is_no_fade_in() -> None:
    dim = Image.blend(Image.new("RGB", (320, 240)), make_photo(), 0.2)
    turned = make_photo().transpose(Image.Transpose.ROTATE_180)
    assert open_framed(animated([dim, make_photo()], "PNG"), FRAMING).frame == 1
    assert open_framed(animated([dim, turned], "PNG"), FRAMING).frame == 0


@pytest.mark.parametrize(("largest", "chosen"), [(0, 1), (120_000, 1), (119_999, 0)])
def test_a_page_over_the_limit_of_pixels_is_not_looked_at(largest: int, chosen: int) -> None:
    cover = Image.new("L", (30, 40), "white")
    with Image.open(io.BytesIO(animated([cover, page("letter ")], "TIFF"))) as scan:
        assert choose_frame(scan, largest) == chosen


def test_an_animation_of_blank_frames_and_a_broken_later_frame_are_no_faults() -> None:
    blank = [Image.new("RGB", (32, 32), shade) for shade in ("black", "white", "red")]
    assert open_framed(animated(blank, "GIF"), FRAMING).frame == 0
    data = animated([make_photo(), make_photo().transpose(Image.Transpose.ROTATE_180)], "GIF")
    assert open_framed(data[: len(data) - 400], FRAMING).damaged == ""


@pytest.fixture
def black() -> Image.Image:
    """An animation of 300 frames that show nothing."""
    frames = [Image.new("L", (64, 64), number % 2) for number in range(300)]
    return Image.open(io.BytesIO(animated(frames, "GIF")))


def test_of_a_long_animation_of_black_frames_64_are_looked_at(
    black: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.pictures.frames.SEARCH_SECONDS", 3600.0)
    choose_frame(black)
    assert black.tell() == 63


def test_the_search_for_a_frame_ends_after_two_seconds(black: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(100.0, 0.5)
    monkeypatch.setattr("model.pictures.frames.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    choose_frame(black)
    assert black.tell() == 4  # it began at 100.0, and after the fifth frame it is 102.5
