"""Colours as a person sees them: profiles brought to sRGB, transparent pictures laid on a ground; no files here."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

PROFILED = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""Pillow's modes that a profile can speak of, with the profile's name for their colour space (ICC.1, 7.2.6)."""

UNSEEN_DIFFERENCE = 3
"""Of 255: a profile that moves no colour further is sRGB by another name, and costs nothing from then on."""

LEAST_CONTRAST = 48
"""Of 255, mean difference from white of what is drawn: below, it is laid on black. White strokes have 0, yellow ones
28, light grey ones 44; photographs cut out have 80 to 200."""

MOSTLY_DRAWN = 0.9
"""Share of the area: a page with round corners is no drawing on a transparent ground, and stays on white."""

LOOKED_AT = 128
"""Pixels a side of the copy in which contrast is measured."""


def in_srgb(image: Image.Image) -> Image.Image:
    """RGB of the colours that the picture's profile speaks of, or of its bare numbers where it has none.

    A broken profile, or one of other channels, is passed over. Shrink a picture first: the cost is per pixel.
    """
    profile = image.info.get("icc_profile")
    if profile and image.mode in PROFILED:
        transform = _to_srgb(bytes(profile), image.mode)
        if transform is not None:
            return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def is_profiled(image: Image.Image) -> bool:
    """Whether `in_srgb` would change more than the mode."""
    profile = image.info.get("icc_profile") or b""
    return bool(profile) and image.mode in PROFILED and _to_srgb(bytes(profile), image.mode) is not None


@lru_cache(maxsize=32)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where nothing is to be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != PROFILED[mode]:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        chart = _chart(mode)
        before = np.asarray(chart.convert("RGB"), np.int16)
        after = np.asarray(transform.apply(chart), np.int16)
    except Exception:  # noqa: BLE001 - a profile is hostile bytes too, and spoils the colours, not the picture
        return None
    return transform if np.abs(after - before).max() > UNSEEN_DIFFERENCE else None


def _chart(mode: str) -> Image.Image:
    """Colours by which a profile is judged: a grid of all channels, and greys."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.array([0, 64, 128, 192, 255], np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * len(Image.new(mode, (1, 1)).getbands())), -1)
    return Image.fromarray(grid.reshape(1, -1, grid.shape[-1]), mode)


def on_ground(layer: Image.Image) -> Image.Image:
    """An RGBA picture laid on white, or on black where what is drawn would vanish on white."""
    alpha = layer.getchannel("A")
    lowest = alpha.getextrema()[0]
    colour = "white" if lowest == 255 or _shows_on_white(layer) else "black"
    ground = Image.new("RGB", layer.size, colour)
    ground.info = {key: layer.info[key] for key in ("icc_profile",) if layer.info.get(key)}
    ground.paste(layer, mask=alpha)  # half the memory of a composite of two RGBA pictures
    return ground


def _shows_on_white(layer: Image.Image) -> bool:
    size = (min(LOOKED_AT, layer.width), min(LOOKED_AT, layer.height))
    small = layer.resize(size, Image.Resampling.BOX)  # weighs colours by their opacity
    opacity = np.asarray(small.getchannel("A"), np.float64) / 255
    drawn = opacity.sum()
    if drawn == 0 or drawn > MOSTLY_DRAWN * opacity.size:
        return True
    darkness = 255 - np.asarray(small.convert("RGB").convert("L"), np.float64)
    return bool((darkness * opacity).sum() >= LEAST_CONTRAST * drawn)
