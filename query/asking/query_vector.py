"""What pictures are ranked by: one vector of the collection, as far as it is wanted and as far as it is subtracted.

It must not know what the vector was made from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class QueryVector:
    """Where to look. Each: (width,) float32, of any length.

    ``vector``: the whole question. ``positive``: the same before anything is subtracted. ``negative``: what is
    subtracted, None where nothing is. ``meant``: of weights on classes, how far each class is meant, 0 to 1; None for
    what is compared by cosines.

    The nearest to ``vector`` are the answers; whether one of them is good is judged by ``positive``, since a
    subtraction moves the question away from every picture, those that show all that is wanted included.
    """

    vector: Vector
    positive: Vector
    negative: Vector | None = None
    meant: Vector | None = None

    @classmethod
    def at(cls, vector: Vector, meant: Vector | None = None) -> QueryVector:
        """One that subtracts nothing."""
        return cls(vector, vector, meant=meant)

    def with_positive(self) -> QueryVector:
        """Itself; but a question that only subtracts is judged by where the subtraction leads."""
        return self if self.positive.any() else QueryVector.at(self.vector)


def cosines(points: Vector, vector: Vector) -> Vector:
    """Of points (n, width) of length 1 with a ``vector`` (width,) of any length: (n,) float32."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return np.asarray(points @ (vector / length), np.float32)
