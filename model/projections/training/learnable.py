"""Which labels can be learnt: enough pictures, and a name that has a vector.

It must not know pictures or features, only how many there are of each label."""

from __future__ import annotations

from collections import Counter

from model.errors import DatasetError
from model.words import TextSpace

MIN_LABELS = 2
MIN_PICTURES = 10
"""Of a label: with fewer, the two held back for the test would say nothing."""


def learnable_labels(counts: Counter[str], words: TextSpace) -> dict[str, int]:
    """The labels with enough pictures and a word vector, with their counts; empty where fewer than two are left.

    Folders named by a number, such as a year, name nothing that could be learnt.
    """
    learnable = {
        label: count
        for label, count in sorted(counts.items())
        if count >= MIN_PICTURES and any(c.isalpha() for c in label) and _has_vector(label, words)
    }
    return learnable if len(learnable) >= MIN_LABELS else {}


def need_learnable(counts: Counter[str], words: TextSpace) -> dict[str, int]:
    """`learnable_labels`, or the reason why there are none.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
    """
    labels = learnable_labels(counts, words)
    if not labels:
        raise DatasetError(
            f"nothing to learn from: at least {MIN_LABELS} sub-folders with {MIN_PICTURES} pictures each, named by a "
            f"word that has a vector, are needed; labels found: {len(counts)}, pictures with one: {counts.total()}"
        )
    return labels


def _has_vector(label: str, words: TextSpace) -> bool:
    found = words.find(label)
    return found is not None and not found.unknown
