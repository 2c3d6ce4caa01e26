"""What a question's scores are measured against: samples of the pictures and of the words, kept while they hold.

It must not know how a question was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SEMANTIC, WORD, Collection, SparseVector
from query.asking.class_query import all_sparse
from query.asking.cutoff import BEST_HITS, Cutoff, evidence_floor, near_the_best, picture_floor, word_floor
from query.asking.query_vector import cosines
from query.asking.ranking import Queries

Vector = NDArray[np.float32]

SAMPLE = 250
"""Pictures, or words, that stand for all: 1,000 give the same cut, and take 0.2 s to read at 1280 numbers each."""

SAMPLE_LASTS = 0.1
"""It is taken anew where the number of pictures has changed by this share, as while they are ingested."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Points picked at random. ``ids``: n of them; ``vectors``: (n, width) float32, unit; of ``total`` in all."""

    ids: Sequence[UUID]
    vectors: Vector
    total: int

    @classmethod
    def of(cls, collection: Collection, using: str) -> Sample:
        """The first page in the order of ids, which are hashes of names: no folder is in it more than another."""
        points = next(iter(collection.scroll([using], page=SAMPLE)), [])
        rows = [point.vectors[using] for point in points]
        vectors = np.stack(rows) if rows else np.empty((0, collection.metadata.vectors[using]), np.float32)
        return cls([point.id for point in points], vectors, collection.count())

    def scores(self, vector: Vector, without: Sequence[UUID] = ()) -> Vector:
        """Cosines with a ``vector`` of any length, but for the pictures asked about, which are no background."""
        return cosines(self.vectors, vector)[[id not in without for id in self.ids]]

    def floor(self, vector: Vector, without: Sequence[UUID] = ()) -> float:
        """The cosine that one of all the pictures reaches by chance, those asked about left out."""
        return picture_floor(self.scores(vector, without), self.total - len(without))


class Backgrounds:
    """The samples of one collection and of its vocabulary. Threads may share them.

    Args:
        vocabulary: opens the collection of tags.
    """

    def __init__(self, collection: Collection, vocabulary: Callable[[], AbstractContextManager[Collection]]) -> None:
        self._collection = collection
        self._vocabulary = vocabulary
        self._samples: dict[str, Sample] = {}

    def cutoff(self, queries: Queries, without: Sequence[UUID] = ()) -> Cutoff:
        """Where the answers to a question end.

        Args:
            queries: what is ranked by.
            without: the pictures asked about, as far as they are in the collection.
        """
        by_classes = {using: query.meant for using, query in queries.items() if query.meant is not None}
        floors = {
            using: evidence_floor(self._best(using, all_sparse(by_classes[using])))
            if using in by_classes
            else self._pictures(using).floor(query.positive, without)
            for using, query in queries.items()
        }
        scores = {using: near_the_best(self._best(using, all_sparse(queries[using].positive))) for using in by_classes}
        if SEMANTIC in queries:
            words = word_floor(self._words().scores(queries[SEMANTIC].positive))
            floors[SEMANTIC] = max(floors[SEMANTIC], words)
        return Cutoff(floors, any(query.negative is not None for query in queries.values()), scores)

    def _best(self, using: str, wanted: SparseVector) -> list[float]:
        """The scores of the best pictures."""
        return [hit.score for hit in self._collection.search_sparse(using, wanted, BEST_HITS)]

    def _pictures(self, using: str) -> Sample:
        kept = self._samples.get(using)
        if kept is None or abs(self._collection.count() - kept.total) > SAMPLE_LASTS * kept.total:
            kept = self._samples[using] = Sample.of(self._collection, using)
        return kept

    def _words(self) -> Sample:
        kept = self._samples.get(WORD)
        if kept is None:
            with self._vocabulary() as vocabulary:
                kept = self._samples[WORD] = Sample.of(vocabulary, WORD)
        return kept
