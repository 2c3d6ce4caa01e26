"""Building the search graph of the embedded store.

It is built at the end of an ingest, over a copy of the shard and in another process, because the engine holds the
GIL for the whole of it. Vectors and graph then stay on disk and are read as they are visited: opening is four times as
quick as when they are brought into memory first, which a command that asks once cannot make up for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qdrant_edge as edge

from ingest.errors import StoreError
from ingest.records import CollectionMetadata
from ingest.stores import BUILD_WIDTH, LINKS, VISUAL, run_in_child_process
from ingest.stores.embedded.engine import edge_errors, sparse_config
from ingest.stores.embedded.shard import Shard

INDEXING_KB = 1000
"""Of vectors without a graph that are worth one to the engine: any that a build is begun for."""

FULL_SCAN_KB = 10_000
"""Of vectors that the engine compares all rather than follow a graph to them; its own default."""


def graph_config(metadata: CollectionMetadata, quantize: bool) -> edge.EdgeConfig:
    """A graph of each vector; with ``quantize``, int8 codes of the visual one."""
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
            for name, width in metadata.vectors.items()
        },
        sparse_vectors=sparse_config(metadata.sparse),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_KB, default_segment_number=1),
    )


def build_graph(shard: Shard, metadata: CollectionMetadata, name: str, quantize: bool) -> None:
    """Build the graph of a shard that only this process writes, and int8 codes if ``quantize`` says so.

    Raises:
        StoreError: the building process was killed, or the shard is damaged; the shard is as it was.
    """
    try:
        with shard.replaced() as copy:
            run_in_child_process(
                f"the graph of {name!r}", _build, copy, name, metadata, quantize, on_progress=lambda _: None
            )
    except OSError as error:
        raise StoreError(f"cannot copy {shard.path}: {error.strerror or error}") from error


def _build(
    path: Path,
    name: str,
    metadata: CollectionMetadata,
    quantize: bool,
    *,
    on_progress: Callable[[int], None],  # noqa: ARG001
) -> None:
    with edge_errors(path.parent, name):
        shard = edge.EdgeShard.load(str(path), graph_config(metadata, quantize))
        while shard.optimize():
            pass
        shard.close()
