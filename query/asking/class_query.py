"""Words asked for, as weights on the encoder's classes and on learnt labels: for collections with evidence of these.

It must not know how pictures are ranked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SparseVector
from model.class_space import LabelClasses, QuestionWeights, meant, spaced, strongest
from model.words import TextSpace
from query.asking.expression import Term
from query.asking.query_vector import QueryVector

Weights = NDArray[np.float32]

NOUN_FULL = 4.0
"""Of a noun a class is meant wholly that has the strongest weight over this: the tree gives all kinds of it alike."""

PHRASE_FULL, PHRASE_SHARE = 1.0, 0.8
"""Of other phrases, whose weights are vaguer, each class by its weight, and the strongest by this share."""


def class_query(
    terms: Sequence[Term], words: TextSpace, space: QuestionWeights, labels: LabelClasses | None
) -> QueryVector:
    """The terms' weights added up, (1000 + labels,) each; those that are subtracted count against a class."""
    weighed = [(term.weight, weights_of(term.text, words, space, labels)) for term in terms]
    positive = _sum([(weight, weights) for weight, weights in weighed if weight > 0])
    means = _any(
        [_means(term.text, of, space) for term, (weight, of) in zip(terms, weighed, strict=True) if weight > 0]
    )
    if all(weight > 0 for weight, _ in weighed):
        return QueryVector.at(positive, means)
    negative = _sum([(-weight, weights) for weight, weights in weighed if weight < 0])
    return QueryVector(np.asarray(positive - negative, np.float32), positive, negative, means)


def weights_of(text: str, words: TextSpace, space: QuestionWeights, labels: LabelClasses | None) -> Weights:
    """Of one text, (1000 + labels,)."""
    weights = space.weigh(text, words.embed)
    return labels.weigh(text, weights, space.nouns) if labels else weights


def _means(text: str, weights: Weights, space: QuestionWeights) -> Weights:
    """How far a text means each class."""
    if space.nouns.find(spaced(text)):
        return meant(weights, NOUN_FULL)
    return np.asarray(PHRASE_SHARE * meant(weights, PHRASE_FULL), np.float32)


def _any(means: Sequence[Weights]) -> Weights:
    """A picture of one of the terms shows what is meant."""
    return np.asarray(np.max(means, axis=0), np.float32)


def _sum(weighed: Sequence[tuple[float, Weights]]) -> Weights:
    return np.asarray(sum(weight * weights for weight, weights in weighed), np.float32)


def as_sparse(weights: Weights) -> SparseVector:
    """The strongest of a question's weights, to search by."""
    return SparseVector(*strongest(weights))


def all_sparse(weights: Weights) -> SparseVector:
    """Every class that counts at all: "animal" means four hundred alike, of which none is the strongest."""
    return SparseVector(*strongest(weights, len(weights)))
