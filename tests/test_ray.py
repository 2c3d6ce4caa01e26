"""`ingest run --ray`: two nodes of a Ray cluster on this machine embed one folder, and one of them is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.collection import Options, read_failures
from ingest.errors import StoreError
from ingest.pipeline import ray_cluster, run_folder
from ingest.pipeline.ray_worker import Work
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import ServerStore, connect
from model.errors import UsageError
from tests.kills import small_pictures
from tests.qdrant_server import QdrantHttp, qdrant_server
from tests.ray_nodes import bits, one_of_two_is_killed, ray_head

pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")

PICTURES = 320
OPTIONS = Options(offline=True, projection="conse")
BY_RAY = Options(offline=True, projection="conse", ray="auto")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_pictures(tmp_path_factory.mktemp("photos") / "photos", PICTURES, bad=1)


@pytest.fixture(scope="module")
def qdrant() -> Iterator[QdrantHttp]:
    with qdrant_server() as qdrant, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")  # it takes seconds to send
        yield qdrant


@pytest.fixture(scope="module")
def cluster(qdrant: QdrantHttp) -> Iterator[Any]:
    with ray_head() as cluster:
        yield cluster


@pytest.fixture
def store(qdrant: QdrantHttp) -> Iterator[ServerStore]:
    with connect(qdrant.url, None, "0") as store:
        yield store
        if store.has("photos"):
            store.drop("photos")


def test_a_node_is_killed_and_nothing_is_missing(
    cluster: Any, store: ServerStore, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_of_two_is_killed(cluster, monkeypatch):
        report = run_folder(store, photos, "", BY_RAY)
    assert (report.added, report.failed, report.total) == (PICTURES, 1, PICTURES)
    assert "is lost" in (said := capsys.readouterr().err)
    assert "embedded again elsewhere" in said
    by_ray = bits(store, "photos")
    with store.open("photos") as collection:
        assert set(read_failures(collection)) == {"bad-0.png"}
    store.drop("photos")
    run_folder(store, photos, "", OPTIONS)
    assert by_ray == bits(store, "photos"), "the same, bit for bit, as of one machine"
    assert run_folder(store, photos, "", BY_RAY).unchanged == PICTURES


def test_a_machine_that_does_not_see_the_pictures_says_so(
    cluster: Any, store: ServerStore, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cluster.add_node(num_cpus=1)
    monkeypatch.setattr(ray_cluster, "Work", lambda *work: replace(Work(*work), root=Path("/not/there")))
    with pytest.raises(StoreError, match="it does not see the pictures in /not/there: every machine must have them"):
        run_folder(store, photos, "", BY_RAY)
    cluster.remove_node(node)


def test_a_folder_of_this_machine_is_no_place_for_others(tmp_path: Path, photos: Path, cluster: Any) -> None:
    with EmbeddedStore(tmp_path) as store, pytest.raises(UsageError, match="--ray needs a Qdrant server"):
        run_folder(store, photos, "", BY_RAY)
