"""How far each label may be believed: are its pictures told from the others, and does the encoder see what it says?

A folder's name is a word for its pictures in "crab/", and is none in "2019-07 Italy/". It must not know how labels are
fitted, nor what is made of the trust."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.class_space import EXACT
from model.projections import LabelTrust

LEAST_J = 0.2
ERRORS = 2.0
"""Youden's J must also be so many of its standard errors above zero."""

AGREES_FROM, AGREES_AT = 0.6, 0.9
"""Area under the curve of the label's own words over the pictures: from chance to seeing the same thing."""

Floats = NDArray[np.float32]


def judge(said: Floats, labels: NDArray[np.int64], asked: Floats, is_noun: Sequence[bool]) -> list[LabelTrust]:
    """The trust that each label earns.

    Args:
        said: (n, labels), what fits that never saw a picture say of it. labels: (n,), in which folder it lies.
        asked: (n, labels), how well the pictures answer to the labels' words before anything is trained.
        is_noun: of each label, whether WordNet knows it as something that can be seen. Other words agree with
            nothing: "2020" may rank the pictures of a holiday well by chance.
    """
    guess = said.argmax(axis=1)
    return [
        LabelTrust(
            learnt=_told_apart(guess[labels == label] == label, guess[labels != label] == label),
            agreement=_agreement(asked[:, label], labels == label) if is_noun[label] else 0.0,
            is_noun=is_noun[label],
        )
        for label in range(said.shape[1])
    ]


def is_worth_it(said: Floats, labels: NDArray[np.int64], asked: Floats, trusts: Sequence[LabelTrust]) -> bool:
    """Whether what was learnt finds the pictures of the learnt labels by their words no later than nothing does.

    Labels that are no noun have nothing to be compared with, and are taken as they are. Arguments as of `judge`; with
    what was learnt, pictures are searched as `LabelClasses.weigh` does it, by fits that never saw them.
    """
    gains = []
    for label, trust in enumerate(trusts):
        if trust.learnt and trust.is_noun:
            own, without = labels == label, asked[:, label]
            learnt = EXACT * trust.of_words * said[:, label] + without
            gains.append(average_precision(learnt, own) - average_precision(without, own))
    return not gains or float(np.mean(gains)) >= 0


def _told_apart(hit: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> float:
    """Youden's J (1950): the share found less the share found wrongly; 0 where that may be chance."""
    if not len(hit) or not len(wrong):
        return 0.0
    youden = float(hit.mean() - wrong.mean())
    error = float(np.sqrt(hit.var() / len(hit) + wrong.var() / len(wrong)))
    return round(youden, 4) if youden >= max(LEAST_J, ERRORS * error) else 0.0


def average_precision(scores: Floats, own: NDArray[np.bool_]) -> float:
    """Of those that are ``own`` among all, the highest score first; equal ones in their order."""
    places = np.flatnonzero(own[np.argsort(-scores, kind="stable")])
    return float(((np.arange(len(places)) + 1) / (places + 1)).mean()) if len(places) else 0.0


def _agreement(scores: Floats, own: NDArray[np.bool_]) -> float:
    """0 to 1, by the chance that a picture of the label scores above another one (area under the ROC curve)."""
    if own.all() or not own.any():
        return 0.0
    ranks = np.argsort(np.argsort(scores))
    area = float((ranks[own].mean() - (own.sum() - 1) / 2) / (~own).sum())
    return round(float(np.clip((area - AGREES_FROM) / (AGREES_AT - AGREES_FROM), 0, 1)), 4)
