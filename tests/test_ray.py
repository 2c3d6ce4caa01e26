"""`ingest run --ray`: two nodes of a Ray cluster on this machine embed one folder, and one of them is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.collection import Options, read_failures
from ingest.errors import StoreError
from ingest.pipeline import ray_cluster, run_folder
from ingest.pipeline.ray_worker import Work
from ingest.stores import CLASSES, SEMANTIC, VISUAL, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import ServerStore, connect
from model.errors import UsageError
from tests.kills import small_pictures
from tests.qdrant_server import QdrantHttp, qdrant_server

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")

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
    """A head without work to do, and no nodes yet; this process is connected to it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def store(qdrant: QdrantHttp) -> Iterator[ServerStore]:
    with connect(qdrant.url, None, "0") as store:
        yield store
        if store.has("photos"):
            store.drop("photos")


def points(store: Store) -> dict[str, dict[str, bytes]]:
    with store.open("photos") as collection:
        every = [point for page in collection.scroll([VISUAL, SEMANTIC, CLASSES]) for point in page]
    return {
        point.payload["path"]: {name: np.asarray(vector).tobytes() for name, vector in point.vectors.items()}
        for point in every
    }


def test_a_node_is_killed_and_nothing_is_missing(
    cluster: Any, store: ServerStore, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_cluster, "SHARE", 64)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    killed: list[Any] = []
    lost = ray_cluster.Crew._done

    def kill_one(crew: ray_cluster.Crew, ref: Any) -> Any:
        if not killed and len(crew._workers) == 2:
            killed.append(nodes.pop())
            cluster.remove_node(killed[0], allow_graceful=False)
        return lost(crew, ref)

    monkeypatch.setattr(ray_cluster.Crew, "_done", kill_one)
    report = run_folder(store, photos, "", BY_RAY)
    assert killed
    assert (report.added, report.failed, report.total) == (PICTURES, 1, PICTURES)
    assert "is lost" in (said := capsys.readouterr().err)
    assert "embedded again elsewhere" in said
    by_ray = points(store)
    with store.open("photos") as collection:
        assert set(read_failures(collection)) == {"bad-0.png"}
    store.drop("photos")
    run_folder(store, photos, "", OPTIONS)
    assert by_ray == points(store), "the same, bit for bit, as of one machine"
    assert run_folder(store, photos, "", BY_RAY).unchanged == PICTURES
    cluster.remove_node(nodes.pop())


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
