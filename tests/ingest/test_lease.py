"""The mark that keeps a second run out of a server's collection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.errors import StoreInUse
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL
from ingest.stores.server.lease import lease
from ingest.stores.server.store import WRITER_KEY, ServerStore
from tests.local_qdrant import local_qdrant


@pytest.fixture
def store() -> Iterator[ServerStore]:
    store = ServerStore(local_qdrant(), "memory")
    store.create("a", CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00"))
    yield store
    store.close()


def mark(store: ServerStore, **held: Any) -> None:
    store.client.update_collection("a", metadata={WRITER_KEY: {"token": "other", "at": time.time(), **held}})


def test_a_second_run_is_told_who_writes_and_comes_next(store: ServerStore) -> None:
    told = f"'a' is being written by another process, {os.getpid()} on "
    with store.writing("a"), pytest.raises(StoreInUse, match=told):
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


@pytest.mark.parametrize("away", [-1000, 1000])
def test_a_mark_of_a_wrong_clock_or_a_number_used_again_lapses(store: ServerStore, away: int) -> None:
    mark(store, host=socket.gethostname(), pid=os.getppid(), at=time.time() + away)
    with store.writing("a"):
        pass


def test_of_two_that_come_at_once_one_has_it() -> None:
    kept: list[Any] = [None]
    both_looked = threading.Barrier(2)
    had: list[str] = []

    def run(name: str) -> None:
        looks = 0

        def read() -> Any:
            nonlocal looks
            looks += 1
            held = kept[0]
            if looks == 1:
                both_looked.wait(10)
            return held

        def write(mark: object) -> None:
            if name == "late" and mark and looks == 1:
                time.sleep(0.05)
            kept[0] = mark

        try:
            with lease("a", read, write):
                had.append(name)
                time.sleep(0.5)
        except StoreInUse:
            pass

    threads = [threading.Thread(target=run, args=(name,)) for name in ("early", "late")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert had == ["late"]
    assert kept == [None]


def test_who_lost_the_mark_does_not_take_it_back(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.stores.server.lease.RENEW_SECONDS", 0.01)
    with store.writing("a"):
        mark(store, host="elsewhere", pid=1)
        time.sleep(0.1)
        assert store._requests.metadata("a")[WRITER_KEY]["host"] == "elsewhere"
    assert store._requests.metadata("a")[WRITER_KEY]["host"] == "elsewhere"


def test_the_mark_is_renewed(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.stores.server.lease.RENEW_SECONDS", 0.01)
    with store.writing("a"):
        first = store._requests.metadata("a")[WRITER_KEY]["at"]
        deadline = time.monotonic() + 10
        while store._requests.metadata("a")[WRITER_KEY]["at"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not store._requests.metadata("a").get(WRITER_KEY)
