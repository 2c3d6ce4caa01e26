"""Flat hit@k: the share of pictures whose label is among the first k guesses (Frome et al. 2013).

It must not know what scores the labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features

HIT_AT = (1, 2, 3, 5, 10)
BLOCK_ROWS = 1024
"""Pictures projected at a time: the hidden layer takes 8 KB of each."""

Project = Callable[[Features], NDArray[np.float32]]
"""Features (n, width) to unit vectors in word space (n, words' width)."""


def ranks(scores: NDArray[np.float32], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many labels score higher than a picture's own: (n,), 0 is the first guess.

    Args:
        scores: (n, labels). own: (n,), the column of each picture's label.
    """
    of_own = np.take_along_axis(scores, own[:, None], axis=1)
    return np.asarray((~(scores <= of_own)).sum(axis=1), np.int64)  # so written, NaN ranks last


def hit_percent(ranks: NDArray[np.int64], k: int) -> float:
    """The share of ranks below ``k``, in percent with one decimal."""
    return round(float((ranks < k).mean()) * 100, 1)


def hits(
    project: Project, features: Features, own: NDArray[np.int64], targets: NDArray[np.float32]
) -> dict[str, float]:
    """Hit@k in percent, by k: among the nearest words ``targets`` (labels, words' width). Empty without pictures."""
    if not len(features):
        return {}
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(features), BLOCK_ROWS)]
    found = np.concatenate([ranks(project(features[rows]) @ targets.T, own[rows]) for rows in blocks])
    return {str(k): hit_percent(found, k) for k in HIT_AT}
