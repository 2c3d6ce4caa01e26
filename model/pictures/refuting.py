"""Which pairs of pictures are not one picture, by their signatures: hundreds of pairs at once, and no file opened.

It refutes and proves nothing; what is left is for `model.pictures.sameness`, whose way it follows at the size of a
signature: one is laid on the other by least squares over scale, shift, brightness and contrast, then they are compared
by correlation. It must not know where signatures come from.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from model.pictures.sameness import GLANCE, MOST_CUT, ROUND_OFF
from model.pictures.signature import SIGNATURE_SIDE

Greys = NDArray[np.uint8]
"""What signatures hold, (n, SIGNATURE_SIDE, SIGNATURE_SIDE)."""

Cells = NDArray[np.float32]
"""Greys, (n, side, side)."""

Glances = NDArray[np.float32]
"""What is compared first, (n, GLANCE * GLANCE): the greys of fewer cells, without their mean, of length 1."""

AT_ONCE = 256
"""Pairs that are aligned at once: 1 MB for each number that is kept of a cell."""

GLANCES_ALIKE = 0.4
"""Correlation at a glance, before anything is aligned, below which a pair is refuted."""

TRIED_BOTH_WAYS = 0.55
"""Correlation at a glance, from which the second is laid on the first, too, before the pair is refuted: of two copies
one way may fail, and nearly all other pairs look less alike."""

COARSE = 16
"""Cells a side while most pairs are refuted, at a fifth of the cost."""

ROUNDS = ((COARSE, 2, 0.4), (COARSE, 3, 0.5), (SIGNATURE_SIDE, 3, 0.7))
"""In turn: cells a side, steps taken to lay one on the other, correlation below which a pair is then refuted."""

LEAST_DETAIL_ALIKE = 0.35
"""Correlation, at last, of what is left of the cells without the mean of those around them."""

BLANK = 1e-3
"""Length of what differs from the mean, up to which there is nothing."""

OUTSIDE = 0.25
"""Of a cell, which the middle of one may lie beyond the last of the other."""

LEAST_GAIN = 0.2
LONGEST_STEP = 0.1

BEYOND = 0.12
"""Of half a side: what an edge may be wrong by, where cells are aligned."""


class Signatures:
    """Those of many pictures, which are named by their rows.

    Args:
        greys: (pictures, SIGNATURE_SIDE, SIGNATURE_SIDE), zeros where a picture has none; may lie in a file.
    """

    def __init__(self, greys: Greys) -> None:
        self._greys = greys
        self._glances = np.zeros((len(greys), GLANCE * GLANCE), np.float32)
        for start in range(0, len(greys), AT_ONCE):
            self._glances[start : start + AT_ONCE] = _glances_of(greys[start : start + AT_ONCE])

    def put(self, row: int, signature: bytes) -> None:
        """Give a picture a signature, in place of the one in ``greys``."""
        self._greys[row] = np.frombuffer(signature, np.uint8).reshape(SIGNATURE_SIDE, SIGNATURE_SIDE)
        self._glances[row] = _glances_of(self._greys[row : row + 1])[0]

    def glances(self, rows: NDArray[np.int64]) -> Glances:
        return self._glances[rows]

    def may_be_same(self, ones: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each picture of ``ones`` may be that of ``others``, as it is or mirrored.

        Returns:
            (n,): False where they are not one picture.
        """
        found = np.zeros(len(ones), bool)
        glances, theirs = self._glances[ones], self._glances[others]
        likeness = np.stack([_dots(glances, theirs), _dots(glances, mirrored(theirs))], axis=1)
        pairs, turned = np.nonzero(likeness >= GLANCES_ALIKE)
        for start in range(0, len(pairs), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            first, second = (self._greys[many[pairs[rows]]].astype(np.float32) for many in (ones, others))
            second = np.where(turned[rows, None, None] > 0, second[:, :, ::-1], second)
            laid = _can_be_laid_on(first, second)
            again = ~laid & (likeness[pairs[rows], turned[rows]] >= TRIED_BOTH_WAYS)
            laid[again] = _can_be_laid_on(second[again], first[again])
            found[pairs[rows][laid]] = True
        return found


def _glances_of(greys: Greys) -> Glances:
    """Without the mean, of length 1; of a blank picture it is zeros."""
    mean = _averaging(SIGNATURE_SIDE, GLANCE)
    flat = (mean @ greys.astype(np.float32) @ mean.T).reshape(len(greys), GLANCE * GLANCE)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    glances: Glances = flat / np.where(lengths > BLANK, lengths, np.inf)
    return glances


def mirrored(glances: Glances) -> Glances:
    """Of the mirrored pictures."""
    return glances.reshape(-1, GLANCE, GLANCE)[:, :, ::-1].reshape(-1, GLANCE * GLANCE)


@cache
def _averaging(cells: int, fewer: int) -> NDArray[np.float32]:
    """(fewer, cells): the means of cells that fewer ones cover, by share."""
    bounds = np.linspace(0, cells, fewer + 1)
    begin, end = bounds[:-1, None], bounds[1:, None]
    there = np.arange(cells)[None]
    shares = np.clip(np.minimum(end, there + 1) - np.maximum(begin, there), 0, None)
    return np.asarray(shares * fewer / cells, np.float32)


def _dots(ones: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("nc,nc->n", ones, others), np.float32)


def _can_be_laid_on(ones: Cells, others: Cells) -> NDArray[np.bool_]:
    """(n,), for pairs that look alike at a glance."""
    if not len(ones):
        return np.zeros(0, bool)
    left = np.arange(len(ones))
    places = np.tile(np.array([[1, 1], [0, 0]], np.float32), (len(ones), 1, 1))
    for side, steps, least in ROUNDS:
        one, other = _coarser(ones[left], side), _coarser(others[left], side)
        for _ in range(steps):
            places = _moved(one, other, places)
        seen, inside = _seen(other, places)
        likely = (_correlations(one, seen, inside) >= least) & (np.abs(_edges(places)).max(axis=1) <= 3 * MOST_CUT)
        left, places = left[likely], places[likely]
        if not len(left):
            return np.zeros(len(ones), bool)
    one, seen, inside = one[likely], seen[likely], inside[likely]
    alike = _correlations(_detail(one), _detail(seen), inside) >= LEAST_DETAIL_ALIKE
    found = np.zeros(len(ones), bool)
    found[left] = alike & _one_holds_the_other(_edges(places))
    return found


Places = NDArray[np.float32]
"""(n, 2, 2): of the second picture, seen from the first in shares of half a side from its middle: scale across and
down, then shift across and down."""


def _coarser(cells: Cells, side: int) -> Cells:
    if cells.shape[1] == side:
        return cells
    mean = _averaging(cells.shape[1], side)
    return np.asarray(mean @ cells @ mean.T, np.float32)


def _moved(ones: Cells, others: Cells, places: Places) -> Places:
    """One step of least squares (Gauss and Newton) over scale, shift, brightness and contrast."""
    side = ones.shape[1]
    seen, inside = _seen(others, places)
    sides = np.empty((len(ones), 6, side, side), np.float32)
    _rises(seen, sides[:, 2])
    _rises(seen.transpose(0, 2, 1), sides[:, 3].transpose(0, 2, 1))
    np.multiply(sides[:, 2], _middles(side)[None, None, :], out=sides[:, 0])
    np.multiply(sides[:, 3], _middles(side)[None, :, None], out=sides[:, 1])
    sides[:, 4], sides[:, 5] = seen, 1
    sides *= inside[:, None]
    columns = sides.reshape(len(ones), 6, -1)
    normal = columns @ columns.transpose(0, 2, 1) + np.eye(6, dtype=np.float32)
    wanted = columns @ ones.reshape(len(ones), -1, 1)
    found = np.linalg.solve(normal.astype(np.float64), wanted.astype(np.float64))[:, :, 0]
    gain = np.where(np.abs(found[:, 4]) > LEAST_GAIN, found[:, 4], 1.0)
    change = np.clip(found[:, :4] / gain[:, None], -LONGEST_STEP, LONGEST_STEP)
    return places + change.reshape(-1, 2, 2).astype(np.float32)


def _rises(cells: Cells, out: Cells) -> None:
    """By how much greys rise from left to right, in half a side."""
    half = cells.shape[2] / 2
    np.subtract(cells[:, :, 2:], cells[:, :, :-2], out=out[:, :, 1:-1])
    out[:, :, 1:-1] *= half / 2
    out[:, :, 0] = (cells[:, :, 1] - cells[:, :, 0]) * half
    out[:, :, -1] = (cells[:, :, -1] - cells[:, :, -2]) * half


def _seen(others: Cells, places: Places) -> tuple[Cells, Cells]:
    """The others as the first ones have them, and which cells these have anything for, 1 or 0."""
    (across, in_columns), (down, in_rows) = (_weights(others.shape[1], places[:, :, axis]) for axis in (0, 1))
    seen = np.asarray(down @ others @ across.transpose(0, 2, 1), np.float32)
    return seen, in_rows[:, :, None] * in_columns[:, None, :]


def _weights(side: int, places: NDArray[np.float32]) -> tuple[Cells, NDArray[np.float32]]:
    """Of one axis: (n, side, side), what each cell takes from each cell of the other, between two of them by share; and
    (n, side), whether it lies in the other."""
    cells = (places[:, :1] * _middles(side) + places[:, 1:] + 1) * (side / 2) - 0.5
    inside = (cells > -0.5 - OUTSIDE) & (cells < side - 0.5 + OUTSIDE)
    nearest = np.clip(cells, 0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32)
    return np.maximum(0, 1 - np.abs(nearest)), inside.astype(np.float32)


@cache
def _middles(side: int) -> NDArray[np.float32]:
    return (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1


def _correlations(ones: Cells, others: Cells, inside: Cells) -> NDArray[np.float32]:
    """(n,), over the cells inside; 0 where one is blank."""
    count = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    first, second = (
        ((cells - (cells * inside).sum(axis=(1, 2), keepdims=True) / count) * inside).reshape(len(cells), -1)
        for cells in (ones, others)
    )
    lengths = np.sqrt(_dots(first, first) * _dots(second, second))
    return np.asarray(_dots(first, second) / np.maximum(lengths, BLANK), np.float32)


def _detail(cells: Cells) -> Cells:
    """Without the mean of the nine cells around."""
    around = np.pad(cells, ((0, 0), (1, 1), (1, 1)), "edge")
    across = around[:, :, :-2] + around[:, :, 1:-1] + around[:, :, 2:]
    detail: Cells = cells - (across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 9
    return detail


def _edges(places: Places) -> NDArray[np.float32]:
    """(n, 4): how far each edge of the first lies beyond that of the other, in shares of half a side."""
    scale, shift = places[:, 0], places[:, 1]
    return np.concatenate([scale + shift, scale - shift], axis=1) - 1


def _one_holds_the_other(edges: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether one lies within the other, of which no more is cut off than `model.pictures.sameness` allows."""
    least, most = edges.min(axis=1), edges.max(axis=1)
    slack = 2 * ROUND_OFF + BEYOND
    within = (most <= slack) & (least >= -2 * MOST_CUT - BEYOND)
    around = (least >= -slack) & (most <= 2 * MOST_CUT / (1 - 2 * MOST_CUT) + BEYOND)
    return np.asarray(within | around, bool)
