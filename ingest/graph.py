"""The HNSW graph of a large embedded collection (Malkov and Yashunin 2016): when there is one, how it is built.

A full comparison costs about 1 us a picture of 4096 numbers, and loses nothing. From `GRAPH_FROM` pictures on, a
graph is built at the end of an ingest, over a copy of the shard and in another process, because the engine holds
the GIL for the whole of it. Vectors and graph then stay on disk and are read as they are visited: opening is
four times as quick as when they are brought into memory first, which a command that asks once cannot make up for.
Questions with a filter, and those for very many answers, still compare everything that passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import qdrant_edge as edge

from ingest.engine import edge_errors
from ingest.store import BUILD_WIDTH, GRAPH_FROM, LINKS, SEARCH_WIDTH, is_for_graph

INDEXING_KB = 1000
"""Of vectors without a graph that are worth one to the engine: any that a build is begun for."""

FULL_SCAN_KB = 10_000
"""Of vectors that the engine rather compares all than follows a graph to; its own default."""

REBUILD_SHARE = 5
"""Built again where what came since is more than one in so many: each picture then passes few builds."""


def wants_graph(points: int, plain: int) -> bool:
    """Whether ``plain`` of ``points``, which no graph covers, cost enough to build it anew."""
    return plain > max(GRAPH_FROM, points // REBUILD_SHARE)


def graph_config(vectors: Mapping[str, int]) -> edge.EdgeConfig:
    cold = edge.Memory.Cold
    graph = edge.HnswIndexConfig(m=LINKS, ef_construct=BUILD_WIDTH, full_scan_threshold=FULL_SCAN_KB, memory=cold)
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(size=width, distance=edge.Distance.Cosine, hnsw_config=graph, memory=cold)
            for name, width in vectors.items()
        },
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_KB, default_segment_number=1),
    )


def search_params(limit: int, *, exact: bool) -> edge.SearchParams:
    """Without a graph every search is exact."""
    if exact or not is_for_graph(limit):
        return edge.SearchParams(exact=True)
    return edge.SearchParams(hnsw_ef=max(SEARCH_WIDTH, 2 * limit))


def build_graph_apart(shard: Path, name: str, vectors: Mapping[str, int]) -> None:
    """Build the graph of a closed shard that nobody else opens.

    Raises:
        StoreError: it was killed, or the shard is damaged.
    """
    from ingest.apart import run_apart  # multiprocessing is 10 ms that a question need not wait for

    run_apart(f"the graph of {name!r}", _build, shard, name, dict(vectors), advance=lambda _: None)


def _build(path: Path, name: str, vectors: Mapping[str, int], *, advance: Callable[[int], None]) -> None:  # noqa: ARG001
    with edge_errors(path.parent, name):
        shard = edge.EdgeShard.load(str(path), graph_config(vectors))
        while shard.optimize():
            pass
        shard.close()
