"""From a decoded picture to the squares that an encoder sees, by a rule that belongs to the collection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import UsageError
from model.pictures.colours import in_srgb
from model.pictures.signature import signature_of

Pixels = NDArray[np.uint8]
"""Upright RGB squares of one picture, its views: (views, crop, crop, 3) uint8."""

PUBLISHED = "published"
"""Of the rules, the one that an encoder's weights were published with: a resize and the centre square."""

WHOLE = "whole"
"""The rule by which all of a picture is seen, in several views where it is wide or tall."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a picture becomes the squares an encoder sees; every number belongs to the encoder's weights.

    ``resize``: length of the shorter side after resizing, pixels. ``crop``: side of the square, pixels. ``resample``:
    Pillow's filter. ``mean`` and ``std``: per channel, for values in 0..1. ``rule``: a name in `RULES`.
    """

    resize: int
    crop: int
    resample: Image.Resampling
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rule: str = PUBLISHED

    def by(self, rule: str) -> Framing:
        """The same by another rule. Raises UsageError where there is none of that name."""
        if rule not in RULES:
            raise UsageError(f"no framing {rule!r}: there are {', '.join(framing_names())}")
        return replace(self, rule=rule)


@dataclass(frozen=True, slots=True)
class Framed:
    """A picture as an encoder sees it.

    ``pixels``: its views, (views, crop, crop, 3), in sRGB. ``width``, ``height``: of the whole, upright. ``damaged``:
    what is wrong with a file that is shown all the same; empty for nearly all. ``frame``: number of the frame or page
    that stands for it. ``signature``: of `model.pictures.signature`.
    """

    pixels: Pixels
    width: int
    height: int
    damaged: str = ""
    frame: int = 0
    signature: bytes = b""


def frame(image: Image.Image, framing: Framing) -> Pixels:
    """The views of a picture by the framing's rule.

    Returns:
        (views, crop, crop, 3) uint8; one view of nearly every picture.
    """
    return _views(RULES[framing.rule](image, framing), framing)


def frame_with_signature(image: Image.Image, framing: Framing) -> tuple[Pixels, bytes]:
    """`frame`, and the picture's signature.

    Of an ordinary picture it is made of what was resized for the view before its ends are cut off: to go through all
    pixels once more would cost some hundredths of the rate of an ingest.
    """
    resized = RULES[framing.rule](image, framing)
    is_whole = len(resized) == 1 and max(image.size) <= MAX_ASPECT * min(image.size)
    return _views(resized, framing), signature_of(resized[0] if is_whole else image)


def _views(resized: list[Image.Image], framing: Framing) -> Pixels:
    return np.stack([np.asarray(in_srgb(_middle(one, framing.crop))) for one in resized])


def _published(image: Image.Image, framing: Framing) -> list[Image.Image]:
    """The shorter side resized, as torchvision's presets do."""
    image = _without_far_ends(image)
    width, height = image.size
    short = min(width, height)
    # torchvision truncates the longer side (transforms.functional._compute_resized_output_size)
    size = (framing.resize * width // short, framing.resize * height // short)
    return [_resized(image, size, framing)]


ORDINARY = 1.75
"""Longest ratio of the sides that one view shows: photos have 4:3 and 3:2, screens 16:10. Several views find what
stands at the ends, and find fewer pictures alike as a whole; from 16:9 on the first is worth more."""

WINDOW = 1.5
"""Ratio of the part of a wide or tall picture that one view shows, at most."""

OVERLAP = 1.2
"""Windows are so much longer than their share of the picture, so that what stands between two is whole in one."""

LONGEST_WINDOW = 4 / 3
"""Windows that overlap are at most so long: the shape that photos have, of which one view shows most."""

MOST_VIEWS = 8


def _whole(image: Image.Image, framing: Framing) -> list[Image.Image]:
    """One view of an ordinary picture, several along the longer side of a wide or tall one.

    A view's longer side is shortened to the square root of its ratio before the centre square is cut. Of all powers
    from 0 (squashed) to 1 (the published framing) this one finds most alike pictures (`benchmarks/framing.py`).
    """
    image = _without_far_ends(image)
    width, height = image.size
    ratio = max(width, height) / min(width, height)
    if ratio <= ORDINARY:
        return [_shortened(image, framing)]
    views = min(MOST_VIEWS, math.ceil(ratio / WINDOW))
    share = ratio / views
    side = min(width, height) * max(share, min(LONGEST_WINDOW, max(1.0, OVERLAP * share)))
    step = (max(width, height) - side) / (views - 1)
    spans = [(round(number * step), round(number * step + side)) for number in range(views)]
    boxes = [(begin, 0, end, height) if width > height else (0, begin, width, end) for begin, end in spans]
    return [_shortened(image.crop(box), framing) for box in boxes]


def _shortened(image: Image.Image, framing: Framing) -> Image.Image:
    width, height = image.size
    longer = round(framing.resize * math.sqrt(max(width, height) / min(width, height)))
    size = (longer, framing.resize) if width >= height else (framing.resize, longer)
    return _resized(image, size, framing)


def _resized(image: Image.Image, size: tuple[int, int], framing: Framing) -> Image.Image:
    return image if size == image.size else image.resize(size, framing.resample)


def _middle(image: Image.Image, side: int) -> Image.Image:
    """The square in the middle."""
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


RULES: dict[str, Callable[[Image.Image, Framing], list[Image.Image]]] = {PUBLISHED: _published, WHOLE: _whole}
"""Each resizes a picture, or parts of it; the squares in the middle of these are its views."""


def framing_names() -> list[str]:
    """The rules' names, sorted."""
    return sorted(RULES)


MAX_ASPECT = 32
"""Beyond this only the middle is resized: 10,000 x 1 pixels would become 2,560,000 x 256 for a 224 crop."""


def _without_far_ends(image: Image.Image) -> Image.Image:
    short = min(image.size)
    longest = short * MAX_ASPECT
    if max(image.size) <= longest:
        return image
    width, height = (min(side, longest) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
