"""Which pictures are held back from training: a share of each label, with copies and near duplicates on one side.

It must not know what is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections import unit

NEAR = 0.97
"""Visual cosine from which two pictures count as one: resized, recompressed or a moment apart."""

ROWS = 1024
"""Pictures compared with all others at a time: 200 MB of cosines among 50,000 pictures."""


def split(groups: Sequence[int], labels: NDArray[np.int64], *, share: float, seed: int) -> NDArray[np.bool_]:
    """Which pictures are held back: a share of each label, stratified; the pictures of a group stay together.

    Args:
        groups: a number a picture, equal for pictures that count as one (`duplicate_groups`). labels: (n,).

    Returns:
        (n,) bool.
    """
    is_test = np.zeros(len(labels), bool)
    rng = np.random.default_rng(seed)
    members = Counter(groups)
    assigned: dict[int, bool] = {}
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        wanted = round(len(rows) * share)
        for row in rows:
            side = assigned.setdefault(groups[row], wanted >= members[groups[row]])
            is_test[row] = side
            wanted -= side
    return is_test


def duplicate_groups(sha256: Sequence[str], features: Features) -> list[int]:
    """A number a picture, equal for copies of one file and for near duplicates, and for groups that these join.

    Args:
        sha256: of the files. features: (n, width).
    """
    first: dict[str, int] = {}
    groups = np.array([first.setdefault(content, row) for row, content in enumerate(sha256)])
    vectors = unit(features)
    for start in range(0, len(vectors), ROWS):
        near = vectors[start : start + ROWS] @ vectors[start:].T >= NEAR
        for row in near:
            joined = groups[start:][row]
            if len(joined) and (joined != joined[0]).any():  # seldom: at most once a picture
                groups[np.isin(groups, joined)] = joined.min()
    return list(map(int, groups))
