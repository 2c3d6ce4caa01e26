"""Labelled features, split into what is learnt and what is held back to measure it.

It must not know recipes or projections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections.training.held_back import duplicate_groups, split
from model.projections.training.learnable import need_learnable
from model.words import TextSpace


@dataclass(frozen=True)
class Labelled:
    """Features with their labels, one row a picture. ``sha256``: hex, of the files' content; ``paths``: of files."""

    features: Features
    labels: Sequence[str]
    sha256: Sequence[str]
    paths: Sequence[str] = ()


@dataclass(frozen=True)
class Examples:
    """Features (n, width), and of each picture the row of its label in `Split.labels`, (n,)."""

    features: Features
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Split:
    """The learnable labels, with the pictures to train on and those to test with.

    ``phrases``: the labels' known words; ``targets``: their vectors (labels, words' width), unit. ``train_sha256``,
    ``test_sha256``: of the files of these pictures.
    """

    labels: list[str]
    phrases: list[str]
    targets: NDArray[np.float32]
    train: Examples
    test: Examples
    train_sha256: list[str]
    test_sha256: list[str]

    @classmethod
    def of(cls, data: Labelled, words: TextSpace, *, test_share: float, seed: int) -> Split:
        """Leave out what cannot be learnt, and split the rest.

        Raises:
            DatasetError: fewer than two labels with ten pictures and a word vector.
        """
        labels = sorted(need_learnable(Counter(data.labels), words))
        number = {label: row for row, label in enumerate(labels)}
        rows = np.array([row for row, label in enumerate(data.labels) if label in number])
        features, own = data.features[rows], np.array([number[data.labels[row]] for row in rows])
        sha256 = [data.sha256[row] for row in rows]
        is_test = split(duplicate_groups(sha256, features), own, share=test_share, seed=seed)
        phrases = [words.phrase(label) for label in labels]
        return cls(
            labels,
            [" ".join(phrase.known) for phrase in phrases],
            np.stack([phrase.vector for phrase in phrases]),
            Examples(features[~is_test], own[~is_test]),
            Examples(features[is_test], own[is_test]),
            [sha256[row] for row in np.flatnonzero(~is_test)],
            [sha256[row] for row in np.flatnonzero(is_test)],
        )

    def only(self, kept: Sequence[int]) -> Split:
        """With these labels, by their rows, and their pictures."""
        new_row = {row: new for new, row in enumerate(kept)}

        def among(examples: Examples, sha256: Sequence[str]) -> tuple[Examples, list[str]]:
            rows = [row for row, label in enumerate(examples.labels.tolist()) if label in new_row]
            labels = np.array([new_row[examples.labels[row]] for row in rows], np.int64)
            return Examples(examples.features[rows], labels), [sha256[row] for row in rows]

        train, train_sha256 = among(self.train, self.train_sha256)
        test, test_sha256 = among(self.test, self.test_sha256)
        return Split(
            [self.labels[row] for row in kept],
            [self.phrases[row] for row in kept],
            self.targets[list(kept)],
            train,
            test,
            train_sha256,
            test_sha256,
        )

    def counts(self) -> dict[str, int]:
        """Labels to their number of training pictures."""
        return {label: int(np.sum(self.train.labels == row)) for row, label in enumerate(self.labels)}
