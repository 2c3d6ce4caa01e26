"""Making the table of tags: what each noun of a vocabulary means among the classes. It must not know pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.class_space.labels import FIRST_SENSES
from model.class_space.nouns import Arrays
from model.class_space.question import QuestionWeights
from model.class_space.space import Embed, Floats
from model.class_space.tags import NO_SENSE, meant
from model.words import CRUDE_WORDS, TagWord

MOST_GENERAL = 0.13
"""A word that means a larger share of all classes than "dog" (0.12) says little of a picture: "artefact", "animal"."""

LEAST_CONCRETE = 4.4
"""A word that people find less concrete has a sense that is a thing, but is mostly used in another: "side", "end",
"push". From 0 to 4.4 the label of an unseen picture was among ten tags ever more often: 32, 31, 33, 34 of 50."""

CLASSES_OF_A_WORD = 32
"""The classes that a word means most are kept: with more, no figure changes."""

BATCH = 512


@dataclass(frozen=True, slots=True)
class _Row:
    """A word of the table. ``classes`` (32,): those that it means most; ``weights`` (32,): how far, in 255ths."""

    tag: TagWord
    senses: Sequence[int]
    classes: NDArray[np.intp]
    weights: Floats


def build_tags(tags: Sequence[TagWord], weights: QuestionWeights, embed: Embed) -> Arrays:
    """The arrays of a `model.class_space.TagTable`: of the words that are nouns, and not too general."""
    rows = list(_rows(tags, weights, embed))
    senses = np.full((len(rows), FIRST_SENSES), NO_SENSE, np.uint32)
    for place, row in enumerate(rows):
        first = row.senses[:FIRST_SENSES]
        senses[place, : len(first)] = first
    return {
        "tag_words": np.frombuffer("\n".join(row.tag.word for row in rows).encode(), np.uint8),
        "tag_ranks": np.array([row.tag.rank for row in rows], np.uint32),
        "tag_senses": senses,
        "tag_classes": np.array([row.classes for row in rows], np.uint16),
        "tag_weights": np.array([row.weights for row in rows], np.uint8),
    }


def _rows(tags: Sequence[TagWord], weights: QuestionWeights, embed: Embed) -> Iterator[_Row]:
    found = [(tag, noun) for tag in tags if _is_thing(tag) and (noun := weights.nouns.find(tag.word))]
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        sentences = weights.of_sentences(weights.framed(embed([tag.word for tag, _ in batch])))
        for (tag, noun), sentence in zip(batch, sentences, strict=True):
            means = meant(weights.of_noun(noun, sentence))
            if means.mean() <= MOST_GENERAL:
                classes = np.argpartition(-means, CLASSES_OF_A_WORD)[:CLASSES_OF_A_WORD]
                yield _Row(tag, noun.senses, classes, np.round(255 * means[classes]))


def _is_thing(tag: TagWord) -> bool:
    is_concrete = tag.concreteness is None or tag.concreteness >= LEAST_CONCRETE
    return is_concrete and tag.word not in CRUDE_WORDS
