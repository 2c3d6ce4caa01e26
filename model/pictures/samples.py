"""Samples of other depths become 8 bits: 16-bit grey of fewer bits, signed, 32-bit and float without a range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras, scanners and microscopes fill of 16."""

FARTHEST = 0.001
"""Share of the samples at each end that may lie far beyond the others, as hot and dead pixels do."""

ENOUGH = 2_000_000
"""Samples from which the range is taken: of more, each second, third and so on."""

Samples = NDArray[Any]


def depth_of(highest: int) -> int:
    """The bits that 16-bit samples seem to have, by the highest of them.

    A picture that uses a quarter of its range at most is so dark that nobody keeps it so; a file of 12 bits is common.
    """
    return next(bits for bits in DEPTHS if highest < 1 << bits)


def from_16_bits(samples: NDArray[np.uint16], *, white_is_zero: bool = False) -> NDArray[np.uint8]:
    """Of any shape: scaled by the depth that is in use, and not cut off."""
    white = (1 << depth_of(int(samples.max(initial=0)))) - 1
    scaled = samples.astype(np.float32)
    scaled *= np.float32(255 / white)
    if white_is_zero:
        np.subtract(255, scaled, out=scaled)
    return _rounded(scaled)


def stretched(samples: Samples) -> NDArray[np.uint8]:
    """32-bit and float samples, of any shape, have no fixed range: the lowest becomes black, the highest white.

    Outliers, NaN and infinity are not counted, nor is one value far below or above all others, by which maps mark where
    there are no data. Float samples that fill 0 to 1 keep that range.
    """
    is_float = samples.dtype.kind == "f"
    values: NDArray[Any] = samples.astype(np.float32 if samples.dtype.itemsize < (8 if is_float else 4) else np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(values)
        step = max(1, values.size // ENOUGH)
        low, high = _range(values.reshape(-1)[::step][finite.reshape(-1)[::step]], is_float)
        np.copyto(values, low, where=~finite)
        values -= low
        values *= 255 / (high - low) if high > low else 1.0
        if not np.isfinite(values).all():  # a range beyond what the type holds
            values = np.nan_to_num(values, nan=0, posinf=255, neginf=0)
    return _rounded(values)


def _range(values: NDArray[np.floating], is_float: bool) -> tuple[float, float]:
    """What becomes black and what becomes white."""
    values = _without_mark(values)
    if not values.size:
        return 0.0, 0.0
    low = float(np.quantile(values, FARTHEST, method="lower"))
    high = float(np.quantile(values, 1 - FARTHEST, method="higher"))
    lowest, highest, span = float(values.min()), float(values.max()), high - low
    if not span or low - lowest <= span:  # nearly all are equal, or what lies beyond is no outlier
        low = lowest
    if not span or highest - high <= span:
        high = highest
    if is_float and low >= 0 and 0.5 < high <= 1:
        return 0.0, 1.0  # as editors keep colours
    return (low, high) if high > low else (min(low, 0.0), low)


def _without_mark(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Without the lowest or highest value where all others lie nearer to each other than to it."""
    for _ in range(2):
        if not values.size:
            return values
        low, high = values.min(), values.max()
        above, below = values[values > low], values[values < high]
        if above.size > 1 and (span := above.max() - above.min()) > 0 and above.min() - low > span:
            values = above
        elif below.size > 1 and (span := below.max() - below.min()) > 0 and high - below.max() > span:
            values = below
        else:
            return values
    return values


def _rounded(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)


def grey(samples: NDArray[np.uint8]) -> Image.Image:
    """(height, width) as a picture."""
    return Image.fromarray(np.ascontiguousarray(samples))
