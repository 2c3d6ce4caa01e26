"""Whether two pictures are one picture: at another size, format, quality or brightness, grey, mirrored, cut a little.

It compares decoded pixels. Two takes of one scene, two letters, two screens of one program are not the same, however
much they look alike; it says so of everything where the pixels are no proof.

One picture is laid on the other by least squares over scale, shift, brightness and contrast, coarse to fine (Lucas and
Kanade 1981); then the detail of each small block is compared, by correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.pictures.decode import open_picture

SIDE = 384
"""Pixels of the longer side at which pictures are compared: letters of a page are 5 of them high."""

LEVELS = (32, 64, 128)
"""Pixels of the longer side while one is laid on the other."""

STEPS = 6
"""Taken at most to lay one on the other, at each level."""

FIRST_STEPS = 2
PROMISES = 0.5
"""Correlation after the first steps, below which no further ones are taken."""

MOST_CUT = 0.12
"""Of a side that may be cut off at each end."""

ROUND_OFF = 0.012
"""Of a side: what aligning may be wrong by. One picture must lie within the other; two takes, moved against each other,
each show something at an edge that the other does not."""

SHAPE = 1.25
"""Ratio of the ratios of their sides, at most."""

BLOCK = 12
"""Pixels a side of the blocks whose detail is compared."""

SMALL, SMALL_BLOCK = 96, 6
"""Pixels of the longer side up to which blocks are smaller: a picture 75 pixels wide has 24 of 12, and half of them in
the plain ground; of 6 it has 108."""

LEAST_DETAIL = 2.5
"""Standard deviation of grey values of 255, below which a block says nothing: paper, sky, the noise of JPEG."""

LEAST_BLOCKS = 6
"""With fewer that say something, pictures are blank, and no proof."""

GLANCE = 12
"""Pixels a side of what is compared first, as if there were nothing to align."""

GLANCES_ALIKE = 0.4
"""Correlation at a glance, below which there is no use in aligning two: copies cut by 5% at each side had 0.58 at
least, and 92 of 100 pairs of different photographs less than this."""

LOOKS_LIKE = 0.75
"""Correlation, on 32 pixels, below which there is no use in looking closer."""

AGREES = 0.5
"""Correlation of two blocks' detail from which they show the same."""

