"""Small pictures proposed by a glance at their signatures: of a copy 75 pixels wide an encoder sees mostly its blur,
and its vector may be far from the original's. It proposes; whether they are one picture is decided elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from model.pictures import Glances, mirrored

SMALL_SIDE = 160
"""Pixels of the longer side up to which pictures are small."""

ALIKE = 0.8
"""Correlation of two glances, below which nothing is proposed."""

MOST = 8
"""Proposed for one picture."""


def is_small(picture: Picture) -> bool:
    return max(picture.width, picture.height) <= SMALL_SIDE


class SmallPictures:
    """The small ones of a collection.

    Args:
        places: theirs in the order, rising. glances: (places, cells).
    """

    def __init__(self, places: NDArray[np.int64], glances: Glances) -> None:
        self._places = places
        self._glances = glances

    def like(self, place: int, glance: NDArray[np.float32]) -> NDArray[np.int64]:
        """Places of the nearest after ``place``, as they are or mirrored, the nearest first."""
        after = np.searchsorted(self._places, place, side="right")
        likeness = (self._glances[after:] @ np.stack([glance, mirrored(glance[None])[0]]).T).max(axis=1, initial=0)
        found = np.flatnonzero(likeness >= ALIKE)
        nearest = found[np.argsort(-likeness[found], kind="stable")[:MOST]]
        return np.asarray(self._places[after + nearest], np.int64)
