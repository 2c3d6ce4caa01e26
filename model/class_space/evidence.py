"""What a picture shows, as probabilities of the classes. It must not know questions.

A picture's own probabilities are sharpened by those of the pictures that look most like it: what they agree on is
rarely a mistake of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEIGHBOURS = 10
NEIGHBOUR_POWER = 4
"""A neighbour counts by this power of its cosine."""

NEIGHBOUR_SHARE = 0.7
"""How much the neighbours count together. mAP of 72 questions: 0.722 without them, 0.780 with a half, 0.808 with this
(`benchmarks/questions.py`); no worse where a thing is shown by two pictures only."""

UNLIKE, LIKE = 0.2, 0.6
"""Neighbours count wholly where the nearest has the second cosine, and not at all below the first: for the only picture
of its kind the nearest are no witnesses. Of photographs of 37 things, 95 in 100 have a neighbour at 0.54 or more; among
fifteen unrelated ones the only cat had a third of its probability left."""

LABEL_NEIGHBOUR_SHARE = 0.5
"""The same for trained labels."""

LEAST_PROBABILITY = 0.001
"""Less probable classes are not stored: no answer changes, and 63 numbers of 1,000 remain."""


def neighbour_shares(classes: int, labels: int) -> Floats:
    """(classes + labels,): how much a picture's neighbours count for each."""
    return np.array([NEIGHBOUR_SHARE] * classes + [LABEL_NEIGHBOUR_SHARE] * labels, np.float32)


def smoothed(own: Floats, neighbours: Floats, cosines: Floats, share: float | Floats = NEIGHBOUR_SHARE) -> Floats:
    """Probabilities (classes,) of one picture and its nearest neighbours'.

    Args:
        own: (classes,). neighbours: (n, classes), the nearest first. cosines: (n,), theirs by looks. share: how much
            the neighbours count, for all or for each class (classes,).
    """
    closeness = np.maximum(cosines[:NEIGHBOURS], 0) ** NEIGHBOUR_POWER
    total = float(closeness.sum())
    if not total > 0:
        return own
    others = (closeness / total) @ neighbours[:NEIGHBOURS]
    share = share * np.clip((float(cosines[0]) - UNLIKE) / (LIKE - UNLIKE), 0, 1)
    return np.asarray((1 - share) * own + share * others, np.float32)


def believed(said: Floats, learnt: Floats, own: Sequence[int | None]) -> Floats:
    """(n, labels): the labels of pictures, before their neighbours are heard.

    A picture that lies in a label's folder counts as that label as far as the label was learnt; the rest is what rows
    that never saw it say. So a misfiled picture is not tied to its folder. Where labels share a picture they do so
    more evenly than their probabilities, so that the second guess counts.

    Args:
        said: (n, labels), probabilities by such rows. learnt: (labels,), 0 to 1, how far each label is believed.
        own: of each picture the column of its folder's label, or None.
    """
    result = said.copy()
    for row, label in enumerate(own):
        if label is not None:
            result[row] *= 1 - learnt[label]
            result[row, label] += learnt[label]
    soft = np.sqrt(result)
    even = soft / np.maximum(soft.sum(axis=1, keepdims=True), 1e-9) * result.sum(axis=1, keepdims=True)
    return np.asarray(even * learnt**2, np.float32)


def sparse(probabilities: Floats) -> tuple[NDArray[np.uint32], Floats]:
    """What is stored of probabilities (classes,): the probable classes, rising, and their probabilities as they are."""
    rows = np.flatnonzero(probabilities > LEAST_PROBABILITY).astype(np.uint32)
    return rows, np.asarray(probabilities[rows], np.float32)
