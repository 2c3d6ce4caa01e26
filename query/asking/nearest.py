"""Of every picture those after it that are nearest to it, by their vectors: a full comparison, in blocks.

A search for each picture would follow the graph of the store as often as there are pictures, 6 ms each time at 100,000;
comparing all of them at once costs half of that, misses nothing, and is the same for every store. It must not know what
is done with what is near.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SCORE_DIGITS

ROWS = 512
COLUMNS = 8192
"""Pictures compared at once: 16 MB of cosines."""

ROUNDING = 0.5 * 10**-SCORE_DIGITS

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Near:
    """Of one picture: ``places`` of those after it in the order and their ``cosines``, the nearest first."""

    places: NDArray[np.int64]
    cosines: NDArray[np.float64]


class Order:
    """Pictures in their order.

    Args:
        vectors: (pictures, width), unit vectors in any order; may lie in a file.
        rows: of ``vectors``, one for each place in the order.
    """

    def __init__(self, vectors: Vectors, rows: NDArray[np.int64]) -> None:
        self._vectors = vectors
        self._rows = rows

    def cosine(self, one: int, other: int) -> float:
        """Of the pictures at two places."""
        first, second = self._vectors[self._rows[[one, other]]]
        return float(_rounded(first @ second))

    def nearest_after(self, most: int, least: float, threshold: float) -> Iterator[Near]:
        """Of each picture, in turn, the ``most`` nearest of those after it from a cosine of ``least`` on, and all from
        ``threshold`` on.

        Cosines are rounded as those of a search are before they are compared. Memory: a block of cosines, and a bit for
        each picture of the block and every other.
        """
        for start in range(0, len(self._rows), ROWS):
            block = _Block(self._of(start, ROWS), most, least - ROUNDING, threshold - ROUNDING)
            for first in range(start, len(self._rows), COLUMNS):
                block.add(self._of(first, COLUMNS), first, start)
            yield from (self._near(block, row, start) for row in range(len(block.vectors)))

    def _of(self, start: int, count: int) -> Vectors:
        return self._vectors[self._rows[start : start + count]]

    def _near(self, block: _Block, row: int, start: int) -> Near:
        places, cosines = block.best(row)
        if block.above(row) > block.most:
            places = block.places_above(row, start)
            cosines = self._vectors[self._rows[places]] @ block.vectors[row]
        rounded = _rounded(cosines)
        order = np.lexsort((places, -rounded))
        return Near(places[order], rounded[order])


def _rounded(cosines: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.minimum(np.round(np.asarray(cosines, np.float64), SCORE_DIGITS), 1.0)


class _Block:
    """Some pictures, and what was found near them so far.

    ``most``: kept of each. ``vectors``: (rows, width).
    """

    def __init__(self, vectors: Vectors, most: int, least: float, threshold: float) -> None:
        self.vectors = vectors
        self.most = most
        self._least = least
        self._threshold = threshold
        self._cosines = np.full((len(vectors), most), -np.inf, np.float32)
        self._places = np.zeros((len(vectors), most), np.int64)
        self._above: list[NDArray[np.uint8]] = []
        self._counts = np.zeros(len(vectors), np.int64)

    def add(self, others: Vectors, first: int, start: int) -> None:
        """Compare with ``others``, whose places begin at ``first``; those of this block begin at ``start``."""
        cosines = self.vectors @ others.T
        places = np.arange(first, first + len(others))
        own = np.arange(start, start + len(self.vectors))
        if first <= own[-1]:
            cosines[places[None] <= own[:, None]] = -np.inf
        above = cosines >= self._threshold
        self._counts += above.sum(axis=1)
        self._above.append(np.packbits(above, axis=1))
        floor = np.maximum(self._cosines.min(axis=1), self._least)
        self._keep(cosines, cosines >= floor[:, None], first)

    def _keep(self, cosines: Vectors, wanted: NDArray[np.bool_], first: int) -> None:
        rows, columns = np.nonzero(wanted)
        if not len(rows):
            return
        counts = np.bincount(rows, minlength=len(cosines))
        slots = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
        fresh = np.full((len(cosines), counts.max()), -np.inf, np.float32)
        places = np.zeros(fresh.shape, np.int64)
        fresh[rows, slots], places[rows, slots] = cosines[rows, columns], columns + first
        fresh = np.concatenate([self._cosines, fresh], axis=1)
        places = np.concatenate([self._places, places], axis=1)
        best = np.argpartition(-fresh, self.most - 1, axis=1)[:, : self.most]
        self._cosines, self._places = np.take_along_axis(fresh, best, 1), np.take_along_axis(places, best, 1)

    def best(self, row: int) -> tuple[NDArray[np.int64], Vectors]:
        """Places and cosines, in no order."""
        found = np.isfinite(self._cosines[row])
        return self._places[row][found], self._cosines[row][found]

    def above(self, row: int) -> int:
        """How many are at or above the threshold."""
        return int(self._counts[row])

    def places_above(self, row: int, start: int) -> NDArray[np.int64]:
        """Which they are."""
        parts = [np.flatnonzero(np.unpackbits(part[row])) for part in self._above]
        return np.concatenate([part + start + number * COLUMNS for number, part in enumerate(parts)])
