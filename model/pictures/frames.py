"""Which frame or page stands for a file of several: the first that is not blank, at the end of its fade-in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS_OF_FRAMES = frozenset({"GIF", "PNG", "WEBP", "TIFF", "AVIF"})
"""Of the others, further frames are other views of the first (MPO) or pictures of their own (HEIF)."""

LOW_CONTRAST = 20.0
"""Standard deviation of a frame's grey values, of 255, from which it shows something for certain: photos have 40 to 80,
a scanned blank page 1 to 5."""

BRIGHTENS = 1.05
"""A frame follows another in a fade-in where its contrast is so many times as large, and it shows the same."""

SHOWS_THE_SAME = 0.9
"""Least correlation of two frames of a fade-in."""

BLANK = 4.0
MOST_FRAMES = 64
SEARCH_SECONDS = 2.0
SIDE = 32


def choose_frame(image: Image.Image, largest: int = 0) -> int:
    """The number of the frame that stands for a file; 0 for nearly every one.

    Args:
        image: opened for this alone: Pillow cannot go back to some frames.
        largest: pixels; further frames that are larger are not looked at. 0: any.
    """
    if not _has_more(image):
        return 0
    contrast = 0.0
    chosen, best, shown = 0, -1.0, np.zeros((SIDE, SIDE))
    for number, looks in _frames(image, largest):
        contrast = float(looks.std())
        if best < BLANK:
            is_better = contrast > best
        else:
            is_better = contrast > BRIGHTENS * best and _correlation(looks, shown) >= SHOWS_THE_SAME
        if is_better:
            chosen, best, shown = number, contrast, looks
        elif best >= BLANK:
            break
        if number == 0 and contrast >= LOW_CONTRAST:
            return 0
    return chosen


def _has_more(image: Image.Image) -> bool:
    """Without counting them, for which a GIF is read to its end."""
    try:
        image.seek(1)
    except (EOFError, AttributeError):
        return False
    except Exception:  # noqa: BLE001 - a later frame that is broken is no fault of the first
        image.seek(0)
        return False
    image.seek(0)
    return True


def _frames(image: Image.Image, largest: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Number and looks, (SIDE, SIDE) grey values, of each; ends at one that cannot be read."""
    until = time.monotonic() + SEARCH_SECONDS
    for number in range(MOST_FRAMES):
        try:
            image.seek(number)
            if number and largest and image.width * image.height > largest:
                return
            looks = _looks(image)
        except Exception:  # noqa: BLE001 - the frames before it are what there is; the first is judged again
            return
        yield number, looks
        if time.monotonic() > until:
            return


def _looks(image: Image.Image) -> NDArray[np.float64]:
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, np.float64)
        top = np.nanmax(values, initial=1.0)
        small = Image.fromarray((values * (255 / top)).clip(0, 255).astype(np.uint8))
        return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return np.asarray(white.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread else 0.0
