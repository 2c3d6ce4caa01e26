"""A question as weights on the classes. It must not know pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.class_space.nouns import Arrays, Noun, Nouns
from model.class_space.space import ClassSpace, Embed, Floats, unit
from model.class_space.tags import TagTable

NO_NODE = 65_535

SENSES_SHARE = 0.5
"""How much WordNet's senses of a noun count beside its vector among sentences."""

RARE_SENSES_SHARE = 0.8
"""The same for a noun that the sentence model has to break in pieces: "spanner" is near "cocker spaniel" there."""

NODE_TREE, NODE_SENTENCE = 0.6, 0.4
"""A sense that is a node: the classes under it, and those that its words are near."""

OTHER_TREE, OTHER_NODES, OTHER_SENTENCE = 0.25, 0.35, 0.4
"""Any other sense: the classes under the nearest node above it, and the nodes and classes that its words are near."""

FRAME_RIDGE = 0.1

QUESTION_CLASSES = 200
"""Classes that a question is cut to: no answer changes."""


@dataclass(frozen=True)
class QuestionWeights:
    """Questions to weights on the classes.

    ``near`` uint16 (synsets,): the node that a synset is, or the nearest above it. ``top_classes`` uint16 and
    ``top_weights`` uint8, both (synsets, 8), and ``top_scale`` float16 (synsets,): what the words of a sense that is no
    node add to its place in the tree. ``frame`` (width + 1, width): from a noun's vector to that of the noun, "a
    photo of a ..." and "a kind of ..." together, without embedding these. ``tags``: what the words of the tag
    vocabulary mean; None in a snapshot made before there was such a table.
    """

    space: ClassSpace
    nouns: Nouns
    near: NDArray[np.uint16]
    node_synsets: NDArray[np.uint32]
    top_classes: NDArray[np.uint16]
    top_weights: NDArray[np.uint8]
    top_scale: NDArray[np.float16]
    frame: Floats
    tags: TagTable | None = None

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> QuestionWeights:
        """From what was kept of one that was prepared."""
        own = {name: arrays[name] for name in cls.__dataclass_fields__ if name not in ("space", "nouns", "tags")}
        tags = TagTable.of_arrays(arrays) if "tag_words" in arrays else None
        return cls(ClassSpace.of_arrays(arrays), Nouns(arrays), **own, tags=tags)

    def weigh(self, question: str, embed: Embed) -> Floats:
        """(1000,) float32, not negative.

        Args:
            embed: texts to vectors; of a known word without a model.
        """
        noun = self.nouns.find(question)
        if noun is None:
            own: Floats = self.of_sentences(embed([question]))[0]
            return own
        vector = self.framed(embed([question]))
        if noun.lemma != question:  # a plural counts as much as its singular
            vector = unit(vector + self.framed(embed([noun.lemma])))
        return self.of_noun(noun, self.of_sentences(vector)[0])

    def of_noun(self, noun: Noun, sentence: Floats) -> Floats:
        """(1000,): its senses, and what its vector among sentences says, (1000,)."""
        share = RARE_SENSES_SHARE if noun.is_rare else SENSES_SHARE
        return np.asarray((1 - share) * sentence + share * self.of_senses(noun.senses), np.float32)

    def of_sentences(self, vectors: Floats) -> Floats:
        """(n, 1000) of unit vectors (n, width)."""
        return np.asarray(0.5 * self.space.through_nodes(vectors) + 0.5 * self.space.direct(vectors), np.float32)

    def framed(self, vectors: Floats) -> Floats:
        framed: Floats = np.hstack([vectors, np.ones((len(vectors), 1), np.float32)]) @ self.frame
        return unit(framed)

    def of_senses(self, synsets: Sequence[int]) -> Floats:
        """(1000,): each sense weighs half of the one before."""
        shares = 0.5 ** np.arange(len(synsets))
        weighed = [share * self.of_sense(synset) for share, synset in zip(shares / shares.sum(), synsets, strict=True)]
        return np.asarray(np.sum(weighed, axis=0), np.float32)

    def of_sense(self, synset: int) -> Floats:
        """(1000,)."""
        node = int(self.near[synset])
        if node != NO_NODE and self.node_synsets[node] == synset:
            own = self.space.direct(self.space.nodes[[node]])[0]
            return np.asarray(NODE_TREE * self.space.under(node) + NODE_SENTENCE * own, np.float32)
        tree = OTHER_TREE * self.space.under(node) if node != NO_NODE else np.zeros(len(self.space.classes))
        weights: Floats = np.asarray(tree, np.float32)
        weights[self.top_classes[synset]] += self.top_weights[synset] * (np.float32(self.top_scale[synset]) / 255)
        return weights


def fit_frame(nouns: Sequence[str], embed: Embed) -> Floats:
    """`QuestionWeights.frame`, by ridge regression over some 2,000 nouns, three texts each."""
    plain = embed(nouns)
    framed = plain + embed([f"a photo of a {noun}" for noun in nouns]) + embed([f"a kind of {noun}" for noun in nouns])
    inputs = np.hstack([plain, np.ones((len(plain), 1), np.float32)])
    square = inputs.T @ inputs + FRAME_RIDGE * np.eye(inputs.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(square, inputs.T @ unit(framed)), np.float32)


def strongest(weights: Floats, count: int = QUESTION_CLASSES) -> tuple[NDArray[np.uint32], Floats]:
    """A question as a sparse vector: its strongest classes, rising, and their weights, negative ones included."""
    rows = np.argpartition(-np.abs(weights), min(count, len(weights) - 1))[:count]
    kept = np.asarray(np.sort(rows[weights[rows] != 0]), np.uint32)
    return kept, np.asarray(weights[kept], np.float32)
