"""Which pictures are one picture: copies of every kind are, and what only looks alike is not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from model.pictures import Looks, is_same


@pytest.fixture(scope="module")
def photos(originals: Path) -> dict[str, Image.Image]:
    return {path.stem: Image.open(path).convert("RGB") for path in originals.rglob("*.*g")}


def are_same(one: Image.Image, other: Image.Image) -> bool:
    return is_same(Looks.of(one), Looks.of(other))


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without so many hundredths at each side."""
    width, height = image.width / 100, image.height / 100
    right, bottom = image.width - right * width, image.height - bottom * height
    return image.crop((round(left * width), round(top * height), round(right), round(bottom)))


def recompressed(image: Image.Image, quality: int = 30) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "itself": lambda image: image,
    "a quarter of the size": lambda image: ImageOps.scale(image, 0.25),
    "quality 30": recompressed,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "all sides cut": lambda image: cut(image, 5, 5, 5, 5),
    "one side cut": lambda image: cut(image, 0, 0, 8, 0),
    "smaller, cut, recompressed": lambda image: recompressed(ImageOps.scale(cut(image, 4, 4, 4, 4), 0.6), 80),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_a_copy_is_the_same_picture(photos: dict[str, Image.Image], name: str, kind: str) -> None:
    assert are_same(photos[name], COPIES[kind](photos[name]))


def test_other_photographs_are_not_the_same(photos: dict[str, Image.Image]) -> None:
    names = sorted(photos)
    pairs = [(one, other) for one in names for other in names if one < other]
    assert len(pairs) >= 6
    assert [pair for pair in pairs if are_same(photos[pair[0]], photos[pair[1]])] == []


def test_two_takes_each_show_something_at_an_edge_that_the_other_does_not(photos: dict[str, Image.Image]) -> None:
    """A camera that has moved by five hundredths; nothing else has changed."""
    whole = photos["coffee"]
    assert not are_same(cut(whole, 0, 0, 5, 5), cut(whole, 5, 5, 0, 0))
    assert not are_same(cut(whole, 0, 0, 5, 0), cut(whole, 5, 0, 0, 0))
    assert are_same(whole, cut(whole, 5, 5, 0, 0))


def test_more_than_a_little_cut_off_is_another_picture(photos: dict[str, Image.Image]) -> None:
    assert not are_same(photos["chelsea"], cut(photos["chelsea"], 16, 16, 16, 16))
    assert not are_same(photos["chelsea"], cut(photos["chelsea"], 0, 0, 45, 0))


WORDS = "river stone market window yellow paper garden engine winter letter morning account bridge"


def page(seed: int, *, size: int, step: int, width: int) -> Image.Image:
    """A letter: lines of words by chance, of letters so large, so far from one another and so many letters wide."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (600, 800), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for top in range(60, 740, step):
        pen.text((40, top), " ".join(rng.choice(WORDS.split(), 16))[:width], "black", font)
    return image


@pytest.mark.parametrize(("size", "step", "width"), [(20, 28, 50), (12, 25, 80)])
def test_two_letters_in_one_layout_are_not_the_same(size: int, step: int, width: int) -> None:
    """Their lines lie one upon the other, of the second kind so small that they are grey stripes."""
    letter, other = (page(seed, size=size, step=step, width=width) for seed in (1, 2))
    assert not are_same(letter, other)
    assert are_same(letter, ImageOps.scale(recompressed(letter), 0.8))


def test_pages_that_say_nothing_are_no_proof() -> None:
    blank = Image.new("RGB", (600, 800), "white")
    rng = np.random.default_rng(0)
    noisy = Image.fromarray((250 + rng.integers(-2, 3, (800, 600, 3))).astype(np.uint8))
    assert not are_same(blank, blank.copy())
    assert not are_same(blank, noisy)
    shaded = Image.linear_gradient("L").resize((600, 800)).convert("RGB")
    assert not are_same(shaded, ImageEnhance.Brightness(shaded).enhance(0.9))


def test_a_change_in_a_part_of_the_picture_makes_another_of_it(photos: dict[str, Image.Image]) -> None:
    """A sixth of the picture shows another thing; a stamp in a corner does not make it another."""
    changed = photos["coffee"].copy()
    width, height = changed.size
    other = photos["chelsea"].resize((width // 2, height // 3))
    changed.paste(other, (width // 4, height // 3))
    assert not are_same(photos["coffee"], changed)
    stamped = photos["coffee"].copy()
    ImageDraw.Draw(stamped).text((width * 0.7, height * 0.9), "2024", "yellow", ImageFont.load_default(width // 20))
    assert are_same(photos["coffee"], stamped)


def test_pictures_are_compared_at_384_pixels() -> None:
    assert Looks.of(Image.new("RGB", (3000, 2000))).grey.size == (384, 256)
    assert Looks.of(Image.new("RGB", (100, 300))).grey.size == (100, 300)
    assert Looks.of(Image.new("RGB", (9000, 1))).grey.size == (384, 8)


def test_a_file_is_seen_upright(photos: dict[str, Image.Image]) -> None:
    turned = photos["rocket"].transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", quality=95, exif=exif)
    assert is_same(Looks.of(photos["rocket"]), Looks.read(file.getvalue()))
