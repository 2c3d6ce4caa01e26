"""The answers to a question in their order: by one vector, or by two that are fused; with or without a cut-off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ingest.store import SCORE_DIGITS, Collection, Filter, Hit
from query.asked import Aim
from query.cutoff import Cutoff

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion": the constant of the paper."""

DEPTH = 100
"""At least so many answers of each kind are fused, or ordered anew; beyond, a fused rank weighs less than 1/160."""


def rank(
    collection: Collection,
    aims: Mapping[str, Aim],
    limit: int,
    filter: Filter,
    min_score: float,
    cutoff: Cutoff | None,
) -> list[Hit]:
    """The best answers, at most ``limit``.

    Args:
        aims: by the name of the vector that is compared: one, or two that are fused.
        min_score: of the cosine, or of the fused score.
    """
    if len(aims) > 1:
        return _fused(collection, aims, limit, filter, min_score, cutoff)
    ((using, aim),) = aims.items()
    return _nearest(collection, using, aim, limit, filter, min_score, cutoff)


def _nearest(
    collection: Collection,
    using: str,
    aim: Aim,
    limit: int,
    filter: Filter,
    min_score: float,
    cutoff: Cutoff | None,
) -> list[Hit]:
    if cutoff is None:
        return collection.search(using, aim.vector, limit, filter, min_score=min_score)
    floor = cutoff.floors[using]
    if aim.takes_away:
        kept = _standing_out(collection, using, aim, limit, filter, floor)
        return [hit for hit in kept if hit.score >= min_score][:limit]
    return collection.search(using, aim.vector, limit, filter, min_score=max(min_score, floor))


def _standing_out(collection: Collection, using: str, aim: Aim, limit: int, filter: Filter, floor: float) -> list[Hit]:
    """What stands out for what is wanted, in the order of the whole question.

    That is exact while no more stand out than are looked at; of more, those nearest to either are.
    """
    depth = max(DEPTH, 2 * limit)
    near = collection.search(using, aim.wanted, depth, filter, min_score=floor)
    if len(near) == depth:
        near += collection.search(using, aim.vector, depth, filter)
    hits = {hit.id: hit for hit in near}
    points = collection.retrieve(list(hits), [using])
    vectors = {id: point.vectors[using] for id, point in points.items()}
    kept = [
        Hit(id, _cosine(vector, aim.vector), hits[id].payload)
        for id, vector in vectors.items()
        if _cosine(vector, aim.wanted) >= floor
    ]
    return sorted(kept, key=lambda hit: (-hit.score, hit.id))


def _cosine(point: NDArray[np.float32], aim: NDArray[np.float32]) -> float:
    """As a store tells it; ``point`` of length 1."""
    return min(1.0, round(float(point @ (aim / np.linalg.norm(aim))), SCORE_DIGITS))


def _fused(
    collection: Collection,
    aims: Mapping[str, Aim],
    limit: int,
    filter: Filter,
    min_score: float,
    cutoff: Cutoff | None,
) -> list[Hit]:
    """Reciprocal rank fusion of what is near by either vector."""
    depth = max(DEPTH, 2 * limit)
    hits: dict[object, Hit] = {}
    scores: dict[object, float] = {}
    for using, aim in aims.items():
        for place, hit in enumerate(_nearest(collection, using, aim, depth, filter, -1.0, cutoff), start=1):
            hits[hit.id] = hit
            scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + place)
    fused = [Hit(hit.id, round(scores[hit.id], SCORE_DIGITS), hit.payload) for hit in hits.values()]
    fused.sort(key=lambda hit: (-hit.score, hit.id))
    return [hit for hit in fused if hit.score >= min_score][:limit]
