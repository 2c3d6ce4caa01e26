"""Pictures become the square the encoder sees: resized, cropped at the centre, and large JPEGs decoded small."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from model.encoders import Encoder, encode_views, encoder_names, encoder_spec
from model.errors import UsageError
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
    framed = torch.from_numpy(frame(image, spec.framing).copy())
    ours = Framed(spec, torch.nn.Identity()).normalise(framed)[0]
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 1e-6


@pytest.mark.parametrize("name", encoder_names())
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 4000), (1, 1), (5000, 40), (224, 224)])
def test_any_aspect_gives_the_square_the_encoder_sees_at_once(
    size: tuple[int, int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 x 1 pixels must not become 5,120,000 x 256 on the way."""
    resize, made = Image.Image.resize, []

    def resized(image: Image.Image, to: tuple[int, int], *options: object) -> Image.Image:
        made.append(max(to))
        return resize(image, to, *options)

    monkeypatch.setattr(Image.Image, "resize", resized)
    framed = frame(Image.new("RGB", size, (12, 34, 56)), encoder_spec(name).framing)
    assert 1 <= len(framed) <= 8
    assert framed.shape[1:] == (224, 224, 3)
    assert framed.dtype == np.uint8
    assert (framed == (12, 34, 56)).all()
    assert max(made, default=0) <= 8192  # 32 times the shorter side


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
    assert tuple(framed[0, 0, 0, :2]) == (shift(width - 224) % 256, shift(height - 224) % 256)


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


# The whole picture


def whole(name: str = "efficientnet-lite0") -> Framing:
    return encoder_spec(name).framing.by("whole")


def numbered(width: int, height: int) -> Image.Image:
    """Each hundredth of the longer side has a grey of its own: 0, 2, 4, up to 198."""
    steps = np.arange(max(width, height)) * 100 // max(width, height) * 2
    lines = np.repeat(steps.astype(np.uint8)[None], min(width, height), axis=0)
    return Image.fromarray(lines if width >= height else lines.T.copy())


@pytest.mark.parametrize(
    ("size", "spans"),
    [
        ((400, 300), [(24, 174)]),  # of 296 columns 224 are left: 12% at each end are cut off
        ((300, 300), [(12, 186)]),
        ((480, 300), [(30, 168)]),
        ((1600, 900), [(6, 112), (86, 192)]),  # two windows of 1.07: 3% at each end are cut off
        ((900, 1600), [(6, 112), (86, 192)]),
        ((4000, 1000), [(8, 57), (75, 123), (141, 190)]),  # three of 4:3, side by side
    ],
    ids=lambda value: f"{value[0]}x{value[1]}" if isinstance(value, tuple) else "",
)
def test_the_views_of_a_picture_reach_from_end_to_end(size: tuple[int, int], spans: list[tuple[int, int]]) -> None:
    views = frame(numbered(*size), whole())
    assert views.shape == (len(spans), 224, 224, 3)
    along = views[:, 112, :, 0] if size[0] >= size[1] else views[:, :, 112, 0]
    assert np.abs(along[:, [0, -1]].astype(int) - spans).max() <= 3


@pytest.mark.parametrize(("ratio", "views"), [(1.5, 1), (1.75, 1), (1.76, 2), (3.0, 2), (3.1, 3), (12.0, 8), (30.0, 8)])
def test_an_ordinary_picture_has_one_view_and_a_long_one_several(ratio: float, views: int) -> None:
    for size in ((round(100 * ratio), 100), (100, round(100 * ratio))):
        assert len(frame(Image.new("RGB", size), whole())) == views


def test_the_bundled_encoder_sees_the_whole_and_the_documents_what_was_published() -> None:
    rules = {name: encoder_spec(name).framing.rule for name in ("efficientnet-lite0", "vgg16", "resnet50")}
    assert rules == {"efficientnet-lite0": "whole", "vgg16": "published", "resnet50": "published"}
    published = encoder_spec("efficientnet-lite0").framed_by("published").framing
    assert frame(numbered(4000, 1000), published).shape == (1, 224, 224, 3)
    with pytest.raises(UsageError, match="no framing 'square': there are published, whole"):
        encoder_spec("vgg16").framed_by("square")


def test_a_subject_at_one_end_of_a_wide_picture_is_seen(encoder: Encoder) -> None:
    """In the middle there is nothing but sky."""
    subject = Image.open(io.BytesIO(large_jpeg(1, (400, 300))))
    wide = Image.new("RGB", (1600, 300), (120, 170, 220))
    wide.paste(subject, (0, 0))
    other = Image.new("RGB", (1600, 300), (120, 170, 220))

    def cosines(framing: Framing) -> tuple[float, float]:
        vectors = [encode_views(encoder, [frame(image, framing)])[0] for image in (subject, wide, other)]
        own, seen, sky = (vector / np.linalg.norm(vector) for vector in vectors)
        return float(own @ seen), float(seen @ sky)

    assert cosines(whole())[0] > 0.7
    assert cosines(whole())[0] > cosines(encoder.spec.framing.by("published"))[0] + 0.3
    assert cosines(encoder.spec.framing.by("published"))[1] > 0.99  # a copy of any other sky, by the centre square


def test_features_of_views_are_joined_by_the_root_of_their_mean_square() -> None:
    class Sums:
        """Its features are a view's first pixel."""

        batch_size = 2

        def encode(self, pictures: np.ndarray) -> np.ndarray:
            assert len(pictures) <= 2
            return pictures[:, 0, 0].astype(np.float32)

    one = np.full((1, 2, 2, 3), 7, np.uint8)
    several = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (1, 7, 0, 0)])
    joined = encode_views(Sums(), [one, several, one])
    assert joined.tolist() == [[7, 7, 7], [pytest.approx(12.5**0.5)] * 3, [7, 7, 7]]
