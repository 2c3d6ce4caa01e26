"""The stores answer alike: every scenario runs on each, and the results are compared with the embedded store's.

The stand-in for a server is the client's local mode. With QDRANT_URL set (and QDRANT_API_KEY where the server
wants one) a real server is compared too. Scenarios that only read run on snapshots as well: one that is searched
whole, and one that is not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from ingest.stores import Hit, Point, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import ServerStore, connect
from ingest.stores.snapshot import annoy
from tests.ingest.reading_scenarios import READING
from tests.ingest.worlds import SCORE_TOLERANCE, SERVER_KEY, SERVER_URL, WIDTHS, Result, Scenario, SnapshotWorld, World
from tests.ingest.writing_scenarios import WRITING
from tests.local_qdrant import local_qdrant

SCENARIOS = [*READING, *WRITING]


def assert_congruent(left: Result, right: Result, where: str = "result") -> None:
    """Equal in all but the last digits of scores and vectors."""
    assert type(left) is type(right), where
    if isinstance(left, Hit | Point):
        for field in dataclasses.fields(left):
            inner = f"{where}.{field.name}"
            assert_congruent(getattr(left, field.name), getattr(right, field.name), inner)
    elif isinstance(left, Mapping):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_congruent(left[key], right[key], f"{where}[{key!r}]")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for index, pair in enumerate(zip(left, right, strict=True)):
            assert_congruent(*pair, f"{where}[{index}]")
    elif isinstance(left, np.ndarray):
        np.testing.assert_allclose(left, right, atol=SCORE_TOLERANCE, err_msg=where)
    elif isinstance(left, float):
        assert left == pytest.approx(right, abs=SCORE_TOLERANCE), where
    else:
        assert left == right, where


@contextmanager
def world_of(store: Store) -> Iterator[World]:
    world = World(store)
    try:
        yield world
    finally:
        world.clean()
        store.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[dict[str, World]]:
    stores: dict[str, Store] = {
        "embedded": EmbeddedStore(tmp_path / "s"),
        "memory": ServerStore(local_qdrant(), "memory"),
    }
    if SERVER_URL:
        stores["server"] = connect(SERVER_URL, SERVER_KEY)
    with ExitStack() as stack:
        yield {name: stack.enter_context(world_of(store)) for name, store in stores.items()}


@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_stores_agree(run: Scenario, worlds: dict[str, World]) -> None:
    results = {name: run(world) for name, world in worlds.items()}
    expected = results.pop("embedded")
    for name, result in results.items():
        assert_congruent(expected, result, name)


@pytest.mark.parametrize("search", ["exhaustive", "approximate"])
@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_a_snapshot_agrees(run: Scenario, search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if run not in READING:
        pytest.skip("it writes, and a snapshot is read-only")
    if search == "approximate":
        monkeypatch.setattr(annoy, "EXACT_NUMBERS", 0)
    with world_of(EmbeddedStore(tmp_path / "s")) as live:
        expected = run(live)
    carried = SnapshotWorld(tmp_path / "snapshots")
    result = run(carried)
    trees = [store.manifest.indexes[name].trees for store in carried.made for name in WIDTHS]
    assert trees
    assert all((count > 1) == (search == "approximate") for count in trees)
    assert_congruent(expected, result, f"snapshot, {search}")
