"""What Pillow decoded, in whatever mode, as the colours it stands for: 8 bits, without transparency.

RGB, or L or CMYK where a colour profile still has to be applied. It knows where Pillow reads samples for less than
they are: the upper halves of 16 bits, the transparent value of other depths, kinds of TIFF.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import PictureError
from model.pictures.colours import PROFILED, is_profiled, on_ground
from model.pictures.samples import from_16_bits, grey, stretched
from model.pictures.tiff import (
    CMYK,
    COLOURS,
    LAB,
    OPACITY,
    PREMULTIPLIED,
    UNSIGNED,
    WHITE_IS_ZERO,
    Layout,
    read_samples,
)

LOWER_HALVES = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
"""Pillow's raw modes such as ``RGB;16B`` take the upper byte of each sample; with the other byte order, the lower."""

DARK_IN_16_BITS = 64
"""Where no upper byte reaches this, the samples have 14 bits or fewer."""

LEVELS = {"1": 255, "L;2": 85, "L;4": 17}
"""What a sample of 1, 2 and 4 bits is multiplied by to fill 8, by Pillow's raw mode."""


def raw_mode(image: Image.Image) -> str:
    """How the decoder is told to read the samples, as ``RGB;16B``; known before they are loaded only."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments or "")


def as_seen(image: Image.Image, data: bytes, raw: str, kind: Layout | None) -> Image.Image:
    """The loaded ``image`` of the file ``data``.

    Args:
        raw: its `raw_mode`.
        kind: of a TIFF, where it says what its samples are.

    Raises:
        PictureError: samples that cannot be read here.
    """
    if kind and (image.mode == "" or kind.is_misread):
        return _with_profile(_of_samples(read_samples(data, kind), kind), image)
    if ";16" in raw and image.mode in ("RGB", "RGBA"):
        return _deep_colour(image, data, raw)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    # 16-bit grey; of PGM files Pillow gives it as 32-bit
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _deep_grey(image, kind)
    if image.mode in ("I", "F"):
        samples = np.array(image)
        is_unsigned = kind is not None and kind.bits == 32 and kind.kind == UNSIGNED
        return _with_profile(grey(stretched(samples.view(np.uint32) if is_unsigned else samples)), image)
    if image.mode == "La":
        image = _with_profile(image.convert("LA"), image)
    if image.has_transparency_data:
        return on_ground(_with_opacity(image, raw))
    if image.mode in PROFILED and is_profiled(image):
        return image
    return _with_profile(image.convert("RGB"), image)


def _with_profile(made: Image.Image, image: Image.Image) -> Image.Image:
    if image.info.get("icc_profile"):
        made.info["icc_profile"] = image.info["icc_profile"]
    return made


def _with_opacity(image: Image.Image, raw: str) -> Image.Image:
    """As RGBA."""
    if image.mode == "RGBA":
        return image
    transparent = image.info.get("transparency")
    if raw in LEVELS and isinstance(transparent, int):
        values = np.asarray(image.convert("L"))
        return _layer(values, values != transparent * LEVELS[raw])
    return _with_profile(image.convert("RGBA"), image)


def _layer(colours: NDArray[np.uint8], is_drawn: NDArray[np.bool_]) -> Image.Image:
    """(height, width) or (height, width, 3), and where it can be seen."""
    layer = Image.fromarray(colours).convert("RGBA")
    layer.putalpha(Image.fromarray(is_drawn.astype(np.uint8) * np.uint8(255)))
    return layer


def _deep_grey(image: Image.Image, kind: Layout | None) -> Image.Image:
    samples = np.array(image).astype(np.uint16)
    # of PGM, Pillow has scaled the samples by the highest value that the file names
    values = (
        np.rint(samples / np.float32(257)).astype(np.uint8)
        if image.format == "PPM"
        else from_16_bits(samples, white_is_zero=kind is not None and kind.photometric == WHITE_IS_ZERO)
    )
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        return on_ground(_layer(values, samples != transparent))
    return _with_profile(grey(values), image)


def _deep_colour(image: Image.Image, data: bytes, raw: str) -> Image.Image:
    """16-bit RGB and RGBA, whose upper halves were read: the lower ones too, where they matter."""
    upper = np.asarray(image)
    transparent = image.info.get("transparency")
    has_key = image.mode == "RGB" and isinstance(transparent, tuple)
    is_dark = upper[..., :3].max(initial=0) < DARK_IN_16_BITS
    if not (has_key or is_dark):
        return on_ground(image) if image.mode == "RGBA" else image
    whole = upper.astype(np.uint16)
    if (lower := _lower_halves(data, raw, image.tell())) is not None:
        whole = whole * np.uint16(256) + lower
    colours = from_16_bits(whole[..., :3])
    if has_key:
        return _with_profile(on_ground(_layer(colours, (whole != transparent).any(axis=-1))), image)
    made = Image.fromarray(colours)
    if image.mode == "RGBA":
        made.putalpha(image.getchannel("A"))
        return on_ground(_with_profile(made, image))
    return _with_profile(made, image)


def _lower_halves(data: bytes, raw: str, frame: int) -> NDArray[np.uint8] | None:
    """The lower byte of each sample, by a second decoding; None where Pillow cannot."""
    other = LOWER_HALVES.get(raw[-1:])
    with Image.open(io.BytesIO(data)) as again:
        again.seek(frame)
        if other is None or not again.tile:
            return None
        again.tile = [tile._replace(args=_renamed(tile.args, raw, raw[:-1] + other)) for tile in again.tile]
        try:
            again.load()
        except (ValueError, OSError):
            return None
        return np.array(again)


def _renamed(arguments: Any, before: str, after: str) -> Any:
    if isinstance(arguments, tuple):
        return tuple(after if argument == before else argument for argument in arguments)
    return after


def _of_samples(samples: NDArray[Any], kind: Layout) -> Image.Image:
    """The picture that the samples of a TIFF are."""
    if kind.photometric == LAB and samples.ndim == 3:
        return _of_lab(samples, kind)
    if kind.photometric in COLOURS:
        raise PictureError(f"{kind}, which cannot be read here")
    if kind.photometric == CMYK and samples.ndim == 3 and samples.shape[2] >= 4:
        return Image.fromarray(np.ascontiguousarray(_in_8_bits(samples[..., :4])), "CMYK")
    opacity = None
    if samples.ndim == 3:
        bands = 3 if samples.shape[2] >= 3 else 1
        if kind.extra in (PREMULTIPLIED, OPACITY) and samples.shape[2] > bands:
            opacity = samples[..., bands]
        samples = samples[..., :3] if bands == 3 else samples[..., 0]
    values = _in_8_bits(samples)
    if kind.photometric == WHITE_IS_ZERO:
        values = 255 - values
    made = Image.fromarray(np.ascontiguousarray(values)).convert("RGB")
    return made if opacity is None else _seen_through(made, _in_8_bits(opacity), kind)


def _in_8_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return samples
    return from_16_bits(samples) if samples.dtype == np.uint16 else stretched(samples)


def _seen_through(colours: Image.Image, opacity: NDArray[np.uint8], kind: Layout) -> Image.Image:
    """On a ground."""
    if kind.extra == PREMULTIPLIED:
        share = np.maximum(opacity, 1)[..., None] / np.float32(255)
        colours = Image.fromarray((np.asarray(colours) / share).clip(0, 255).astype(np.uint8))
    colours.putalpha(Image.fromarray(np.ascontiguousarray(opacity)))
    return on_ground(colours)


def _of_lab(samples: NDArray[Any], kind: Layout) -> Image.Image:
    """CIE L*a*b* (TIFF 6.0, section 23): lightness of the full range, a* and b* signed, 256 to a unit in 16 bits."""
    values = samples[..., :3].astype(np.float32)
    if samples.dtype.kind == "f":
        lightness, sides = values[..., :1] * 2.55, values[..., 1:]
    else:
        whole = np.float32(1 << kind.bits)
        lightness = values[..., :1] % whole * (255 / (whole - 1))  # unsigned, whatever the file says of all samples
        sides = values[..., 1:] / (whole / 256)
        sides = np.where(sides >= 128, sides - 256, sides)
    lab = np.concatenate([lightness, sides], -1)
    samples = np.rint(np.clip(lab, [0, -128, -128], [255, 127, 127])).astype(np.int16).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(samples), "LAB").convert("RGB")
