"""Where the answers end: which pictures stand out, and which are only the nearest there happen to be.

A fixed score cannot tell: it differs between questions, encoders and word vectors. So each question is measured
against two backgrounds (`query.asking.background`), and a picture has to rise above both:

- other pictures: the score that one picture of the collection would reach by chance, if none had to do with the
  question;
- words, where the question lies in word space: the score that one word in a thousand would reach. It is this that
  leaves a question about something that is in no picture without an answer.

A question that subtracts something is measured before it does: a picture of all that is wanted is moved away from
such a question, too, and by how much says nothing of the picture. One that is still nearer to what is subtracted
than to what is wanted is left out.

Scores of a sample are made normal by Fisher's transformation (R. A. Fisher 1915, "Frequency distribution of the
values of the correlation coefficient": artanh of a correlation is nearly normal), and a normal's quantile grows with
the collection as chance does.

`benchmarks/cutoff.py` compares this with fixed scores and other rules. It must not know where samples come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SCORE_DIGITS, SEMANTIC, VISUAL

Vector = NDArray[np.float32]

CHANCE_HITS = 1
"""Unrelated pictures that may reach the cut by chance, in the whole collection."""

WORD_SHARE = 1 / 1000
"""Of unrelated words, those that may reach the cut."""

FEWEST = 10
"""With fewer nobody can say what is ordinary among them."""

NEARLY_ONE = 0.999
"""The transformation takes 1, a copy's score, to infinity."""

ANY_COSINE = -1.0

LEAST_EVIDENCE = 0.2
SHARE_OF_BEST = 0.3
BEST_HITS = 5
"""A picture stands out that shows what is meant with at least this probability, and that has at least this share of
what the best have on average, of that probability and of the score: precision 0.90 at recall 0.61 over 72 questions
(`benchmarks/questions.py`), and 0.875 at 0.60 where these are set on other labels than those asked for."""

_BY = {VISUAL: "by looks", SEMANTIC: "by meaning"}


@dataclass(frozen=True, slots=True)
class Cutoff:
    """The least cosine that stands out, by the vector that is compared; with two, either is enough.

    ``scores``: where the floor is of a probability, the least score besides.
    ``subtracts``: whether the question subtracts something, which that cosine does not see (`QueryVector.positive`).
    """

    floors: Mapping[str, float]
    subtracts: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)

    def message(self, standing: int, nearest: float, *, by: Sequence[str] = ()) -> str:
        """What to tell the user, one sentence.

        Args:
            standing: answers that stand out.
            nearest: the score of the best of the others.
            by: the other reasons, such as ``name``.
        """
        if standing:
            which = "1 picture stands" if standing == 1 else f"{standing} pictures stand"
            others = "".join(f" or by {reason}" for reason in by)
            return f"{which} out, {self._at()}{others}; what follows is only the nearest"
        if self.subtracts:
            return f"nothing stands out: no picture is {self._at()}, and nearer to that than to what is subtracted"
        if len(self.floors) > 1:
            return f"nothing stands out: no picture is {self._at()}"
        return f"nothing stands out: the nearest picture scores {nearest:.4f}, and an answer would be {self._at()}"

    def _at(self) -> str:
        by = _BY if len(self.floors) > 1 else {}
        floors = " or ".join(f"{floor:.4f} {by.get(using, '')}".rstrip() for using, floor in self.floors.items())
        return f"at {floors} or more" + (" for what is wanted" if self.subtracts else "")


def picture_floor(scores: Vector, pictures: int) -> float:
    """The cosine that `CHANCE_HITS` of all pictures reach by chance.

    Args:
        scores: of a sample of them. pictures: how many there are in all. Both without those asked about.
    """
    return floor(scores, CHANCE_HITS / pictures) if pictures >= FEWEST else ANY_COSINE


def word_floor(scores: Vector) -> float:
    """The cosine that `WORD_SHARE` of unrelated words reach, of a sample of which these are the ``scores``."""
    return floor(scores, WORD_SHARE)


def evidence_floor(best: Sequence[float]) -> float:
    """The probability from which a picture stands out that shows classes which a question means.

    Args:
        best: those of the `BEST_HITS` most probable pictures.
    """
    return round(max(LEAST_EVIDENCE, near_the_best(best)), SCORE_DIGITS)


def near_the_best(best: Sequence[float]) -> float:
    """`SHARE_OF_BEST` of the mean of the `BEST_HITS` highest."""
    return round(SHARE_OF_BEST * sum(best) / len(best), SCORE_DIGITS) if best else 0.0


def floor(scores: Vector, share: float) -> float:
    """The cosine that a ``share`` of what ``scores`` are a sample of would reach if none of it was related."""
    if len(scores) < FEWEST:
        return ANY_COSINE
    normal = np.arctanh(np.clip(scores.astype(np.float64), -NEARLY_ONE, NEARLY_ONE))
    level = NormalDist().inv_cdf(1 - share)
    return round(math.tanh(float(normal.mean() + level * normal.std())), SCORE_DIGITS)
