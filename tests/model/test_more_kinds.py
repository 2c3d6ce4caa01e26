"""Every kind of file is embedded as the photograph it holds, or refused as what it is; libvips decodes them besides."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.encoders import encoder_spec
from model.errors import PictureError
from model.pictures import open_framed, open_picture
from tests.model.kinds import Kind
from tests.model.more_kinds import all_more
from tests.model.photos import pixels, saved

FRAMING = encoder_spec("efficientnet-lite0").framing

REFUSED = {
    "TIFF RGB 16 bits, LZW, tiled planes": "a TIFF of 16-bit samples, compressed by LZW, which cannot be read here",
    "TIFF RGB 16 bits, LZW, differences, tiled planes":
        "a TIFF of 16-bit samples, compressed by LZW, which cannot be read here",
    "TIFF RGB float, method 5":
        "a TIFF of 32-bit floating-point samples, compressed by LZW, which cannot be read here",
    "TIFF grey f8, method 5": "a TIFF of 64-bit floating-point samples, compressed by LZW, which cannot be read here",
    "BMP bit fields RGBX": "a BMP that cannot be read here: Unsupported BMP bitfields layout",
    "BMP bit fields XRGB": "a BMP that cannot be read here: Unsupported BMP bitfields layout",
    "BMP bit fields 10 bits each": "a BMP that cannot be read here: Unsupported BMP bitfields layout",
}  # fmt: skip

KINDS = all_more()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name not in REFUSED], ids=lambda kind: kind.name)
def test_it_is_embedded_as_the_photograph_it_holds(kind: Kind) -> None:
    opened = pixels(open_picture(kind.data))
    assert opened.shape == kind.seen.shape
    assert np.abs(opened - kind.seen).mean() <= kind.tolerance
    framed = open_framed(kind.data, FRAMING)
    right = open_framed(as_png(kind.seen), FRAMING).pixels
    assert framed.damaged == ""
    assert np.abs(framed.pixels.astype(int) - right).mean() <= kind.tolerance


def as_png(seen: Any) -> bytes:
    return saved(Image.fromarray(seen), "PNG")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in REFUSED], ids=lambda kind: kind.name)
def test_it_is_refused_as_what_it_is(kind: Kind) -> None:
    with pytest.raises(PictureError) as refused:
        open_picture(kind.data)
    assert str(refused.value) == REFUSED[kind.name]


NOT_BY_VIPS = (
    "float",
    " f2",
    " f4",
    " f8",
    " i2",
    " i4",
    " u4",
    "first blank",
    "first black",
    "first frame",
    "first page",
)
"""Samples whose range libvips leaves to its caller, and files of which it always takes the first page."""


@cache
def libvips() -> Any:
    """Imported late: it keeps threads of its own."""
    return pytest.importorskip("pyvips", reason="libvips, an independent decoder, is not installed")


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.name not in REFUSED and not any(word in kind.name for word in NOT_BY_VIPS)],
    ids=lambda kind: kind.name,
)
def test_libvips_sees_the_same(kind: Kind) -> None:
    vips = libvips()
    try:
        image = vips.Image.new_from_buffer(kind.data, "").autorot()
        if image.get_typeof("icc-profile-data"):
            image = image.icc_transform("srgb", black_point_compensation=False)
        image = image.colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=255)
        other = image.numpy()
    except vips.error.Error as error:
        pytest.skip(f"this libvips cannot read it: {str(error).splitlines()[0]}")
    other = other[..., None] if other.ndim == 2 else other
    other = np.repeat(other, 3, axis=2) if other.shape[2] == 1 else other[..., :3]
    if np.abs(other - kind.seen.astype(float)).mean() > kind.tolerance + 2:
        pytest.skip(f"{kind.name}: libvips itself does not see the photograph in it")
    assert np.abs(pixels(open_picture(kind.data)) - other).mean() <= kind.tolerance + 1
