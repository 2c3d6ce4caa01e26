"""Of every picture those after it that are nearest to it, by their vectors: a full comparison, in blocks.

A search for each picture would follow the graph of the store as often as there are pictures, 6 ms each time at 100,000.
Here all are compared with all, a block at a time, by shorter vectors that give an upper bound of each cosine; the
cosines themselves are taken of the few that are left. It must not know what is done with what is near.
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

NUMBERS = 256
"""Of a vector in the first comparison: 1,280 take five times as long."""

FEW = 4096
"""Up to so many pictures, finding the axes takes longer than it saves."""

SPARE = 2
"""So many times what is wanted is kept by upper bounds, whose order is not quite that of the cosines."""

SAMPLE = 1024
"""Vectors whose principal axes are taken."""

FAINT = 1e-9
"""Of the power of the first axis, up to which an axis is nothing but rounding."""

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
        self._bounds = _bounding(vectors, rows)

    def cosine(self, one: int, other: int) -> float:
        """Of the pictures at two places."""
        return float(self._cosines(one, np.array([other]))[0])

    def nearest_after(self, most: int, least: float, threshold: float) -> Iterator[Near]:
        """Of each picture, in turn, the ``most`` nearest of those after it from a cosine of ``least`` on, and all from
        ``threshold`` on.

        Cosines are rounded as those of a search are before they are compared. Memory: `NUMBERS` of each picture, a
        block of cosines, and a bit for each picture of the block and every other.
        """
        for start in range(0, len(self._rows), ROWS):
            block = _Block(self._bounds[start : start + ROWS], SPARE * most, least - ROUNDING, threshold - ROUNDING)
            for first in range(start, len(self._rows), COLUMNS):
                block.add(self._bounds[first : first + COLUMNS], first, start)
            for row in range(len(block.vectors)):
                yield self._near(start + row, block.found(row), most, least, threshold)

    def _near(self, place: int, found: NDArray[np.int64], most: int, least: float, threshold: float) -> Near:
        """Of what was found by upper bounds, what is wanted by the cosines themselves."""
        cosines = self._cosines(place, found)
        order = np.lexsort((found, -cosines))
        found, cosines = found[order], cosines[order]
        wanted = ((np.arange(len(found)) < most) & (cosines >= least)) | (cosines >= threshold)
        return Near(found[wanted], cosines[wanted])

    def _cosines(self, place: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        cosines = self._vectors[self._rows[others]] @ self._vectors[self._rows[place]]
        return np.minimum(np.round(np.asarray(cosines, np.float64), SCORE_DIGITS), 1.0)


def _bounding(vectors: Vectors, rows: NDArray[np.int64]) -> Vectors:
    """Of the vectors in their order, (places, up to NUMBERS + 1), shorter ones whose dot products are upper bounds of
    their cosines: coordinates along the first principal axes of some of them, then the length of what is left."""
    if vectors.shape[1] <= NUMBERS + 1 or len(rows) <= FEW:
        return np.asarray(vectors[rows], np.float32)
    sample = np.asarray(vectors[rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]], np.float64)
    powers, axes = np.linalg.eigh(sample @ sample.T)
    kept = powers[-NUMBERS:] > FAINT * powers[-1]
    axes = (sample.T @ (axes[:, -NUMBERS:][:, kept] / np.sqrt(powers[-NUMBERS:][kept]))).astype(np.float32)
    bounding = np.empty((len(rows), axes.shape[1] + 1), np.float32)
    for start in range(0, len(rows), COLUMNS):
        part = bounding[start : start + COLUMNS]
        part[:, :-1] = vectors[rows[start : start + COLUMNS]] @ axes
        part[:, -1] = np.sqrt(np.maximum(0, 1 - (part[:, :-1] ** 2).sum(axis=1)) + ROUNDING)
    return bounding


class _Block:
    """Some pictures, and what was found near them so far.

    ``most``: kept of each. ``vectors``: (rows, width). Their dot products count as cosines.
    """

    def __init__(self, vectors: Vectors, most: int, least: float, threshold: float) -> None:
        self.vectors = vectors
        self.most = most
        self._least = least
        self._threshold = threshold
        self._cosines = np.full((len(vectors), most), -np.inf, np.float32)
        self._places = np.zeros((len(vectors), most), np.int64)
        self._above: list[tuple[int, NDArray[np.uint8]]] = []
        self._counts = np.zeros(len(vectors), np.int64)

    def add(self, others: Vectors, first: int, start: int) -> None:
        """Compare with ``others``, whose places begin at ``first``; those of this block begin at ``start``."""
        cosines = self.vectors @ others.T
        places = np.arange(first, first + len(others))
        own = np.arange(start, start + len(self.vectors))
        if first <= own[-1]:
            cosines[places[None] <= own[:, None]] = -np.inf
        floor = np.maximum(self._cosines.min(axis=1), self._least)
        rows, columns = np.nonzero(cosines >= np.minimum(floor, self._threshold)[:, None])
        found = cosines[rows, columns]
        above = found >= self._threshold
        if above.any():
            self._mark(rows[above], columns[above], first)
        kept = found >= floor[rows]
        if kept.any():
            self._keep(rows[kept], columns[kept] + first, found[kept])

    def _mark(self, rows: NDArray[np.int64], columns: NDArray[np.int64], first: int) -> None:
        """As above the threshold."""
        self._counts += np.bincount(rows, minlength=len(self.vectors))
        marks = np.zeros((len(self.vectors), COLUMNS), bool)
        marks[rows, columns] = True
        self._above.append((first, np.packbits(marks, axis=1)))

    def _keep(self, rows: NDArray[np.int64], places: NDArray[np.int64], cosines: Vectors) -> None:
        """The best of what was kept and these; ``rows`` rise."""
        counts = np.bincount(rows, minlength=len(self.vectors))
        slots = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
        values = np.full((len(self.vectors), self.most + counts.max()), -np.inf, np.float32)
        where = np.zeros(values.shape, np.int64)
        values[:, : self.most], where[:, : self.most] = self._cosines, self._places
        values[rows, self.most + slots], where[rows, self.most + slots] = cosines, places
        best = np.argpartition(-values, self.most - 1, axis=1)[:, : self.most]
        self._cosines, self._places = np.take_along_axis(values, best, 1), np.take_along_axis(where, best, 1)

    def found(self, row: int) -> NDArray[np.int64]:
        """Places of what is kept of a picture, and of all from the threshold on, rising."""
        kept = self._places[row][np.isfinite(self._cosines[row])]
        if self._counts[row] <= self.most:
            return np.sort(kept)
        above = [first + np.flatnonzero(np.unpackbits(marks[row])) for first, marks in self._above]
        return np.union1d(kept, np.concatenate(above))
