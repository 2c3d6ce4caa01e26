"""Real nodes that several files here share: one, and three; skipped where there is no binary of a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.stores.server.requests import Requests
from tests.kills import small_pictures
from tests.nodes import Node, cluster, one_node

PICTURES = 260
"""Some batches, and in three shards of a cluster."""


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag vocabulary takes seconds to send, and is not what is tested."""
    monkeypatch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """260 small pictures, and a bad file."""
    return small_pictures(tmp_path_factory.mktemp("photos") / "photos", PICTURES, bad=1)


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


@pytest.fixture
def at_write(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """Do something just before the n-th message of points from now on."""
    happens: dict[int, Callable[[], object]] = {}
    count, real, lock = [0], Requests._send, threading.Lock()

    def send(self: Requests, *args: Any, **options: Any) -> Any:
        with lock:
            count[0] += 1
            do = happens.pop(count[0], None)
        if do:
            do()
        return real(self, *args, **options)

    def at(number: int, do: Callable[[], object]) -> None:
        happens[count[0] + number] = do

    monkeypatch.setattr(Requests, "_send", send)
    yield at
    assert not happens, "it never came so far"
