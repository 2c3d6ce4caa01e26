"""The search graph of a large collection (HNSW, Malkov and Yashunin 2016), alike in every store: when there is one,
its numbers, and which questions it is asked.

A full comparison costs about 1 us a picture of 4096 numbers, and misses nothing; following a graph costs the same at
any size. Questions with a filter, and those for very many answers, still compare everything that passes.

Vectors and graph stay on disk. Where the visual vectors take more of the machine's memory than is left for them,
following the graph means waiting for the disk: then int8 codes of a quarter of their size are followed instead
(scalar quantization), and only the best candidates are compared whole.
"""

from __future__ import annotations

import os

GRAPH_FROM = 10_000
"""Pictures from which a graph is built for searching; below, and for what has come since, search is exact."""

REBUILD_SHARE = 5
"""Built again where what came since is more than one in so many: each picture then passes few builds."""

LINKS = 24
BUILD_WIDTH = 128
"""HNSW's m and ef_construct. With 16 and 64, recall@10 of 300,000 semantic vectors stays below 0.99 however widely they
are searched; with these it is 1.000 at the usual width, for 1.5 times the time of building (`benchmarks/scale.py`)."""

SEARCH_WIDTH = 128
"""Candidates a search keeps (HNSW's ef) for up to half as many answers, where a collection's metadata names no more."""

OVERSAMPLED = 3.0
"""With codes, so many candidates for each answer are compared by their whole vectors: recall@10 and scores are then
as without (`benchmarks/scale.py`)."""

MOST_BY_GRAPH = 1000
"""For more answers than this, everything is compared."""


def wants_graph(points: int, plain: int) -> bool:
    """Whether ``plain`` of ``points``, which no graph covers, cost enough to build it anew."""
    return plain > max(GRAPH_FROM, points // REBUILD_SHARE)


def wants_codes(points: int, width: int) -> bool:
    """Whether ``points`` vectors of ``width`` numbers take more than half of this machine's memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return False
    return 4 * width * points > memory // 2


def is_for_graph(limit: int, *, exact: bool) -> bool:
    """Whether so many answers are asked of a graph; for more, comparing everything is no slower and misses none."""
    return not exact and limit <= MOST_BY_GRAPH


def search_width(limit: int, least: int = 0) -> int:
    """Candidates to keep for ``limit`` answers. ``least``: the width that a collection was found to need."""
    return max(SEARCH_WIDTH, least, 2 * limit)
