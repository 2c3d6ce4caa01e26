"""The answers to a question in their order: by one vector, or by two that are fused; with or without a cut-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SCORE_DIGITS, Collection, Filter, Hit
from query.asking.cutoff import Cutoff, cosines
from query.asking.query_vectors import QueryVector

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion": the constant of the paper."""

DEPTH = 1000
"""So many answers of each kind are fused, or ordered anew, however many are asked for: so each page is of one list."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Among which pictures to look, and where the answers end."""

    collection: Collection
    filter: Filter
    cutoff: Cutoff | None

    def best(self, aims: Mapping[str, QueryVector], limit: int, min_score: float) -> list[Hit]:
        """The best answers, at most ``limit``.

        Args:
            aims: by the name of the vector that is compared: one, or two that are fused.
            min_score: of the cosine, or of the fused score.
        """
        if len(aims) > 1:
            hits = self._fused(aims)
        else:
            ((using, aim),) = aims.items()
            hits = self._nearest(using, aim, limit, min_score)
        return [hit for hit in hits if hit.score >= min_score][:limit]

    def _nearest(self, using: str, aim: QueryVector, limit: int, min_score: float = -1.0) -> list[Hit]:
        floor = self.cutoff.floors[using] if self.cutoff else -1.0
        if self.cutoff and aim.taken is not None:
            return self._standing_out(using, aim, aim.taken, floor)
        return self.collection.search(using, aim.vector, limit, self.filter, min_score=max(min_score, floor))

    def _standing_out(self, using: str, aim: QueryVector, taken: NDArray[np.float32], floor: float) -> list[Hit]:
        """What stands out for what is wanted and is not still nearer to what is taken away, in the question's order.

        Of more than `DEPTH` that stand out, those that do most.
        """
        near = {hit.id: hit for hit in self.collection.search(using, aim.wanted, DEPTH, self.filter, min_score=floor)}
        if not near:
            return []
        points = self.collection.retrieve(list(near), [using])
        vectors = np.stack([point.vectors[using] for point in points.values()])
        told = zip(points, _told(vectors, aim.vector), _told(vectors, taken), strict=True)
        kept = [Hit(id, score, near[id].payload) for id, score, away in told if away <= near[id].score]
        return sorted(kept, key=_best_first)

    def _fused(self, aims: Mapping[str, QueryVector]) -> list[Hit]:
        """Reciprocal rank fusion of what is near by either vector."""
        hits: dict[UUID, Hit] = {}
        scores: dict[UUID, float] = {}
        for using, aim in aims.items():
            for place, hit in enumerate(self._nearest(using, aim, DEPTH), start=1):
                hits[hit.id] = hit
                scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + place)
        fused = [Hit(hit.id, round(scores[hit.id], SCORE_DIGITS), hit.payload) for hit in hits.values()]
        return sorted(fused, key=_best_first)


def _best_first(hit: Hit) -> tuple[float, UUID]:
    return -hit.score, hit.id


def _told(points: NDArray[np.float32], aim: NDArray[np.float32]) -> list[float]:
    """Cosines as a store tells them."""
    return [min(1.0, round(score, SCORE_DIGITS)) for score in cosines(points, aim).tolist()]
