"""Trained labels as classes of their own, beside the encoder's: what a question means of them.

A label answers to its own name, to phrases that contain it, and, as far as the encoder sees in its pictures what its
words say, to words near it. It takes nothing from the encoder's classes, so a question that is near no label is
answered as if nothing had been trained. It must not know pictures, nor how labels are learnt.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.class_space.nouns import Noun, Nouns, NounTree
from model.class_space.space import Floats, unit

EXACT = 10.0
"""The question is the label, in the singular or plural."""

NAMED = 5.0
"""One of the question's first two senses is the label's first, or a phrase contains the label."""

BROADER = 0.5
"""One of the question's first two senses is above the label's first in the tree of nouns."""

ALIKE = 0.5
"""The question means the classes that the label's words mean: times the agreement and the squared cosine."""

FIRST_SENSES = 2
NO_SENSE = -1

_BREAK = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True, eq=False)
class LabelClasses:
    """Labels, each with what is known of its words.

    ``names``: as words. ``bases``: the same in the singular. ``agreement`` float32 (labels,): 0 to 1, how far the
    encoder sees what the words say. ``classes`` float16 (labels, 1000): what the words mean among the encoder's
    classes. ``senses`` int32 (labels,): the first sense of each, -1 for none. ``above`` uint32: the senses above each
    in the tree, end to end; ``above_starts`` uint32 (labels + 1,).
    """

    names: tuple[str, ...]
    bases: tuple[str, ...]
    agreement: Floats
    classes: NDArray[np.float16]
    senses: NDArray[np.int32]
    above: NDArray[np.uint32]
    above_starts: NDArray[np.uint32]

    @classmethod
    def build(cls, names: Sequence[str], agreement: Sequence[float], classes: Floats, tree: NounTree) -> LabelClasses:
        """Of labels as words, with the classes (labels, 1000) that these mean."""
        nouns = [tree.nouns.find(spaced(name)) for name in names]
        senses = [noun.senses[0] if noun else NO_SENSE for noun in nouns]
        above = [sorted(tree.above(sense)) if sense != NO_SENSE else [] for sense in senses]
        return cls(
            tuple(names),
            tuple(base(name, tree.nouns) for name in names),
            np.asarray(agreement, np.float32),
            np.asarray(classes, np.float16),
            np.asarray(senses, np.int32),
            np.asarray([sense for own in above for sense in own], np.uint32),
            np.cumsum([0, *map(len, above)], dtype=np.uint32),
        )

    def __len__(self) -> int:
        return len(self.names)

    def weigh(self, question: str, weights: Floats, nouns: Nouns) -> Floats:
        """A question's weights (1000,) with those of the labels after them, none above 1: (1000 + labels,)."""
        noun = nouns.find(spaced(question))
        cosines = unit(self.classes.astype(np.float32)) @ unit(weights)
        of_labels = ALIKE * self.agreement * np.maximum(cosines, 0) ** 2
        asked = _forms(question, nouns)
        for row in range(len(self)):
            of_labels[row] += self._relation(row, asked, noun)
        extended = np.concatenate([weights, of_labels]).astype(np.float32)
        return np.asarray(extended / max(1.0, float(extended.max())), np.float32)

    def _relation(self, row: int, asked: list[set[str]], noun: Noun | None) -> float:
        own = self.bases[row].split(" ")
        if len(own) == len(asked) and _holds(asked, own):
            return EXACT
        senses = tuple(noun.senses[:FIRST_SENSES]) if noun else ()
        if self.senses[row] in senses or (noun is None and _holds(asked, own)):
            return NAMED
        return BROADER if np.isin(senses, self.senses_above(row)).any() else 0.0

    def senses_above(self, row: int) -> NDArray[np.uint32]:
        """The first sense of a label and every sense above it; none where it has no sense."""
        if self.senses[row] == NO_SENSE:
            return np.empty(0, np.uint32)
        above = self.above[self.above_starts[row] : self.above_starts[row + 1]]
        return np.append(above, np.uint32(self.senses[row]))

    def to_bytes(self) -> bytes:
        """An npz file without pickles; texts as the bytes of their lines."""
        file = io.BytesIO()
        texts = {name: np.frombuffer("\n".join(getattr(self, name)).encode(), np.uint8) for name in ("names", "bases")}
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in texts}
        np.savez(file, allow_pickle=False, **texts, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelClasses:
        """What `to_bytes` gave. Raises ValueError, KeyError or OSError where it is something else."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            texts: dict[str, Any] = {name: tuple(bytes(file[name]).decode().split("\n")) for name in ("names", "bases")}
            labels = cls(**texts, **{name: file[name] for name in cls.__dataclass_fields__ if name not in texts})
        rows = {len(labels.bases), len(labels.agreement), len(labels.classes), len(labels.senses)}
        if rows != {len(labels)} or len(labels.above_starts) != len(labels) + 1:
            raise ValueError("arrays that do not fit together")
        return labels


def spaced(text: str) -> str:
    """Words with single spaces between them, in lower case: the name of a folder as it would be typed."""
    return _BREAK.sub(" ", text.lower()).strip()


def base(text: str, nouns: Nouns) -> str:
    """A text in the singular: the noun that it is, or that its words are one by one."""
    text = spaced(text)
    noun = nouns.find(text)
    if noun:
        return noun.lemma
    return " ".join(single.lemma if (single := nouns.find(word)) else word for word in text.split(" "))


def _forms(text: str, nouns: Nouns) -> list[set[str]]:
    """Of each word of a question, what it may be in the singular: one that is no noun may be somebody's name."""
    text = spaced(text)
    if noun := nouns.find(text):
        return [{word} for word in noun.lemma.split(" ")]
    return [{single.lemma} if (single := nouns.find(word)) else nouns.forms(word) for word in text.split(" ")]


def _holds(asked: list[set[str]], own: list[str]) -> bool:
    """Whether a label's words follow each other in a question."""
    starts = range(len(asked) - len(own) + 1)
    return any(all(word in asked[start + place] for place, word in enumerate(own)) for start in starts)
