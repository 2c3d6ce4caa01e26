"""What a picture shows, as probabilities of the classes. It must not know questions.

A picture's own probabilities are sharpened by those of the pictures that look most like it: what they agree on is
rarely a mistake of the encoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEIGHBOURS = 10
NEIGHBOUR_POWER = 4
"""A neighbour counts by this power of its cosine."""

NEIGHBOUR_SHARE = 0.7
"""How much the neighbours count together. mAP of 72 questions: 0.722 without them, 0.780 with a half, 0.808 with this
(`benchmarks/questions.py`); no worse where a thing is shown by two pictures only."""

LEAST_PROBABILITY = 0.001
"""Less probable classes are not stored: no answer changes, and 63 numbers of 1,000 remain."""


def smoothed(own: Floats, neighbours: Floats, cosines: Floats) -> Floats:
    """Probabilities (1000,) of one picture and its nearest neighbours'.

    Args:
        own: (1000,). neighbours: (n, 1000), the nearest first. cosines: (n,), theirs by looks.
    """
    closeness = np.maximum(cosines[:NEIGHBOURS], 0) ** NEIGHBOUR_POWER
    total = float(closeness.sum())
    if not total > 0:
        return own
    others = (closeness / total) @ neighbours[:NEIGHBOURS]
    return np.asarray((1 - NEIGHBOUR_SHARE) * own + NEIGHBOUR_SHARE * others, np.float32)


def sparse(probabilities: Floats) -> tuple[NDArray[np.uint32], Floats]:
    """What is stored of probabilities (1000,): the probable classes, rising, and their probabilities as they are."""
    rows = np.flatnonzero(probabilities > LEAST_PROBABILITY).astype(np.uint32)
    return rows, np.asarray(probabilities[rows], np.float32)
