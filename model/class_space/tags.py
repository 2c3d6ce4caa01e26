"""Words for what a picture shows, each with the probability that it is right. It must not know pictures' vectors.

A word is right for a picture where one of its first two senses is what the picture shows, or stands above that in the
tree of nouns. How probable that is was fitted on labels that nothing was trained on; `benchmarks/tags.py` compares.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.class_space.labels import LabelClasses
from model.class_space.nouns import Arrays, Nouns, lines
from model.class_space.space import Floats

NAMED, MEANT, FREQUENT, OFFSET = 0.47, 1.19, -0.45, 5.9
"""Of the log-odds: what the logarithms of three things count. The probability of the classes and labels that the word
names; that of the classes it means, the neighbours' included; and the word's place by frequency."""

LEAST_NAMED, LEAST_MEANT = 1e-3, 1e-3
FIRST_RANKS = 100
"""Added to a word's place, so that the most frequent ones do not count more than others that everybody knows."""

USUAL_RANK = 5_000
"""Of a word that somebody chose: how frequent it is says nothing then."""

RARE_RANK = 400_000
"""Of a word that names a class, and is in no vocabulary of tags."""

FULL = 2.0
"""Times the strongest weight that a class needs no more than a whole of, to be meant wholly."""

NO_SENSE = 0xFFFF_FFFF

ARRAYS = ("tag_words", "tag_ranks", "tag_senses", "tag_classes", "tag_weights")


def meant(weights: Floats, full: float = FULL) -> Floats:
    """How far a question means each class, 0 to 1: wholly from the strongest weight over ``full`` on."""
    strongest = np.maximum(weights.max(axis=-1, keepdims=True), 1e-12)
    return np.asarray(np.clip(full * weights / strongest, 0, 1), np.float32)


def probability(named: Floats | float, means: Floats | float, rank: Floats | float) -> Floats:
    """That words are right, (n,) or one: of what they name, of what they mean, and of their places by frequency."""
    odds = (
        NAMED * np.log(np.maximum(named, LEAST_NAMED))
        + MEANT * np.log(np.asarray(means) + LEAST_MEANT)
        + FREQUENT * np.log(np.asarray(rank) + FIRST_RANKS)
        + OFFSET
    )
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


@dataclass(frozen=True, eq=False)
class TagTable:
    """The nouns of a tag vocabulary, with what each means.

    ``text``: uint8, the words as lines. ``ranks`` uint32 (n,): places by frequency. ``senses`` uint32 (n, 2): the first
    senses, `NO_SENSE` where there is none. ``classes`` uint16 and ``weights`` uint8 (n, 32): the classes that a word
    means most, and how far, in 255ths.
    """

    text: NDArray[np.uint8]
    ranks: NDArray[np.uint32]
    senses: NDArray[np.uint32]
    classes: NDArray[np.uint16]
    weights: NDArray[np.uint8]

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> TagTable:
        """From what was kept of one that was built."""
        return cls(*(arrays[name] for name in ARRAYS))

    @cached_property
    def words(self) -> list[str]:
        return lines(self.text)

    @cached_property
    def _senses(self) -> dict[str, int]:
        """The first of each word."""
        return dict(zip(self.words, self.senses[:, 0].tolist(), strict=True))

    def rank(
        self, shown: Floats, named: Mapping[str, float], nouns: Nouns, labels: LabelClasses | None = None
    ) -> dict[str, float]:
        """Words with their probabilities, the best first; of words with the same sense only the best.

        Args:
            shown: (1000 or more,), the probabilities of the encoder's classes, the neighbours' included.
            named: words to the probability of the classes and labels that they name.
            labels: trained ones, whose probabilities are in ``named``.
        """
        means = (shown[self.classes] * self.weights).sum(axis=1) / 255
        if labels:
            means = np.maximum(means, self._through_labels(named, labels))
        by_name = np.array([named.get(word, 0.0) for word in self.words], np.float32)
        scores = probability(by_name, means, self.ranks.astype(np.float32)).tolist()
        found = dict(zip(self.words, scores, strict=True))
        for word in named.keys() - found.keys():
            found[word] = float(probability(named[word], named[word], RARE_RANK))
        learnt = labels.names if labels else ()
        for name in learnt:
            found[name] = max(found.get(name, 0.0), named.get(name, 0.0))
        best_first = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return dict(self._one_a_sense(best_first, nouns, learnt))

    def _one_a_sense(
        self, ranked: Iterable[tuple[str, float]], nouns: Nouns, learnt: Container[str]
    ) -> Iterator[tuple[str, float]]:
        """Without the words whose first sense a better one has; what a collection calls things itself stays."""
        taken = set()
        for word, score in ranked:
            sense = self._first_sense(word, nouns)
            if word in learnt or sense not in taken:
                taken.add(sense)
                yield word, score

    def _first_sense(self, word: str, nouns: Nouns) -> int | str:
        """The word itself where it is no noun."""
        if (known := self._senses.get(word)) is not None:
            return known
        noun = nouns.find(word)
        return noun.senses[0] if noun else word

    def _through_labels(self, named: Mapping[str, float], labels: LabelClasses) -> Floats:
        """(n,): the probability of the trained labels that each word is, or stands above."""
        means = np.zeros(len(self.ranks), np.float32)
        for row, name in enumerate(labels.names):
            share = named.get(name, 0.0)
            senses = labels.senses_above(row)
            if share > LEAST_MEANT and len(senses):
                means[np.isin(self.senses, senses).any(axis=1)] += share
        return np.minimum(means, 1)
