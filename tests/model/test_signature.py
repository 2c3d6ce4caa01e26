"""Signatures: what they hold, and which pairs of pictures they refute."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from model.encoders import encoder_spec
from model.pictures import SIGNATURE_SIDE, Signatures, mirrored, open_framed, signature_of
from tests.model.profiles import grey_profile

FRAMING = encoder_spec("efficientnet-lite0").framing


@pytest.fixture(scope="module")
def photos(originals: Path) -> dict[str, Image.Image]:
    return {path.stem: Image.open(path).convert("RGB") for path in originals.rglob("*.*g")}


def signatures(*images: Image.Image) -> NDArray[np.uint8]:
    made = b"".join(map(signature_of, images))
    return np.frombuffer(made, np.uint8).reshape(len(images), SIGNATURE_SIDE, SIGNATURE_SIDE)


def may_be_same(ones: list[Image.Image], others: list[Image.Image]) -> list[bool]:
    """Pair by pair."""
    rows = np.arange(len(ones))
    return Signatures(signatures(*ones, *others)).may_be_same(rows, rows + len(ones)).tolist()


def may_be(one: Image.Image, other: Image.Image) -> bool:
    return may_be_same([one], [other]) == [True]


def test_a_signature_holds_the_mean_grey_of_each_cell() -> None:
    image = Image.new("RGB", (640, 320), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 319, 159), fill=(100, 100, 100))
    (cells,) = signatures(image)
    assert cells.shape == (32, 32)
    assert np.unique(cells[:16, :16]).tolist() == [100]
    assert np.unique(cells[16:]).tolist() == np.unique(cells[:, 16:]).tolist() == [255]


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (9000, 2)])
def test_any_shape_has_one(size: tuple[int, int]) -> None:
    (cells,) = signatures(Image.new("RGB", size, (7, 7, 7)))
    assert np.unique(cells).tolist() == [7]


def test_it_is_made_of_the_upright_picture(photos: dict[str, Image.Image]) -> None:
    image = photos["coffee"]
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    framed = open_framed(file.getvalue(), FRAMING)
    assert apart(framed.signature, signature_of(image)) < 1


@pytest.mark.parametrize("rule", ["whole", "published"])
@pytest.mark.parametrize("size", [(400, 300), (900, 300), (9000, 20)])
def test_all_of_a_picture_is_in_it_whatever_the_encoder_sees(size: tuple[int, int], rule: str) -> None:
    image = Image.linear_gradient("L").rotate(90).resize(size).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    assert apart(open_framed(file.getvalue(), FRAMING.by(rule)).signature, signature_of(image)) < 1


def apart(one: bytes, other: bytes) -> float:
    """Mean difference of two signatures' greys."""
    greys = [np.frombuffer(signature, np.uint8).astype(int) for signature in (one, other)]
    return float(np.abs(greys[0] - greys[1]).mean())


def test_it_is_made_in_srgb() -> None:
    """Half of the light, told in numbers that grow with the light, is 188 in sRGB."""
    image = Image.new("L", (300, 200), 128)
    image.info["icc_profile"] = grey_profile()
    assert np.unique(signatures(image)).tolist() == [188]


def cut(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 20, height // 20, width - width // 20, height - height // 20))


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "itself": lambda image: image,
    "small": lambda image: image.resize((75, 50)),
    "quality 30": recompressed,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "cut": cut,
    "cut, mirrored, small": lambda image: ImageOps.mirror(cut(image)).resize((200, 130)),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_not_refuted(photos: dict[str, Image.Image], kind: str) -> None:
    images = [photos[name] for name in ("chelsea", "coffee", "rocket")]
    copies = [COPIES[kind](image) for image in images]
    assert may_be_same(images, copies) == [True] * 3
    assert may_be_same(copies, images) == [True] * 3


def test_other_photographs_are_refuted(photos: dict[str, Image.Image]) -> None:
    names = sorted(photos)
    pairs = [(one, other) for one in names for other in names if one != other]
    assert len(pairs) >= 12
    ones, others = [photos[one] for one, _ in pairs], [photos[other] for _, other in pairs]
    assert sum(may_be_same(ones, others)) <= len(pairs) // 50


def test_many_pairs_are_answered_as_each_alone(photos: dict[str, Image.Image]) -> None:
    images = list(photos.values())
    made = Signatures(signatures(*images, *map(ImageOps.mirror, images)))
    rows = np.arange(2 * len(images))
    ones, others = (many.ravel() for many in np.meshgrid(rows, rows))
    repeated = np.tile(np.arange(len(ones)), 40)
    assert len(repeated) > 1024
    alone = np.array([made.may_be_same(ones[i : i + 1], others[i : i + 1])[0] for i in range(len(ones))])
    assert made.may_be_same(ones[repeated], others[repeated]).tolist() == alone[repeated].tolist()
    assert 4 * len(images) <= alone.sum() < len(alone) // 10
    assert made.may_be_same(rows[:0], rows[:0]).tolist() == []


def test_a_signature_that_is_put_later_counts(photos: dict[str, Image.Image]) -> None:
    made = Signatures(np.zeros((2, SIGNATURE_SIDE, SIGNATURE_SIDE), np.uint8))
    made.put(0, signature_of(photos["coffee"]))
    assert not made.may_be_same(np.array([0]), np.array([1]))[0]
    made.put(1, signature_of(ImageOps.mirror(photos["coffee"])))
    assert made.may_be_same(np.array([0]), np.array([1]))[0]


def test_two_takes_that_each_show_something_more_are_refuted(photos: dict[str, Image.Image]) -> None:
    width, height = photos["coffee"].size
    left = photos["coffee"].crop((0, 0, round(width * 0.85), height))
    right = photos["coffee"].crop((round(width * 0.15), 0, width, height))
    assert not may_be(left, right)


def test_blank_pages_are_refuted(photos: dict[str, Image.Image]) -> None:
    blank = Image.new("RGB", (600, 800), "white")
    assert not may_be(blank, blank.copy())
    assert not may_be(blank, photos["coffee"])


def test_glances_are_of_length_one_and_blank_ones_nothing(photos: dict[str, Image.Image]) -> None:
    images = (photos["coffee"], Image.new("RGB", (9, 9)), ImageOps.mirror(photos["coffee"]))
    glances = Signatures(signatures(*images)).glances(np.arange(3))
    assert np.linalg.norm(glances, axis=1).tolist() == pytest.approx([1, 0, 1], abs=1e-5)
    assert float(mirrored(glances)[2] @ glances[0]) > 0.99
