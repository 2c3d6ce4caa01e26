"""Ranking the tags of a picture, given the evidence of a projection.

It must not know how a projection comes to its evidence, nor where the vocabulary is kept."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError
from model.projections.base import TagEvidence
from model.system.paths import is_special
from model.words import CRUDE_WORDS, NearWord, TextSpace

TAG_DEPTH = 50
"""The nearest words of the vocabulary that are ranked: a word that a class names may overtake nearer ones."""

NAMED_POWER = 0.25
"""Applied to the probability of what a word names: a class of 1% is a better guess than most words that are near."""

NEAR, NAMED, OFFSET = 2.1, 4.3, -5.6
"""Of the log-odds that a word is right: what its cosine to the picture and what it names count. Fitted on labels that
nothing was trained on; `benchmarks/tags.py` compares."""

PLACE, PLACE_OFFSET = 18.6, -17.0
"""The same of the cosine alone, where nothing is known of the classes: of the document's projection."""

CRUDE_FROM = 0.5
"""A crude word that names a class tags only what probably is of that class."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tag:
    """A word for a picture. ``trained``: the collection's projection was trained on it.

    ``score``: the probability that it is right, 0 to 1: that it names what the picture shows, or a kind of thing that
    this is.
    """

    word: str
    score: float
    trained: bool


def ranked(
    evidence: TagEvidence, candidates: Mapping[str, Vector], near: Sequence[NearWord], trained: Container[str]
) -> list[Tag]:
    """Tags, the best first; of equal scores by the alphabet.

    Args:
        candidates: words with their unit vectors. near: further words with their cosines. trained: the words of
            trained labels.
    """
    cosines = {word.word: word.score for word in near if word.word not in CRUDE_WORDS}
    cosines.update((word, float(vector @ evidence.vector)) for word, vector in candidates.items())
    named = without_crude(evidence.named)
    scores = {word: _probability(cosine, named, word) for word, cosine in cosines.items()}
    for word in scores.keys() & named.keys():
        if word in trained:
            scores[word] = max(scores[word], named[word])
    return best_first(scores, trained)


def best_first(scores: Mapping[str, float], trained: Container[str]) -> list[Tag]:
    """Words with their scores as tags; of equal scores by the alphabet."""
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Tag(word, round(score, 6), word in trained) for word, score in ordered]


def without_crude(named: Mapping[str, float]) -> dict[str, float]:
    """What is named, without crude words for classes that are hardly meant."""
    return {word: share for word, share in named.items() if share >= CRUDE_FROM or word not in CRUDE_WORDS}


def _probability(cosine: float, named: Mapping[str, float], word: str) -> float:
    if named:
        odds = NEAR * cosine + NAMED * named.get(word, 0.0) ** NAMED_POWER + OFFSET
    else:
        odds = PLACE * cosine + PLACE_OFFSET
    return 1 / (1 + math.exp(-odds))


def label_vectors(labels: Iterable[str], words: TextSpace) -> dict[str, Vector]:
    """The known words of each label, with their unit vector (words' width,).

    Raises:
        WordsError: no word of a label is known.
    """
    phrases = [words.phrase(label) for label in labels]
    return {" ".join(phrase.known): phrase.vector for phrase in phrases}


def known_vectors(labels: Iterable[str], words: TextSpace) -> dict[str, Vector]:
    """As `label_vectors`, without the labels that have no vector."""
    phrases = [phrase for label in labels if (phrase := words.find(label))]
    return {" ".join(phrase.known): phrase.vector for phrase in phrases}


def read_vocabulary(path: Path, words: TextSpace) -> tuple[list[str], list[str]]:
    """The words of a text file, one a line: first those that have a vector, then those that have none.

    Raises:
        UsageError: the file cannot be read, is a pipe or a device, or has no word with a vector.
    """
    try:
        if is_special(path):  # read while the collection is open, which others may wait for
            raise UsageError(f"{path} is no file but a pipe or a device: write the words to a file")
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read words from {path}: {error}") from error
    asked = list(dict.fromkeys(line for line in lines if line))
    known = [word for word in asked if known_vectors([word], words)]
    if not known:
        raise UsageError(f"none of the {len(asked)} words in {path} has a vector: write one a line")
    return known, [word for word in asked if word not in set(known)]
