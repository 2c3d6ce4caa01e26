"""Where classes, and the nodes of WordNet's tree above them, lie among sentences. It must not know pictures.

A sentence reaches the 1,000 classes of ImageNet in two ways: through the nodes that it is near, each of which stands
for the classes under it, and directly, by being nearer to a class than words usually are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.class_space.nouns import Arrays, lines

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
"""Texts to unit vectors (n, width)."""

NODE_GLOSS = 0.5
CLASS_GLOSS = 0.25
CLASS_ANCESTORS = 0.25
"""What a gloss, and the names of what a class belongs to, count beside its own name."""

NODE_SHARPNESS = 25.0
CLASS_SHARPNESS = 20.0
"""Inverse temperatures of the softmax over nodes and over classes. Any from 15 to 40 give the same to a hundredth."""


def unit(vectors: Floats) -> Floats:
    """Rows, or one vector, to length 1; zero stays zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def softmax(logits: Floats) -> Floats:
    """Along the last axis."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), np.float32)


@dataclass(frozen=True)
class ClassSpace:
    """Nodes and classes as vectors among sentences.

    ``nodes`` (nodes, width) and ``classes`` (1000, width) float32, unit. ``usual`` (1000,): the mean cosine of a class
    to frequent words. ``members`` uint16 and ``member_starts`` uint32 (nodes + 1): the classes under each node.
    """

    nodes: Floats
    classes: Floats
    usual: Floats
    members: NDArray[np.uint16]
    member_starts: NDArray[np.uint32]

    @classmethod
    def build(
        cls, tables: Arrays, glosses: Floats, names: Sequence[str], frequent: Sequence[str], embed: Embed
    ) -> ClassSpace:
        """Embed lemmas and names, some 6,000 short texts.

        Args:
            tables: as `build.py` describes them. glosses: (nodes, width) unit vectors of the nodes' glosses.
            names: of the classes, as people say them. frequent: words to take ``usual`` from.
        """
        lemmas = [line.split("\t") for line in lines(tables["node_lemmas"])]
        distinct = sorted({lemma for own in lemmas for lemma in own})
        of_lemma = dict(zip(distinct, embed(distinct), strict=True))
        named = unit(np.stack([np.sum([of_lemma[lemma] for lemma in own], axis=0) for own in lemmas]))
        of_class = tables["classes"]
        own_names = unit(embed(names) + named[of_class])
        above = embed([", ".join(lemmas[node][0] for node in chain) for chain in nodes_above(tables)])
        classes = unit(own_names + CLASS_GLOSS * glosses[of_class] + CLASS_ANCESTORS * above)
        usual = np.asarray((embed(frequent) @ classes.T).mean(axis=0), np.float32)
        return cls(unit(named + NODE_GLOSS * glosses), classes, usual, tables["members"], tables["member_starts"])

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ClassSpace:
        """From what was kept of one that was built."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.asarray(np.diff(self.member_starts.astype(np.int64)), np.int64)

    @cached_property
    def _node_of_member(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self._sizes)), self._sizes)

    def through_nodes(self, vectors: Floats) -> Floats:
        """Unit weights (n, 1000) of the classes under the nodes that sentences (n, width) are near."""
        near = softmax(NODE_SHARPNESS * (vectors @ self.nodes.T)) / self._sizes
        weights = np.stack([np.bincount(self.members, row[self._node_of_member], len(self.classes)) for row in near])
        return unit(weights.astype(np.float32))

    def direct(self, vectors: Floats) -> Floats:
        """Unit weights (n, 1000) of the classes that sentences (n, width) are nearer to than words usually are."""
        return unit(softmax(CLASS_SHARPNESS * (vectors @ self.classes.T - self.usual)))

    def under(self, node: int) -> Floats:
        """Unit weights (1000,) of the classes under a node."""
        weights = np.zeros(len(self.classes), np.float32)
        weights[self.members[self.member_starts[node] : self.member_starts[node + 1]]] = 1
        return unit(weights)


def nodes_above(tables: Arrays) -> list[list[int]]:
    """For each class the nodes above it, the nearest first, without itself."""
    parents, starts = tables["parents"].tolist(), tables["parent_starts"].tolist()
    synsets = tables["node_synsets"].tolist()
    node_of = {synset: node for node, synset in enumerate(synsets)}
    chains = []
    for node in tables["classes"].tolist():
        order, at = [synsets[node]], 0
        while at < len(order):
            own = parents[starts[order[at]] : starts[order[at] + 1]]
            order.extend(one for one in own if one not in order)
            at += 1
        chains.append([node_of[one] for one in order[1:] if one in node_of])
    return chains
