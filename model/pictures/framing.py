"""From a decoded picture to the square that an encoder sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.pictures.colours import in_srgb

Pixels = NDArray[np.uint8]
"""An upright RGB picture: (height, width, 3) uint8."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a picture becomes the square an encoder sees; every number belongs to the encoder's weights.

    ``resize``: length of the shorter side after resizing, pixels. ``crop``: side of the centre square,
    pixels. ``resample``: Pillow's filter. ``mean`` and ``std``: per channel, for values in 0..1.
    """

    resize: int
    crop: int
    resample: Image.Resampling
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Framed:
    """A picture as an encoder sees it.

    ``pixels``: (crop, crop, 3), in sRGB. ``width``, ``height``: of the whole, upright. ``damaged``: what is wrong with
    a file that is shown all the same; empty for nearly all. ``frame``: number of the frame or page that stands for it.
    """

    pixels: Pixels
    width: int
    height: int
    damaged: str = ""
    frame: int = 0


def frame(image: Image.Image, framing: Framing) -> Pixels:
    """Resize the shorter side and cut the centre square, as torchvision's presets do.

    Returns:
        (crop, crop, 3) uint8.
    """
    image = _without_far_ends(image)
    width, height = image.size
    short = min(width, height)
    # torchvision truncates the longer side (transforms.functional._compute_resized_output_size)
    size = (framing.resize * width // short, framing.resize * height // short)
    if size != image.size:
        image = image.resize(size, framing.resample)
    left = round((size[0] - framing.crop) / 2)
    top = round((size[1] - framing.crop) / 2)
    return np.asarray(in_srgb(image.crop((left, top, left + framing.crop, top + framing.crop))))


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
