"""Pictures become the square the encoder sees: resized, cropped at the centre, and large JPEGs decoded small."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from model.encoders import encoder_names, encoder_spec
from model.pictures import Framing, open_framed, open_picture
from model.pictures.framing import frame
from tests.model.photos import make_photo


@pytest.mark.parametrize(
    "size",
    [(500, 375), (375, 500), (333, 257), (256, 256), (224, 300), (100, 37), (999, 1000), (257, 256), (31, 900), (1, 1)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_preprocessing_is_torchvisions_own_for_vgg16(size: tuple[int, int]) -> None:
    import torch

    from model.encoders.torch import Framed
    from model.encoders.torchvision import import_torchvision

    import_torchvision()
    from torchvision.models import VGG16_Weights

    spec = encoder_spec("vgg16")
    noise = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.blend(Image.fromarray(noise), make_photo(*size), 0.6)
    theirs = VGG16_Weights.IMAGENET1K_V1.transforms()(image)
    framed = torch.from_numpy(frame(image, spec.framing).copy())[None]
    ours = Framed(spec, torch.nn.Identity()).normalise(framed)[0]
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 1e-6


@pytest.mark.parametrize("name", encoder_names())
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 4000), (1, 1), (5000, 40), (224, 224)])
def test_any_aspect_gives_the_square_the_encoder_sees_at_once(size: tuple[int, int], name: str) -> None:
    started = time.perf_counter()
    framed = frame(Image.new("RGB", size, (12, 34, 56)), encoder_spec(name).framing)
    assert framed.shape == (224, 224, 3)
    assert framed.dtype == np.uint8
    assert (framed == (12, 34, 56)).all()
    assert time.perf_counter() - started < 1


def test_of_a_far_too_long_picture_the_middle_is_seen() -> None:
    strip = Image.new("RGB", (9000, 10), "red")
    strip.paste((0, 0, 255), (4400, 0, 4600, 10))
    assert (frame(strip, encoder_spec("vgg16").framing) == (0, 0, 255)).all()


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
    framed = frame(image, encoder_spec("vgg16").framing)
    assert tuple(framed[0, 0, :2]) == (shift(width - 224) % 256, shift(height - 224) % 256)


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
