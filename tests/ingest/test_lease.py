"""The mark that keeps a second run out of a server's collection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.collection import Options, creation
from ingest.errors import StoreInUse
from ingest.pipeline import repair, reproject, retry_failures, run_folder
from ingest.pipeline.checking import Checked
from ingest.records import CollectionMetadata, Pending
from ingest.stores import VISUAL, Collection
from ingest.stores.server.lease import lease
from ingest.stores.server.store import WRITER_KEY, ServerStore
from model.pictures import LeftOut, scan
from model.projections import Projection
from tests.ingest.runs import four_photographs
from tests.local_qdrant import local_qdrant
from tests.waiting import wait_until


@pytest.fixture
def store() -> Iterator[ServerStore]:
    store = ServerStore(local_qdrant(), "memory")
    store.create("a", CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00"))
    yield store
    store.close()


def mark(store: ServerStore, **held: Any) -> None:
    store.client.update_collection("a", metadata={WRITER_KEY: {"token": "other", "at": time.time(), **held}})


def folder_of_a_collection(store: ServerStore, place: Path) -> Path:
    """A folder with a picture, and its collection "photos"."""
    photos = place / "photos"
    photos.mkdir()
    (photos / "1.png").write_bytes(b"not looked at")
    made_of = {"words": "glove", "words_sha256": "00", "encoder": "vgg16", "root": str(photos.resolve())}
    store.create("photos", CollectionMetadata("pictures", {VISUAL: 4}, **made_of)).close()
    return photos


RUNS: dict[str, Callable[[ServerStore, Path], object]] = {
    "run": lambda store, photos: run_folder(store, photos, "photos", Options()),
    "retry": lambda store, photos: retry_failures(store, "photos", Options()),
    "repair": lambda store, _: repair(store, Checked("photos")),
    "reproject": lambda store, photos: reproject(store, "photos", "conse"),
}


@pytest.mark.parametrize("run", RUNS)
def test_every_run_on_a_server_takes_the_lease(store: ServerStore, tmp_path: Path, run: str) -> None:
    photos = folder_of_a_collection(store, tmp_path)
    held = {"token": "other", "at": time.time(), "host": "elsewhere", "pid": 1}
    store.client.update_collection("photos", metadata={"wordsight-writer": held})
    with pytest.raises(StoreInUse, match="'photos' is being written by another process, 1 on elsewhere"):
        RUNS[run](store, photos)
    assert store.client.count("photos").count == 0


def half_made(store: ServerStore) -> CollectionMetadata:
    """The collection "b", as who makes it leaves it until it is whole; returns what it says then."""
    whole = CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00")
    store.create("b", replace(whole, pending=Pending.CREATING))
    return whole


def test_a_collection_that_a_killed_run_left_half_made_is_dropped(store: ServerStore) -> None:
    half_made(store)
    store.drop_unfinished("b")
    assert store.names() == ["a"]


def test_a_collection_that_is_being_made_is_not_dropped(store: ServerStore) -> None:
    half_made(store)
    with store.writing("b"), pytest.raises(StoreInUse, match="'b' is being written by another process"):
        store.drop_unfinished("b")
    assert store.names() == ["a", "b"]


def test_what_was_finished_while_the_lease_was_waited_for_is_not_dropped(
    store: ServerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, real = half_made(store), store.writing

    def writing(name: str) -> AbstractContextManager[None]:
        store.open(name).save(whole)
        return real(name)

    monkeypatch.setattr(store, "writing", writing)
    store.drop_unfinished("b")
    assert store.names() == ["a", "b"]


def test_who_makes_a_collection_has_its_lease(
    store: ServerStore, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = four_photographs(originals, tmp_path / "photos")
    keep, tried = creation.keep_projection, []

    def look(collection: Collection, projection: Projection) -> None:
        with pytest.raises(StoreInUse, match="'photos' is being written by another process"):
            store.drop_unfinished("photos")
        tried.append(collection.name)
        keep(collection, projection)

    monkeypatch.setattr(creation, "keep_projection", look)
    creation.create(store, "photos", folder, list(scan(folder, LeftOut())), Options(offline=True))
    assert tried == ["photos"]
    assert store.metadata("photos").pending != Pending.CREATING


def test_a_second_run_is_refused_and_comes_next(store: ServerStore) -> None:
    message = f"'a' is being written by another process, {os.getpid()} on "
    with store.writing("a"), pytest.raises(StoreInUse, match=message):
        store.writing("a").__enter__()
    with store.writing("a"):
        pass


def test_a_run_that_was_killed_here_is_in_nobodys_way(store: ServerStore) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mark(store, host=socket.gethostname(), pid=dead.pid)
    with store.writing("a"):
        pass


@pytest.mark.parametrize(("age", "refused"), [(10, True), (1000, False)])
def test_a_run_on_another_machine_counts_while_it_renews_its_mark(store: ServerStore, age: int, refused: bool) -> None:
    mark(store, host="elsewhere", pid=1, at=time.time() - age)
    if refused:
        with pytest.raises(StoreInUse, match="1 on elsewhere: wait until that ends"):
            store.writing("a").__enter__()
    else:
        with store.writing("a"):
            pass


def test_a_run_of_the_same_name_and_number_before_a_restart_is_in_nobodys_way(store: ServerStore) -> None:
    mark(store, host=socket.gethostname(), pid=os.getpid())  # in a container, the process killed before had both
    with store.writing("a"):
        pass


def test_a_run_in_another_container_of_the_same_name_counts(store: ServerStore) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mark(store, host=socket.gethostname(), scope="0badcafe", pid=dead.pid)
    with pytest.raises(StoreInUse, match="wait until that ends"):
        store.writing("a").__enter__()


@pytest.mark.parametrize("away", [-1000, 1000])
def test_a_mark_of_a_wrong_clock_or_a_number_used_again_lapses(store: ServerStore, away: int) -> None:
    mark(store, host=socket.gethostname(), pid=os.getppid(), at=time.time() + away)
    with store.writing("a"):
        pass


def test_of_two_that_come_at_once_one_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = [None]
    both_looked, both_wrote = threading.Barrier(2), threading.Barrier(2)
    early_wrote, early_refused = threading.Event(), threading.Event()
    had: list[str] = []
    settle = SimpleNamespace(time=time.time, sleep=lambda _: both_wrote.wait(60))
    monkeypatch.setattr("ingest.stores.server.lease.time", settle)

    def run(name: str) -> None:
        looks = 0

        def read() -> Any:
            nonlocal looks
            looks += 1
            held = kept[0]
            if looks == 1:
                both_looked.wait(60)
            return held

        def write(mark: object) -> None:
            if name == "late" and looks == 1:
                early_wrote.wait(60)
            kept[0] = mark
            if name == "early":
                early_wrote.set()

        try:
            with lease("a", read, write):
                had.append(name)
                early_refused.wait(60)
        except StoreInUse:
            early_refused.set()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("early", "late")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert had == ["late"]
    assert kept == [None]


def test_who_lost_the_mark_does_not_take_it_back(
    store: ServerStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ingest.stores.server.lease.RENEW_SECONDS", 0.01)
    with store.writing("a"):
        mark(store, host="elsewhere", pid=1)
        wait_until(lambda: "another run has taken over" in capsys.readouterr().err)
        assert store._requests.metadata("a")[WRITER_KEY]["host"] == "elsewhere"
    assert store._requests.metadata("a")[WRITER_KEY]["host"] == "elsewhere"


def test_the_mark_is_renewed(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.stores.server.lease.RENEW_SECONDS", 0.01)
    with store.writing("a"):
        first = store._requests.metadata("a")[WRITER_KEY]["at"]
        wait_until(lambda: store._requests.metadata("a")[WRITER_KEY]["at"] != first)
    assert not store._requests.metadata("a").get(WRITER_KEY)
