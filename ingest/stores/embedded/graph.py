"""Building the search graph of the embedded store.

It is built at the end of an ingest, over a copy of the shard and in another process, because the engine holds the
GIL for the whole of it. Vectors and graph then stay on disk and are read as they are visited: opening is four times as
quick as when they are brought into memory first, which a command that asks once cannot make up for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import qdrant_edge as edge

from ingest.stores import BUILD_WIDTH, LINKS, OVERSAMPLED, VISUAL, is_for_graph, search_width
from ingest.stores.embedded.engine import edge_errors

INDEXING_KB = 1000
"""Of vectors without a graph that are worth one to the engine: any that a build is begun for."""

FULL_SCAN_KB = 10_000
"""Of vectors that the engine rather compares all than follows a graph to; its own default."""


def graph_config(vectors: Mapping[str, int], quantize: bool) -> edge.EdgeConfig:
    cold = edge.Memory.Cold
    codes = {VISUAL: edge.ScalarQuantizationConfig(edge.ScalarType.Int8, memory=cold)} if quantize else {}
    graph = edge.HnswIndexConfig(m=LINKS, ef_construct=BUILD_WIDTH, full_scan_threshold=FULL_SCAN_KB, memory=cold)
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(
                size=width,
                distance=edge.Distance.Cosine,
                hnsw_config=graph,
                memory=cold,
                quantization_config=codes.get(name),
            )
            for name, width in vectors.items()
        },
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_KB, default_segment_number=1),
    )


def search_params(limit: int, *, exact: bool) -> edge.SearchParams:
    """Without a graph every search is exact; without codes there is nothing to look up again."""
    if not is_for_graph(limit, exact=exact):
        return edge.SearchParams(exact=True, quantization=edge.QuantizationSearchParams(ignore=True))
    codes = edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLED)
    return edge.SearchParams(hnsw_ef=search_width(limit), quantization=codes)


def build_graph_in_child(shard: Path, name: str, vectors: Mapping[str, int], quantize: bool) -> None:
    """Build the graph of a closed shard that nobody else opens, and int8 codes if so ``quantize`` says.

    Raises:
        StoreError: it was killed, or the shard is damaged.
    """
    from ingest.stores import run_in_child

    run_in_child(f"the graph of {name!r}", _build, shard, name, dict(vectors), quantize, advance=lambda _: None)


def _build(
    path: Path,
    name: str,
    vectors: Mapping[str, int],
    quantize: bool,
    *,
    advance: Callable[[int], None],  # noqa: ARG001
) -> None:
    with edge_errors(path.parent, name):
        shard = edge.EdgeShard.load(str(path), graph_config(vectors, quantize))
        while shard.optimize():
            pass
        shard.close()
