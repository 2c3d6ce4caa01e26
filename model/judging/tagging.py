"""The tags that a projection gives to pictures, as `query tags` would give them in a collection of all these pictures.

It must not know labels or figures: pictures are features here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.class_space import NEIGHBOURS, QuestionWeights, TagTable, smoothed
from model.encoders import Features
from model.projections import (
    TAG_DEPTH,
    ConseProjection,
    Projection,
    Tag,
    best_first,
    known_vectors,
    label_classes_of,
    ranked,
    softmax,
    unit,
    without_crude,
)
from model.words import NearWord, TextSpace

ROWS = 512
"""Pictures compared with all others at once."""


class TagWords(Protocol):
    """The tag vocabulary (`model.words.Vocabulary`)."""

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[NearWord]: ...


@dataclass(frozen=True)
class TaggedPictures:
    """Pictures with what their tags are found by. ``features``: (n, width). ``space``: what words mean among the
    classes, for text spaces that have it."""

    features: Features
    words: TextSpace
    vocabulary: TagWords
    space: QuestionWeights | None = None

    def tagger(self, projection: Projection) -> Callable[[int], list[Tag]]:
        """What gives the tags of the picture in a row, the best first."""
        if self.space and self.space.tags and isinstance(projection, ConseProjection):
            return self._by_classes(projection, self.space, self.space.tags)
        trained = known_vectors(projection.header.labels, self.words)

        def tags(row: int) -> list[Tag]:
            evidence = projection.tag_evidence(self.features[row])
            near = self.vocabulary.nearest(evidence.vector, TAG_DEPTH)
            return ranked(evidence, {**known_vectors(evidence.named, self.words), **trained}, near, trained)

        return tags

    def _by_classes(
        self, projection: ConseProjection, space: QuestionWeights, table: TagTable
    ) -> Callable[[int], list[Tag]]:
        trained, labels = set(projection.header.label_phrases), label_classes_of(projection)

        def tags(row: int) -> list[Tag]:
            rows, cosines = self._neighbours
            probable = softmax(projection.logits(self.features[[row, *rows[row].tolist()]]))
            named = without_crude(projection.tag_evidence(self.features[row]).named)
            shown = smoothed(probable[0], probable[1:], cosines[row])
            return best_first(table.rank(shown, named, space.nouns, labels), trained)

        return tags

    @cached_property
    def _neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """(n, 10) each: the rows of the pictures that look most like each, the nearest first, and their cosines."""
        vectors = unit(self.features)
        count = min(NEIGHBOURS, len(vectors) - 1)
        found, cosines = [], []
        for start in range(0, len(vectors), ROWS):
            scores = vectors[start : start + ROWS] @ vectors.T
            scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -np.inf
            best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
            found.append(best)
            cosines.append(np.take_along_axis(scores, best, 1))
        return np.concatenate(found), np.concatenate(cosines)
