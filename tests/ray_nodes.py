"""A Ray cluster of this machine whose nodes are killed, and what a run over it must leave; wants Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ingest.pipeline import ray_cluster
from ingest.stores import CLASSES, SEMANTIC, VISUAL, Store

SHARE = 64
"""Files that a worker gets at once: few, so that both have some when one is killed."""


@contextmanager
def ray_head() -> Iterator[Any]:
    """A head without work to do, and no nodes yet; this process is connected to it."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@contextmanager
def one_of_two_is_killed(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two nodes while the block runs; when both work and the first share is done, one of them is killed."""
    monkeypatch.setattr(ray_cluster, "SHARE", SHARE)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    done = ray_cluster.Crew._done

    def kill_one(crew: ray_cluster.Crew, ref: Any) -> Any:
        if len(nodes) == 2 and len(crew._workers) == 2:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        return done(crew, ref)

    monkeypatch.setattr(ray_cluster.Crew, "_done", kill_one)
    yield
    assert len(nodes) == 1
    cluster.remove_node(nodes.pop())


def bits(store: Store, name: str) -> dict[str, dict[str, bytes]]:
    """Every vector of every picture, by path."""
    with store.open(name) as collection:
        kinds = [VISUAL, SEMANTIC, *collection.metadata.sparse]
        every = [point for page in collection.scroll(kinds) for point in page]
    found = {
        point.payload["path"]: {
            **{kind: np.asarray(vector).tobytes() for kind, vector in point.vectors.items()},
            **{kind: shown.indices.tobytes() + shown.values.tobytes() for kind, shown in point.sparse.items()},
        }
        for point in every
    }
    assert len(found) == len(every)
    assert not found or CLASSES not in kinds or all(CLASSES in vectors for vectors in found.values())
    return found
