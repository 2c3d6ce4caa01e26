"""Words asked for, as weights on the encoder's classes and on learnt labels: for collections with evidence of these.

It must not know how pictures are ranked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SparseVector
from model.class_space import LabelClasses, QuestionWeights, strongest
from model.words import TextSpace
from query.asking.expression import Term
from query.asking.query_vector import QueryVector

Weights = NDArray[np.float32]

FULL = 2.0
"""Times the strongest weight that a class needs no more than a whole of, to be meant wholly."""


def class_query(
    terms: Sequence[Term], words: TextSpace, space: QuestionWeights, labels: LabelClasses | None
) -> QueryVector:
    """The terms' weights added up, (1000 + labels,) each; those that are subtracted count against a class."""
    weighed = [(term.weight, _weights(term.text, words, space, labels)) for term in terms]
    positive = _sum([(weight, weights) for weight, weights in weighed if weight > 0])
    if all(weight > 0 for weight, _ in weighed):
        return QueryVector.at(positive)
    negative = _sum([(-weight, weights) for weight, weights in weighed if weight < 0])
    return QueryVector(np.asarray(positive - negative, np.float32), positive, negative)


def _weights(text: str, words: TextSpace, space: QuestionWeights, labels: LabelClasses | None) -> Weights:
    weights = space.weigh(text, words.embed)
    return labels.weigh(text, weights, space.nouns) if labels else weights


def _sum(weighed: Sequence[tuple[float, Weights]]) -> Weights:
    return np.asarray(sum(weight * weights for weight, weights in weighed), np.float32)


def as_sparse(weights: Weights) -> SparseVector:
    """The strongest of a question's weights, to search by."""
    return SparseVector(*strongest(weights))


def meant(weights: Weights) -> Weights:
    """How far a question means each class, 0 to 1: a class of half the strongest weight is meant as much as that."""
    return np.asarray(np.clip(FULL * weights / max(float(weights.max()), 1e-12), 0, 1), np.float32)
