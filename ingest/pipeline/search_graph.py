"""What makes a large collection quick to search, built when its points have changed, and how well it finds.

It must not know how a store builds it.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from ingest.errors import StoreError
from ingest.stores import SEARCH_WIDTH, SEMANTIC, VISUAL, Collection, Point
from model.errors import DiskFull
from model.system.events import note, progress

SAMPLED = 100
"""Pictures by which recall is measured: the first by id, which says nothing of a picture."""

ANSWERS = 10

LEAST_RECALL = 0.995
"""Of pictures that are in the graph, which are found more easily than others: of 300,000 made-up ones, where these had
0.990, others had 0.983 (`benchmarks/scale.py`)."""

WIDTHS = (SEARCH_WIDTH, 2 * SEARCH_WIDTH, 4 * SEARCH_WIDTH, 8 * SEARCH_WIDTH)
"""Tried in turn, until `LEAST_RECALL` is reached in every space: twice the width takes not quite twice as long."""

TIE = 1e-6
"""Scores that differ by no more are one: either picture is a right answer."""


def build_search_graph(collection: Collection, quantize: bool | None = None) -> None:
    """Build it where the collection has grown enough; where that fails, what was written is safe, and found.

    Args:
        quantize: as `Collection.index` takes it.
    """
    try:
        if collection.index(quantize):
            _tune(collection)
    except (StoreError, DiskFull) as error:
        note(f"the search graph was not built: {error}; the next run tries again")


def _tune(collection: Collection) -> None:
    """Search as widely as it takes to find what a full comparison finds, and record how well that does."""
    spaces = [space for space in (VISUAL, SEMANTIC) if space in collection.metadata.vectors]
    sample = next(iter(collection.scroll(spaces, page=SAMPLED)), [])
    with progress("measuring its recall", len(spaces) * len(sample), unit="searches") as shown:
        exact: dict[tuple[str, UUID], float] = {}
        for space in spaces:
            for point in sample:
                exact[space, point.id] = _scores(collection, space, point, exact=True)[-1]
                shown.advance()
    for width in WIDTHS:
        collection.metadata = replace(collection.metadata, search_width=width)
        recall = {space: _recall(collection, space, sample, exact) for space in spaces}
        if min(recall.values()) >= LEAST_RECALL:
            break
    collection.save(replace(collection.metadata, recall={space: round(found, 4) for space, found in recall.items()}))


def _recall(collection: Collection, space: str, sample: list[Point], exact: dict[tuple[str, UUID], float]) -> float:
    found = 0
    for point in sample:
        scores = _scores(collection, space, point)
        found += sum(score >= exact[space, point.id] - TIE for score in scores)
    return found / (ANSWERS * len(sample))


def _scores(collection: Collection, space: str, point: Point, *, exact: bool = False) -> list[float]:
    """Of the answers beside the picture itself, the best first."""
    hits = collection.search(space, point.vectors[space], ANSWERS + 1, exact=exact)
    return [hit.score for hit in hits if hit.id != point.id][:ANSWERS]
