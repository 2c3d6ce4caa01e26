"""Which pairs of pictures are worth looking at: those that are near by their vectors, and small ones that look alike at
a glance, as far as their signatures do not refute it. It must not know what is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from query.asking.judging import Judge
from query.asking.nearest import Near, Order
from query.asking.small_copies import SmallPictures, is_small

PAIRS = 16_384
FIRSTS = 512
"""Compared at once."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """By places in the order: of a picture ``first``, what is ``near`` of those after it, and which of them may be the
    same, ``possible``."""

    first: int
    near: Near
    possible: list[int]


class Proposing:
    """Proposes of each picture the ``most`` nearest from a cosine of ``least`` on, and all from ``threshold`` on."""

    def __init__(self, order: Order, judge: Judge, most: int, least: float, threshold: float) -> None:
        self._nearest = order.nearest_after(most, least, threshold)
        self._judge = judge
        self._most = most
        self._threshold = threshold
        places = np.array([place for place, picture in enumerate(judge.pictures) if is_small(picture)], np.int64)
        self._small = SmallPictures(places, judge.glances(places)) if len(places) else None

    def each(self, grouped: NDArray[np.bool_]) -> Iterator[Proposed]:
        """In their order; none of those that are ``grouped`` (pictures,) when their turn comes is looked at."""
        batch: list[tuple[int, Near]] = []
        pairs = 0
        for first, near in enumerate(self._nearest):
            batch.append((first, near))
            pairs += len(near.places)
            if pairs >= PAIRS or len(batch) == FIRSTS:
                yield from self._judged(batch, grouped)
                batch, pairs = [], 0
        yield from self._judged(batch, grouped)

    def _judged(self, batch: list[tuple[int, Near]], grouped: NDArray[np.bool_]) -> Iterator[Proposed]:
        if not batch:
            return
        wanted = [self._wanted(first, near, grouped) for first, near in batch]
        firsts = np.repeat([first for first, _ in batch], [len(places) for places in wanted])
        others = np.concatenate(wanted)
        possible = self._judge.may_be_same(firsts, others)
        bounds = np.cumsum([len(places) for places in wanted])[:-1]
        for (first, near), places, passed in zip(batch, wanted, np.split(possible, bounds), strict=True):
            yield Proposed(first, near, places[passed].tolist())

    def _wanted(self, first: int, near: Near, grouped: NDArray[np.bool_]) -> NDArray[np.int64]:
        if grouped[first]:
            return np.empty(0, np.int64)
        places = near.places[(np.arange(len(near.places)) < self._most) | (near.cosines >= self._threshold)]
        if self._small is not None:
            small = self._small.like(first, self._judge.glances(np.array([first]))[0])
            places = np.concatenate([places, small[~np.isin(small, places)]])
        return places[~grouped[places]]
