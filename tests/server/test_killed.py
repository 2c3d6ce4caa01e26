"""A node is killed, or stops answering, in the middle of a run; nothing is lost, and what it held back is said."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.collection import Options
from ingest.errors import StoreError, StoreInUse
from ingest.pipeline import reproject, run_folder
from ingest.stores import SEMANTIC, VISUAL, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import client
from ingest.stores.server.client import Patience, ServerClient
from ingest.stores.server.fault import Fault, Kind
from ingest.stores.server.requests import IN_FLIGHT
from tests.nodes import Node, cluster, one_node, store_of
from tests.server.conftest import PICTURES

CONSE = Options(offline=True, projection="conse")

MESSAGES = 8
"""That a run sends at least: three of the projection and its like, five of pictures."""

pytestmark = pytest.mark.usefixtures("no_tags")


@pytest.fixture(scope="module")
def right(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Vectors of a run that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch, EmbeddedStore(tmp_path_factory.mktemp("right")) as store:
        patch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")
        run_folder(store, photos, "", CONSE)
        return vectors(store)


def vectors(store: Store) -> dict[str, dict[str, np.ndarray]]:
    with store.open("photos") as collection:
        every = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
    found = {point.payload["path"]: dict(point.vectors) for point in every}
    assert len(found) == len(every)
    return found


def assert_right(store: Store, right: dict[str, dict[str, np.ndarray]]) -> None:
    found = vectors(store)
    assert found.keys() == right.keys()
    for path, named in right.items():
        for name, vector in named.items():
            np.testing.assert_allclose(found[path][name], vector, atol=1e-5)


def killed_for(node: Node, seconds: float) -> Callable[[], None]:
    def kill() -> None:
        node.stop()
        threading.Timer(seconds, node.start, kwargs={"wait": False}).start()

    return kill


@pytest.mark.parametrize("message", [1, 3, 6])
def test_a_node_that_comes_back_is_waited_for(
    tmp_path: Path,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    at_write: Callable[[int, Callable[[], object]], None],
    message: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with one_node(tmp_path / "node") as node, store_of(node) as store:
        at_write(message, killed_for(node, 3))
        report = run_folder(store, photos, "", CONSE)
        assert (report.added, report.failed, report.total) == (PICTURES, 1, PICTURES)
        assert_right(store, right)
        assert capsys.readouterr().err.count("waiting up to 10 min for it") == 1
        node.wait()
        at_write(1, killed_for(node, 1))
        reproject(store, "photos", "conse")
        assert_right(store, right)


@pytest.mark.timeout(900)
def test_of_three_any_one_may_die_at_ten_moments_and_the_run_goes_on(
    tmp_path: Path,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    at_write: Callable[[int, Callable[[], object]], None],
) -> None:
    with cluster(tmp_path) as nodes, store_of(*nodes) as store:
        for moment in range(10):
            down = nodes[moment % len(nodes)]
            if moment < MESSAGES:
                at_write(moment + 1, down.stop)
            report = run_folder(store, photos, "", CONSE)
            assert (report.added, report.total) == (PICTURES, PICTURES)
            with store_of(*nodes) as asking, asking.open("photos") as collection:
                vector = next(iter(right.values()))[VISUAL]
                assert len(collection.search(VISUAL, vector, 10)) == 10
            assert_right(store, right)
            at_write(1, down.stop if moment >= MESSAGES else lambda: None)
            reproject(store, "photos", "conse")
            assert_right(store, right)
            down.start()
            assert_right(store, right)
            store.drop("photos")


def test_a_node_that_stands_still_for_a_while_loses_nothing(
    tmp_path: Path,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    at_write: Callable[[int, Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with cluster(tmp_path) as nodes, store_of(*nodes) as store:
        goes_on = threading.Timer(20, nodes[0].send, [signal.SIGCONT])

        def stand_still() -> None:
            nodes[0].send(signal.SIGSTOP)
            goes_on.start()

        at_write(3, stand_still)
        report = run_folder(store, photos, "", CONSE)
        goes_on.join()
        assert (report.added, report.total) == (PICTURES, PICTURES)
        assert_right(store, right)
        assert capsys.readouterr().err.count(f"{nodes[0].url} is passed over") <= 1


def test_of_three_any_one_may_stand_still_for_good_and_the_run_goes_on(
    tmp_path: Path,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    at_write: Callable[[int, Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of them orders the writes of what runs depend on, and another holds copies that should agree."""
    monkeypatch.setattr(client, "RUN", Patience(600, 15))  # more than the ten seconds in which nodes give each other up
    silent: list[str] = []
    real = ServerClient._try_node

    def tried(self: ServerClient, node: Any, ask: Any) -> Any:
        was_quiet = node.is_quiet
        try:
            return real(self, node, ask)
        except Fault as fault:
            silent.extend([node.url] if fault.kind is Kind.SILENT and not was_quiet else [])
            raise

    monkeypatch.setattr(ServerClient, "_try_node", tried)
    with cluster(tmp_path) as nodes, store_of(*nodes) as store:
        for still in nodes:
            silent.clear()
            at_write(3, partial(still.send, signal.SIGSTOP))
            report = run_folder(store, photos, "", CONSE)
            assert (report.added, report.total) == (PICTURES, PICTURES)
            assert_right(store, right)
            assert silent.count(still.url) <= IN_FLIGHT + 2, "then it is only asked for a sign of life"
            still.send(signal.SIGCONT)
            still.wait()
            assert_right(store, right)
            store.drop("photos")


def test_a_drop_that_a_kill_cuts_short_is_done_again(tmp_path: Path, photos: Path) -> None:
    with one_node(tmp_path / "node") as node, store_of(node) as store:
        run_folder(store, photos, "", CONSE)
        threading.Timer(0.005, killed_for(node, 1)).start()
        with suppress(StoreError):
            store.drop("photos")
        node.wait()
        if store.has("photos"):
            store.drop("photos")
        assert store.names() == []
        assert run_folder(store, photos, "", CONSE).added == PICTURES


def test_of_two_runs_through_two_nodes_one_writes(nodes: list[Node], photos: Path) -> None:
    for _ in range(5):
        refused: list[BaseException] = []
        added: list[int] = []

        def run(node: Node, added: list[int] = added, refused: list[BaseException] = refused) -> None:
            with store_of(node) as store:
                try:
                    added.append(run_folder(store, photos, "", CONSE).added)
                except StoreInUse as refusal:
                    refused.append(refusal)

        threads = [threading.Thread(target=run, args=(node,)) for node in nodes[:2]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(added) + len(refused) == 2
        assert len(added) == 1, [str(error) for error in refused]
        assert added == [PICTURES]
        with store_of(nodes[2]) as store:
            store.drop("photos")
