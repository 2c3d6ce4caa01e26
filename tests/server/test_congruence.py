"""A real server answers as the embedded store does, over REST and over gRPC, alone and as a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.stores.embedded import EmbeddedStore
from tests.ingest.test_store_congruence import SCENARIOS, assert_congruent, world_of
from tests.ingest.worlds import Scenario
from tests.nodes import Node, store_of


@pytest.mark.parametrize("wire", ["rest", "grpc"])
@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_one_node(run: Scenario, wire: str, node: Node, tmp_path: Path) -> None:
    with world_of(EmbeddedStore(tmp_path)) as here, world_of(store_of(node, grpc=wire == "grpc")) as there:
        assert_congruent(run(here), run(there), wire)


@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_three_nodes(run: Scenario, nodes: list[Node], tmp_path: Path) -> None:
    with world_of(EmbeddedStore(tmp_path)) as here, world_of(store_of(*nodes)) as there:
        assert_congruent(run(here), run(there), "three nodes")
