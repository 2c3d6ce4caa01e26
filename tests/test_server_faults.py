"""`ingest run` against a server that fails: bounded tries, a clear end, and the same command goes on afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ingest.collection import Options, ensure_tags, ledger, read_failures
from ingest.errors import StoreError, StoreUnreachable
from ingest.pipeline import run_folder
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.server import ServerStore, client, connect, requests
from ingest.stores.server.client import Patience
from model.encoders import Encoder
from model.words import Words
from tests.commands import command, refused
from tests.kills import small_pictures
from tests.qdrant_server import Fault, QdrantHttp, qdrant_server

PICTURES = 70  # two upserts
OPTIONS = Options(offline=True, projection="conse")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_pictures(tmp_path_factory.mktemp("photos") / "photos", PICTURES, bad=1)


@pytest.fixture(scope="module")
def qdrant(words: Words, encoder: Encoder) -> Iterator[QdrantHttp]:
    """With the tag vocabulary, which takes seconds to send."""
    with qdrant_server() as qdrant, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        ensure_tags(ServerStore(qdrant.local, "memory"), words, encoder.classifier.names)
        yield qdrant


@pytest.fixture
def store(qdrant: QdrantHttp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerStore]:
    """Connected over HTTP, without pauses between tries; the pictures' collection is gone afterwards."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
    qdrant.fault = None
    store = connect(qdrant.url, None, "0")
    yield store
    qdrant.fault = None
    if "photos" in store.names():
        store.drop("photos")
    store.close()


@pytest.fixture(scope="module")
def right(photos: Path, qdrant: QdrantHttp) -> dict[str, dict[str, np.ndarray]]:
    """Vectors by id of a run that met no fault."""
    store = ServerStore(qdrant.local, "memory")
    run_folder(store, photos, "", OPTIONS)
    right = vectors(store)
    store.drop("photos")
    return right


def vectors(store: ServerStore) -> dict[str, dict[str, np.ndarray]]:
    with store.open("photos") as collection:
        return {str(p.id): dict(p.vectors) for page in collection.scroll([VISUAL, SEMANTIC]) for p in page}


def assert_right(store: ServerStore, right: dict[str, dict[str, np.ndarray]]) -> None:
    found = vectors(store)
    assert found.keys() == right.keys()
    for id, named in right.items():
        for name, vector in named.items():
            np.testing.assert_allclose(found[id][name], vector, atol=1e-5)
    with store.open("photos") as collection:
        assert set(read_failures(collection)) == {"bad-0.png"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(lambda number: number % 3 != 0, drop="middle"),
        Fault(lambda number: number % 3 != 0, drop="after"),
        Fault(lambda number: number % 4 != 0, status=503),
        Fault(lambda number: number % 2 == 0, status=429),
        Fault(seconds=0.1),
        Fault(largest=1_000_000),
    ],
    ids=["dropped mid-upsert", "answer lost", "5xx", "rate limit", "slow", "too large"],
)
def test_faults_that_pass_change_nothing(
    store: ServerStore, qdrant: QdrantHttp, photos: Path, right: dict[str, dict[str, np.ndarray]], fault: Fault
) -> None:
    qdrant.fault = fault
    report = run_folder(store, photos, "", OPTIONS)
    assert (report.added, report.failed) == (PICTURES, 1)
    qdrant.fault = None
    assert_right(store, right)


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (Fault(drop="before"), StoreUnreachable, "run the same command again"),
        (Fault(drop="after"), StoreUnreachable, "run the same command again"),
        (Fault(status=500), StoreError, "run the same command again"),
        (Fault(seconds=5), StoreUnreachable, "timed out"),
        (Fault(largest=8_000), StoreError, "client_max_body_size"),
    ],
    ids=["gone", "answers lost", "5xx", "too slow", "too large for one picture"],
)
def test_faults_that_stay_end_the_run_and_the_next_goes_on(
    qdrant: QdrantHttp,
    store: ServerStore,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    fault: Fault,
    kind: type[StoreError],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault.seconds:
        monkeypatch.setattr(client, "RUN", Patience(2, 2))
    monkeypatch.setattr(ledger, "SAVE_SECONDS", float("inf"))  # so that no write but the pictures' comes between
    monkeypatch.setattr(requests, "IN_FLIGHT", 1)  # the second must not be under way before the first is there
    halting = connect(qdrant.url, None, "0")
    fault.meets = lambda _: qdrant.pictures("photos") > 0  # from the second upsert on
    qdrant.fault = fault
    with pytest.raises(kind, match=told):
        run_folder(halting, photos, "", OPTIONS)
    halting.close()
    qdrant.fault = None
    there = len(vectors(store))
    stored = fault.drop == "after" or fault.seconds  # only the answer did not come
    assert there == PICTURES if stored else 0 < there < PICTURES
    report = run_folder(store, photos, "", OPTIONS)
    assert (report.unchanged, report.added) == (there, PICTURES - there)
    assert_right(store, right)


WITHOUT_PAUSES = """
import types, tenacity.nap

tenacity.nap.time = types.SimpleNamespace(sleep=lambda _: None)
"""
"""Python imports it as ``sitecustomize`` before the command."""


def test_the_installed_command_says_so_and_completes_when_the_server_is_back(
    store: ServerStore,
    qdrant: QdrantHttp,
    photos: Path,
    right: dict[str, dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PAUSES)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    words = ["ingest", "run", photos, "--offline", "--projection", "conse", "--url", qdrant.url]
    qdrant.fault = Fault(lambda _: qdrant.pictures("photos") > 0, status=503)
    refused(command(*words, env=environment), qdrant.url, "what it acknowledged stays, run the same command again")
    qdrant.fault = Fault(lambda number: number % 5 == 0, drop="middle")
    ran = command(*words, env=environment)
    assert ran.status == 0, ran.err
    qdrant.fault = None
    assert_right(store, right)
    failures = command("ingest", "failures", "--json", "--url", qdrant.url).json
    assert [row["path"] for row in failures] == ["bad-0.png"]
    assert command("query", "text", "cat", "-n", "3", "--url", qdrant.url).status == 0


def test_the_ledger_follows_the_files_on_a_server_too(
    store: ServerStore, qdrant: QdrantHttp, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    pictures = sorted(photos.rglob("*.jpg"))
    shutil.copyfile(pictures[0], folder / "a.jpg")
    for name in ("mended.jpg", "gone.jpg", "stays.jpg"):
        (folder / name).write_bytes(b"no picture")
    assert run_folder(store, folder, "", OPTIONS).failed == 3
    shutil.copyfile(pictures[1], folder / "mended.jpg")
    (folder / "gone.jpg").unlink()
    report = run_folder(store, folder, "", Options(offline=True, keep_missing=True))
    assert (report.added, report.failed, report.failed_before) == (1, 0, 1)
    with store.open("photos") as collection:
        assert set(read_failures(collection)) == {"stays.jpg"}
    assert run_folder(store, folder, "", Options(offline=True, retry=True)).failed == 1
