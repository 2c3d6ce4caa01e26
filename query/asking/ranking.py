"""The answers to a question in their order: by one vector, or by two that are fused; with or without a cut-off.

It must not know what the vectors were made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SCORE_DIGITS, Collection, Filter, Hit, SparseVector
from query.asking.class_query import all_sparse, as_sparse
from query.asking.cutoff import Cutoff
from query.asking.query_vector import QueryVector, cosines

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion": the constant of the paper."""

DEPTH = 1000
"""So many answers of each kind are fused, or ordered anew, however many are asked for: so each page is of one list."""


Queries = Mapping[str, QueryVector]
"""What to rank by, under the name of the vector that is compared."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Among which pictures to look, and where the answers end."""

    collection: Collection
    filter: Filter
    cutoff: Cutoff | None = None

    def best(self, queries: Queries, limit: int, min_score: float = -1.0) -> list[Hit]:
        """The best answers, at most ``limit``; equal scores in the order of ids.

        Args:
            queries: one, or two that are fused; none finds nothing.
            min_score: of the cosine, or of the fused score.
        """
        if not queries:
            return []
        if len(queries) > 1:
            hits = self._fused(queries)
        else:
            ((using, query),) = queries.items()
            hits = self._nearest(using, query, limit, min_score)
        return [hit for hit in hits if hit.score >= min_score][:limit]

    def _nearest(self, using: str, query: QueryVector, limit: int, min_score: float = -1.0) -> list[Hit]:
        if using in self.collection.metadata.sparse:
            return self._showing(using, query, limit, max(min_score, 0.0))
        floor = self.cutoff.floors[using] if self.cutoff else -1.0
        if self.cutoff and query.negative is not None:
            return self._standing_out(using, query, query.negative, floor)
        return self.collection.search(using, query.vector, limit, self.filter, min_score=max(min_score, floor))

    def _standing_out(self, using: str, query: QueryVector, negative: NDArray[np.float32], floor: float) -> list[Hit]:
        """What stands out for what is wanted and is not still nearer to what is subtracted, in the question's order.

        Of more than `DEPTH` that stand out, those that do most.
        """
        wanted = self.collection.search(using, query.positive, DEPTH, self.filter, min_score=floor)
        if not wanted:
            return []
        near = {hit.id: hit for hit in wanted}
        points = self.collection.retrieve(list(near), [using])
        vectors = np.stack([point.vectors[using] for point in points.values()])
        scores = zip(points, _scores(vectors, query.vector), _scores(vectors, negative), strict=True)
        kept = [Hit(id, score, near[id].payload) for id, score, away in scores if away <= near[id].score]
        return sorted(kept, key=_best_first)

    def _showing(self, using: str, query: QueryVector, limit: int, min_score: float) -> list[Hit]:
        """What shows the classes that a question means; with a cut-off, what probably shows one that is meant."""
        sparse = as_sparse(query.vector)
        if not self.cutoff or query.meant is None:
            return self.collection.search_sparse(using, sparse, limit, self.filter, min_score=min_score)
        shows = self._passing(using, all_sparse(query.meant), self.cutoff.floors[using])
        near = self._passing(using, all_sparse(query.positive), self.cutoff.scores[using])
        hits = self.collection.search_sparse(using, sparse, DEPTH, self.filter, min_score=min_score)
        return [hit for hit in hits if hit.id in shows and hit.id in near][:limit]

    def _passing(self, using: str, wanted: SparseVector, floor: float) -> set[UUID]:
        """Ids of the pictures that have at least that score."""
        return {hit.id for hit in self.collection.search_sparse(using, wanted, DEPTH, self.filter, min_score=floor)}

    def _fused(self, queries: Queries) -> list[Hit]:
        """Reciprocal rank fusion of what is near by either vector."""
        hits: dict[UUID, Hit] = {}
        scores: dict[UUID, float] = {}
        for using, query in queries.items():
            for place, hit in enumerate(self._nearest(using, query, DEPTH), start=1):
                hits[hit.id] = hit
                scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + place)
        fused = [Hit(hit.id, round(scores[hit.id], SCORE_DIGITS), hit.payload) for hit in hits.values()]
        return sorted(fused, key=_best_first)


def depth_messages(queries: Queries, pictures: int) -> tuple[str, ...]:
    """What to tell where the answers ended before all ``pictures`` were ranked: a sentence, or none."""
    is_cut = len(queries) > 1 and pictures > DEPTH
    return (f"only the {DEPTH} nearest by each vector are fused",) if is_cut else ()


def _best_first(hit: Hit) -> tuple[float, UUID]:
    return -hit.score, hit.id


def _scores(points: NDArray[np.float32], vector: NDArray[np.float32]) -> list[float]:
    """Cosines as a store gives them."""
    return [min(1.0, round(score, SCORE_DIGITS)) for score in cosines(points, vector).tolist()]
