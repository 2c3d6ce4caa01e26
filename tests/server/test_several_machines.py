"""Several machines embed one folder into a cluster: over Ray, of whose nodes one is killed, and part by part."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import Options, read_failures
from ingest.errors import StoreInUse
from ingest.pipeline import run_folder
from ingest.stores import VISUAL
from tests.nodes import Node, store_of
from tests.ray_nodes import bits, one_of_two_is_killed, ray_head
from tests.server.conftest import PICTURES

ALONE = Options(offline=True, projection="conse")
PARTS = [replace(ALONE, parts=parts) for parts in (("cat", "2019/0", "2019/1"), ("rocket", "2019/2"), ("2019/3",))]

pytestmark = pytest.mark.usefixtures("no_tags")


@pytest.fixture
def right(nodes: list[Node], photos: Path) -> Iterator[dict[str, dict[str, bytes]]]:
    """The bits of a run of this machine alone; the collections are gone afterwards."""
    with store_of(*nodes) as store:
        run_folder(store, photos, "alone", ALONE)
        yield bits(store, "alone")
        for name in store.names():
            store.drop(name)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_machine_of_a_ray_cluster_is_killed(
    nodes: list[Node],
    photos: Path,
    right: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    with ray_head() as machines, store_of(*nodes) as store:
        with one_of_two_is_killed(machines, monkeypatch):
            report = run_folder(store, photos, "ray", replace(ALONE, ray="auto"))
        assert (report.added, report.failed, report.total) == (PICTURES, 1, PICTURES)
        assert "embedded again elsewhere" in capsys.readouterr().err
        assert bits(store, "ray") == right
        with store.open("ray") as collection:
            assert set(read_failures(collection)) == {"bad-0.png"}
        assert run_folder(store, photos, "ray", ALONE).unchanged == PICTURES


def test_parts_at_once_through_three_nodes_and_then_the_whole(
    nodes: list[Node], photos: Path, right: dict[str, dict[str, bytes]]
) -> None:
    first = replace(ALONE, parts=("2019/4",))
    with store_of(nodes[0]) as store:
        run_folder(store, photos, "parts", first)  # which makes it
    failed: list[BaseException] = []

    def take(node: Node, part: Options) -> None:
        try:
            with store_of(node) as store:
                run_folder(store, photos, "parts", part)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to show it
            failed.append(error)

    threads = [threading.Thread(target=take, args=place) for place in zip(nodes, PARTS, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with (
        store_of(nodes[1]) as store,
        store.writing("parts", ["2019/5"]),
        store_of(nodes[2]) as other,
        pytest.raises(StoreInUse, match="part 2019/5 of collection 'parts'"),
    ):
        run_folder(other, photos, "parts", ALONE)
    with store_of(nodes[2]) as store:
        report = run_folder(store, photos, "parts", ALONE)
        taken = sum(path.startswith(("cat/", "rocket/", *(f"2019/{n}/" for n in range(5)))) for path in right)
        assert (report.unchanged, report.added) == (taken, PICTURES - taken)
        found = bits(store, "parts")
        assert found.keys() == right.keys()
        for path, vectors in right.items():  # batches of other sizes leave other last bits
            by_parts, alone = (np.frombuffer(named[VISUAL], np.float32) for named in (found[path], vectors))
            np.testing.assert_allclose(by_parts, alone, atol=1e-5)
        assert run_folder(store, photos, "parts", ALONE).unchanged == PICTURES
