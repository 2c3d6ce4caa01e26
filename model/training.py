"""From labelled features to a projection: which labels can be learnt, the split, the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from model.encoder import Features
from model.errors import DatasetError, WordsError
from model.projection import Devise, Header, Projection
from model.words import Words

MIN_LABELS = 2
MIN_PICTURES = 10
"""Fewer of a label, and two held back for the test say nothing."""

TEST_SHARE = 0.2
HIT_AT = (1, 2, 3, 5, 10)
HASH_DIGITS = 16
HITS_ROWS = 1024
"""Pictures projected at a time when hits are counted: the hidden layer takes 8 KB of each."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; the defaults are the document's, and the batch that 60 epochs in seconds allow."""

    epochs: int = 60
    learning_rate: float = 0.01
    momentum: float = 0.9
    dropout: float = 0.5
    batch_size: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """Features with their labels, one row a picture. ``sha256``: hex, of the files' content."""

    features: Features
    labels: Sequence[str]
    sha256: Sequence[str]


def learnable_labels(counts: Counter[str], words: Words) -> dict[str, int]:
    """The labels with enough pictures and a word vector, with their counts; fewer than two are none.

    Folders named by a number, such as a year, name no thing to be learnt.
    """
    learnable = {
        label: count
        for label, count in sorted(counts.items())
        if count >= MIN_PICTURES and any(c.isalpha() for c in label) and _has_vector(label, words)
    }
    return learnable if len(learnable) >= MIN_LABELS else {}


def need_learnable(counts: Counter[str], words: Words) -> dict[str, int]:
    """`learnable_labels`, or the reason why there are none.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
    """
    labels = learnable_labels(counts, words)
    if not labels:
        raise DatasetError(
            f"nothing to learn from: at least {MIN_LABELS} sub-folders with {MIN_PICTURES} pictures each, named by a "
            f"word that has a vector, are needed; found {len(counts)} labels in {counts.total()} pictures"
        )
    return labels


def _has_vector(label: str, words: Words) -> bool:
    try:
        return not words.phrase(label).unknown
    except WordsError:
        return False


def train_devise(
    data: Labelled,
    words: Words,
    header: Header,
    *,
    recipe: Recipe = Recipe(),
    advance: Callable[[str], None] = lambda _: None,
) -> Devise:
    """Train the document's head on four fifths of the pictures and measure hit@k on both parts.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
    """
    from model.devise import train_head

    labels = sorted(need_learnable(Counter(data.labels), words))
    number = {label: i for i, label in enumerate(labels)}
    rows = np.array([i for i, label in enumerate(data.labels) if label in number])
    targets = np.stack([words.phrase(label).vector for label in labels])
    wanted = np.array([number[data.labels[i]] for i in rows])
    is_test = split([data.sha256[i] for i in rows], wanted, seed=recipe.seed)
    train, test = rows[~is_test], rows[is_test]
    tensors = train_head(data.features[train], wanted[~is_test], targets, recipe, advance)
    devise = Devise(replace(header, kind=Devise.kind), tensors)
    figures = {
        "train": hits(devise, data.features[train], wanted[~is_test], targets),
        "test": hits(devise, data.features[test], wanted[is_test], targets),
    }
    devise.header = replace(
        devise.header,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels={label: int(np.sum(wanted[~is_test] == i)) for label, i in number.items()},
        recipe=asdict(recipe),
        figures=figures,
        test=sorted({data.sha256[i][:HASH_DIGITS] for i in test}),
    )
    return devise


def split(sha256: Sequence[str], labels: NDArray[np.int64], *, seed: int) -> NDArray[np.bool_]:
    """Which pictures are held back: a fifth of each label, copies of one file on the same side.

    Returns:
        (n,) bool.
    """
    is_test = np.zeros(len(labels), bool)
    rng = np.random.default_rng(seed)
    copies = Counter(sha256)
    assigned: dict[str, bool] = {}
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        wanted = round(len(rows) * TEST_SHARE)
        for row in rows:
            side = assigned.setdefault(sha256[row], wanted >= copies[sha256[row]])
            is_test[row] = side
            wanted -= side
    return is_test


def hits(
    projection: Projection, features: Features, wanted: NDArray[np.int64], targets: NDArray[np.float32]
) -> dict[str, float]:
    """Flat hit@k in percent: the share of pictures whose label is among the k nearest label words."""
    if not len(features):
        return {}
    ranks = np.empty(len(features), np.int64)
    for start in range(0, len(features), HITS_ROWS):
        rows = slice(start, start + HITS_ROWS)
        scores = projection.project(features[rows]) @ targets.T
        own = np.take_along_axis(scores, wanted[rows, None], axis=1)
        ranks[rows] = (~(scores <= own)).sum(axis=1)  # so written, a number that is none hits nothing
    return {str(k): round(float((ranks < k).mean()) * 100, 1) for k in HIT_AT}
