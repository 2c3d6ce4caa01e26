"""Where the answers end: which pictures stand out, and which are only the nearest there happen to be.

A fixed score cannot tell: it differs between questions, encoders and word vectors. So each question is measured
against two backgrounds, and a picture has to rise above both:

- other pictures: the score that one picture of the collection would reach by chance, if none had to do with the
  question;
- words, where the question lies in word space: the score that one word in a thousand would reach. It is this that
  leaves a question about something that is in no picture without an answer.

A question that takes something away is measured before it does: a picture of all that is wanted is moved away from
such a question, too, and by how much says nothing of the picture. One that is still nearer to what is taken away than
to what is wanted is left out.

Both are told from a sample. Its scores are made normal by Fisher's transformation (R. A. Fisher 1915, "Frequency
distribution of the values of the correlation coefficient": artanh of a correlation is nearly normal), and a
normal's quantile grows with the collection as chance does.

`benchmarks/cutoff.py` compares this with fixed scores and other rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SCORE_DIGITS, SEMANTIC, VISUAL, Collection

Vector = NDArray[np.float32]

SAMPLE = 250
"""Pictures, or words, that stand for all: 1,000 give the same cut, and take 0.2 s to read at 1280 numbers each."""

SAMPLE_LASTS = 0.1
"""It is taken anew where the number of pictures has changed by this share, as while they are ingested."""

CHANCE_HITS = 1
"""Unrelated pictures that may reach the cut by chance, in the whole collection."""

WORD_SHARE = 1 / 1000
"""Of unrelated words, those that may reach the cut."""

FEWEST = 10
"""With fewer nobody can say what is ordinary among them."""

NEARLY_ONE = 0.999
"""The transformation takes 1, a copy's score, to infinity."""

ANY_COSINE = -1.0

_BY = {VISUAL: "by looks", SEMANTIC: "by meaning"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Points picked at random. ``ids``: n of them; ``vectors``: (n, width) float32, unit; of ``total`` in all."""

    ids: Sequence[UUID]
    vectors: Vector
    total: int

    @classmethod
    def of(cls, collection: Collection, using: str) -> Sample:
        """The first page in the order of ids, which are hashes of names: no folder is in it more than another."""
        points = next(iter(collection.scroll([using], page=SAMPLE)), [])
        rows = [point.vectors[using] for point in points]
        vectors = np.stack(rows) if rows else np.empty((0, collection.metadata.vectors[using]), np.float32)
        return cls([point.id for point in points], vectors, collection.count())

    def scores(self, vector: Vector, without: Sequence[UUID] = ()) -> Vector:
        """Cosines with a ``vector`` of any length, but for the pictures asked about, which are no background."""
        return cosines(self.vectors, vector)[[id not in without for id in self.ids]]


def cosines(points: Vector, vector: Vector) -> Vector:
    """Of points (n, width) of length 1 with a ``vector`` (width,) of any length: (n,)."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return np.asarray(points @ (vector / length), np.float32)


@dataclass(frozen=True, slots=True)
class Cutoff:
    """The least cosine that stands out, by the vector that is compared; with two, either is enough.

    ``takes_away``: whether the question takes something away, of which that cosine knows nothing (`Aim.wanted`).
    """

    floors: Mapping[str, float]
    takes_away: bool = False

    def told(self, shown: int, limit: int, nearest: float | None) -> str:
        """What to tell the user, one sentence; empty where nothing was left out.

        Args:
            shown: answers that stand out.
            limit: how many were asked for.
            nearest: the score of the best answer there is, None if there is none.
        """
        if shown >= limit or nearest is None:
            return ""
        if shown:
            one = shown == 1
            return (
                f"{shown} picture{'' if one else 's'} stand{'s' if one else ''} out, {self._at()}; the rest is left out"
            )
        if self.takes_away:
            return f"nothing stands out: no picture is {self._at()} and less near to what is taken away"
        if len(self.floors) > 1:
            return f"nothing stands out: no picture is {self._at()}"
        return f"nothing stands out: the nearest picture scores {nearest:.4f}, and an answer would be {self._at()}"

    def _at(self) -> str:
        by = _BY if len(self.floors) > 1 else {}
        floors = " or ".join(f"{floor:.4f} {by.get(using, '')}".rstrip() for using, floor in self.floors.items())
        return f"at {floors} or more" + (" for what is wanted" if self.takes_away else "")


def picture_floor(pictures: Sample, vector: Vector, without: Sequence[UUID] = ()) -> float:
    """The cosine that `CHANCE_HITS` of all pictures reach by chance, the ones asked about left out."""
    others = pictures.total - len(without)
    return floor(pictures.scores(vector, without), CHANCE_HITS / others) if others >= FEWEST else ANY_COSINE


def word_floor(vocabulary: Sample, vector: Vector) -> float:
    """The cosine that `WORD_SHARE` of unrelated words reach."""
    return floor(vocabulary.scores(vector), WORD_SHARE)


def floor(scores: Vector, share: float) -> float:
    """The cosine that a ``share`` of what ``scores`` are a sample of would reach, if it was all unrelated."""
    if len(scores) < FEWEST:
        return ANY_COSINE
    normal = np.arctanh(np.clip(scores.astype(np.float64), -NEARLY_ONE, NEARLY_ONE))
    level = NormalDist().inv_cdf(1 - share)
    return round(math.tanh(float(normal.mean() + level * normal.std())), SCORE_DIGITS)