LEAST_AGREEMENT = 0.9
"""Share of the detail that both have that must agree: a mark laid over a picture spoils some."""

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """A picture for comparing: grey, at most `SIDE` pixels a side."""

    grey: Image.Image

    @classmethod
    def of(cls, image: Image.Image) -> Looks:
        """Of an upright RGB picture."""
        share = min(1.0, SIDE / max(image.size))
        size = (max(8, round(image.width * share)), max(8, round(image.height * share)))
        return cls(image.convert("L").resize(size, Image.Resampling.BOX, reducing_gap=3.0))

    @classmethod
    def read(cls, data: bytes, *, name: str = "picture") -> Looks:
        """Of an image file; ``name`` and errors as `open_picture`."""
        return cls.of(open_picture(data, name=name, shown_at=SIDE, max_megapixels=0))

    @property
    def ratio(self) -> float:
        return self.grey.width / self.grey.height

    @cached_property
    def small(self) -> dict[int, Image.Image]:
        """By the length of the longer side; those that are no larger than it."""
        return {side: _resized(self.grey, side) for side in LEVELS}

    def at(self, side: int) -> Image.Image:
        return self.small[side] if side in self.small else _resized(self.grey, side)

    @cached_property
    def glance(self) -> Grey:
        """(GLANCE, GLANCE)."""
        return np.asarray(self.grey.resize((GLANCE, GLANCE), Image.Resampling.BOX), np.float32)

    @cached_property
    def mirrored(self) -> Looks:
        return Looks(self.grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _resized(image: Image.Image, side: int) -> Image.Image:
    share = side / max(image.size)
    size = (max(8, round(image.width * share)), max(8, round(image.height * share)))
    return image.resize(size, Image.Resampling.BOX if share < 1 else Image.Resampling.BILINEAR)


def is_same(one: Looks, other: Looks) -> bool:
    """Whether they are one picture: the second can be laid on the first, or the first on the second."""
    shapes = one.ratio / other.ratio
    if not 1 / SHAPE <= shapes <= SHAPE:
        return False
    return any(_is_laid_on(one, turned) or _is_laid_on(turned, one) for turned in (other, other.mirrored))


def _is_laid_on(one: Looks, other: Looks) -> bool:
    if _correlation(one.glance, other.glance) < GLANCES_ALIKE:
        return False
    place = _Place()
    longest = min(max(one.grey.size), max(other.grey.size))
    for side in sorted({min(side, longest) for side in LEVELS}):  # the larger is made as coarse as the smaller
        place = _aligned(one.at(side), other.at(side), place)
        if not place.is_likely:
            return False
    if not (place.is_within or place.surrounds):
        return False
    return _agree(_resized(one.grey, longest), other.grey, place)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the other picture a point of the first lies, in shares of the sides from the middle, -1 to 1:
    ``scale`` * point + ``shift``, across and down. ``likeness``: correlation there."""

    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    likeness: float = 1.0

    @property
    def edges(self) -> list[float]:
        """How far each edge of the first lies beyond that of the other, in shares of half a side."""
        pairs = list(zip(self.scale, self.shift, strict=True))
        return [scale + sign * shift - 1 for scale, shift in pairs for sign in (1, -1)]

    @property
    def is_likely(self) -> bool:
        return self.likeness >= LOOKS_LIKE and max(map(abs, self.edges)) <= 3 * MOST_CUT

    @property
    def is_within(self) -> bool:
        return all(-2 * MOST_CUT <= edge <= 2 * ROUND_OFF for edge in self.edges)

    @property
    def surrounds(self) -> bool:
        return all(-2 * ROUND_OFF <= edge <= 2 * MOST_CUT / (1 - 2 * MOST_CUT) for edge in self.edges)


def _aligned(one: Image.Image, other: Image.Image, place: _Place) -> _Place:
    """``place`` made better at this size."""
    wanted = np.asarray(one, np.float32)
    across = np.linspace(-1, 1, wanted.shape[1], dtype=np.float32)[None] * np.ones_like(wanted)
    down = np.linspace(-1, 1, wanted.shape[0], dtype=np.float32)[:, None] * np.ones_like(wanted)
    likeness = 0.0
    for step in range(STEPS + 1):
        seen, inside = _warped(other, one.size, place)
        if inside.sum() < inside.size // 2:
            return _Place(likeness=0.0)
        likeness = _correlation(wanted[inside], seen[inside])
        if step == STEPS or (step == FIRST_STEPS and likeness < PROMISES):
            break
        rises = np.gradient(seen)
        right, below = rises[1] * (wanted.shape[1] - 1) / 2, rises[0] * (wanted.shape[0] - 1) / 2
        sides = [right * across, below * down, right, below, seen, np.ones_like(seen)]
        columns = np.stack([side[inside] for side in sides], axis=1)
        normal = columns.T @ columns + np.eye(6, dtype=np.float32)
        found = np.linalg.solve(normal.astype(np.float64), (columns.T @ wanted[inside]).astype(np.float64))
        gain = found[4] if abs(found[4]) > 0.2 else 1.0
        change = np.clip(found[:4] / gain, -0.1, 0.1)
        place = _Place(
            (place.scale[0] + float(change[0]), place.scale[1] + float(change[1])),
            (place.shift[0] + float(change[2]), place.shift[1] + float(change[3])),
        )
        if np.abs(change).max() < 1e-3:
            seen, inside = _warped(other, one.size, place)
            likeness = _correlation(wanted[inside], seen[inside]) if inside.any() else 0.0
            break
    return _Place(place.scale, place.shift, likeness)


def _warped(other: Image.Image, size: tuple[int, int], place: _Place) -> tuple[Grey, NDArray[np.bool_]]:
    """The other picture as the first has it, (height, width), and where it has anything."""
    width, height = size
    a, c = _to_pixels(place.scale[0], place.shift[0], width, other.width)
    e, f = _to_pixels(place.scale[1], place.shift[1], height, other.height)
    data = (a, 0.0, c, 0.0, e, f)
    seen = np.asarray(
        other.convert("F").transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=-1),
        np.float32,
    )
    columns, rows = a * (np.arange(width) + 0.5) + c, e * (np.arange(height) + 0.5) + f
    inside = ((rows > 0.5) & (rows < other.height - 0.5))[:, None] & ((columns > 0.5) & (columns < other.width - 0.5))[
        None
    ]
    return seen, inside


def _to_pixels(scale: float, shift: float, length: int, other: int) -> tuple[float, float]:
    """Of one axis: factor and offset from a pixel of the first to one of the other."""
    factor = scale * other / length
    return factor, (shift + 1 - scale) * other / 2


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum() / size) if size else 0.0


def _agree(one: Image.Image, other: Image.Image, place: _Place) -> bool:
    """Whether most of the detail is the same, block by block."""
    if max(other.size) > max(one.size):  # the sharper of the two is made as coarse as the other
        other = _resized(other, max(one.size))
    seen, inside = _warped(other, one.size, place)
    wanted = np.asarray(one, np.float32)
    block = SMALL_BLOCK if max(one.size) <= SMALL else BLOCK
    first, second = _blocks(wanted, block), _blocks(seen, block)
    whole = _blocks(inside.astype(np.float32), block).min(axis=(1, 2)) > 0
    first, second = _detail(first[whole]), _detail(second[whole])
    powers = [(detail * detail).mean(axis=(1, 2)) for detail in (first, second)]
    tells = np.maximum(*powers) > LEAST_DETAIL**2
    if tells.sum() < LEAST_BLOCKS:
        return False
    size = np.sqrt(powers[0] * powers[1])
    correlation = (first * second).mean(axis=(1, 2)) / np.maximum(size, 1e-6)
    # what only one of them has may be a mark, or lost in compression, and counts for less
    weights = np.minimum(2 * np.sqrt(np.minimum(*powers)), np.sqrt(np.maximum(*powers)))[tells]
    return bool(weights[correlation[tells] >= AGREES].sum() >= LEAST_AGREEMENT * weights.sum())


def _blocks(pixels: Grey, side: int) -> Grey:
    """(blocks, side, side); what is left over at the right and below is left out."""
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    cut = pixels[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _detail(blocks: Grey) -> Grey:
    """What is left when rows and columns have had their means taken away: lines of text, which are alike on every
    page, leave their letters."""
    across, down = blocks.mean(axis=1, keepdims=True), blocks.mean(axis=2, keepdims=True)
    detail: Grey = blocks - across - down + blocks.mean(axis=(1, 2), keepdims=True)
    return detail
