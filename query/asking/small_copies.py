"""Small pictures proposed by a glance at their pixels: of a copy 75 pixels wide an encoder sees mostly its blur, and
its vector may be far from the original's. It proposes; whether they are one picture is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from model.pictures import Looks

SMALL_SIDE = 160
"""Pixels of the longer side up to which pictures are small: the files are read at once, in a millisecond each."""

ALIKE = 0.8
"""Correlation of two glances, below which nothing is proposed."""

MOST = 8
"""Proposed for one picture."""


def is_small(picture: Picture) -> bool:
    return max(picture.width, picture.height) <= SMALL_SIDE


class SmallPictures:
    """The small ones of a collection, and what each looks like at a glance."""

    def __init__(self, seen: Iterable[tuple[Picture, Looks | None]]) -> None:
        known = [(picture, looks) for picture, looks in seen if looks is not None]
        self._pictures = [picture for picture, _ in known]
        self._glances = np.array([_unit(looks.glance) for _, looks in known], np.float32)

    def __len__(self) -> int:
        return len(self._pictures)

    def like(self, looks: Looks) -> list[Picture]:
        """The nearest, as they are or mirrored, the nearest first."""
        turned = np.stack([_unit(looks.glance), _unit(looks.glance[:, ::-1])])
        likeness = (self._glances @ turned.T).max(axis=1)
        nearest = np.argsort(-likeness, kind="stable")[:MOST]
        return [self._pictures[place] for place in nearest if likeness[place] >= ALIKE]


def _unit(glance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without its mean, of length 1; a blank picture's is nothing."""
    bare = (glance - glance.mean()).reshape(-1)
    length = float(np.linalg.norm(bare))
    unit: NDArray[np.float32] = bare / length if length > 1e-3 else np.zeros_like(bare)
    return unit
