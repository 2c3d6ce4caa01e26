"""Real nodes that several files here share: one, and three; skipped where there is no binary of a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes import Node, cluster, one_node


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node; leave it running, and no collection behind."""
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three nodes of one cluster; leave them running, and no collection behind."""
    with cluster(tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes
