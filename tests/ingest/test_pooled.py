"""Pooled collections: threads share them, other processes get the shard too, and what changes is noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ingest.errors import CollectionNotFound, StoreInUse
from ingest.records import CollectionMetadata, stable_id
from ingest.stores import SEMANTIC, VISUAL, Point, PooledStore, pooled
from ingest.stores.embedded import EmbeddedStore, shard
from ingest.stores.embedded.shard import Access, Shard
from tests.snapshots import make_facts, make_payload
from tests.waiting import wait_until

METADATA = make_facts(8, 4)


def make_points(*numbers: int) -> list[Point]:
    rng = np.random.default_rng(numbers[0])
    return [
        Point(
            stable_id(f"cat/{number}.jpg"),
            {VISUAL: rng.standard_normal(8, np.float32), SEMANTIC: rng.standard_normal(4, np.float32)},
            make_payload(f"cat/{number}.jpg", "cat"),
        )
        for number in numbers
    ]


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path / "store")
    with store.create("a", METADATA) as collection:
        collection.upsert(make_points(*range(10)))
    return store


@pytest.fixture
def kept(store: EmbeddedStore) -> Iterator[PooledStore]:
    """The same folder, as the server's process has it open."""
    kept = PooledStore(EmbeddedStore(store.root))
    yield kept
    kept.close()


def count(kept: PooledStore) -> int:
    with kept.asking("a") as collection:
        return len(collection.search(VISUAL, np.ones(8, np.float32), 100))


@contextmanager
def asking_all_the_time(ask: Callable[[], Any], threads: int = 4) -> Iterator[list[Any]]:
    """Gives the answers so far; an ask that fails fails the test."""
    answers: list[Any] = []
    errors: list[BaseException] = []
    end = threading.Event()

    def loop() -> None:
        try:
            while not end.is_set():
                answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    running = [threading.Thread(target=loop) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield answers
    finally:
        end.set()
        for thread in running:
            thread.join()
    assert not errors, errors


def test_a_collection_stays_open_and_is_given_up_when_somebody_waits(store: EmbeddedStore, kept: PooledStore) -> None:
    assert count(kept) == 10
    with kept.asking("a") as first, kept.asking("a") as second:
        assert first is second
    with store.open("a", write=True) as writer:  # waits until the pool has released the shard
        writer.upsert(make_points(10))
    with store.open("a") as reader:
        assert reader.count() == 11
    assert count(kept) == 11


@pytest.mark.parametrize("pauses", [True, False], ids=["between calls", "where there is no pause between calls"])
def test_a_writer_is_not_starved_by_questions_nor_they_by_it(
    store: EmbeddedStore, kept: PooledStore, pauses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_yielding = Shard._keep_yielding
    if not pauses:
        monkeypatch.setattr(Shard, "_keep_yielding", lambda one: one._access is Access.WRITE and keep_yielding(one))
    with asking_all_the_time(lambda: count(kept)) as answers, store.open("a", write=True) as writer:
        for number in range(10, 15):
            before = len(answers)
            writer.upsert(make_points(number))
            wait_until(lambda before=before: len(answers) >= before + 10)
    assert count(kept) == 15


def test_searches_that_wait_together_give_up(
    store: EmbeddedStore, kept: PooledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(StoreInUse) as raised:
            count(kept)
        refused.append(str(raised.value))

    count(kept)
    with store.open("a"):  # keeps it until it is closed
        monkeypatch.setattr(shard, "READER_WAIT_SECONDS", 0.5)
        threads = [threading.Thread(target=ask) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 10
    monkeypatch.undo()
    assert count(kept) == 10


def test_waiting_for_another_thread_is_part_of_the_wait(
    store: EmbeddedStore, kept: PooledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that those who wait together give up together, and not one after the other."""
    waits: list[float] = []

    def lock(folder: Path, name: str, wait: float) -> Any:
        waits.append(wait)
        raise StoreInUse("not now")

    count(kept)
    with kept.asking("a") as collection, store.open("a"):  # the pool has released the shard
        monkeypatch.setattr(shard, "READER_WAIT_SECONDS", 10.0)
        monkeypatch.setattr(shard, "lock_shard", lock)
        clock = iter([100.0, 107.0])  # when it was called, and when the thread before had given up
        monkeypatch.setattr(shard, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=time.sleep))
        with pytest.raises(StoreInUse, match="not now"):
            collection.count()
        assert waits == [3.0]
        monkeypatch.undo()


def test_a_collection_dropped_or_made_anew_is_noticed(
    store: EmbeddedStore, kept: PooledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "FRESH_SECONDS", 0.0)
    assert count(kept) == 10
    store.drop("a")
    with pytest.raises(CollectionNotFound):
        count(kept)
    with store.create("a", make_facts(8, 4, root="elsewhere")) as collection:
        collection.upsert(make_points(1, 2))
    assert count(kept) == 2
    with kept.asking("a") as collection:
        assert collection.metadata.root == "elsewhere"


@pytest.fixture
def threads_before() -> frozenset[threading.Thread]:
    """Another test of this process may have left some."""
    return frozenset(threading.enumerate())


def test_closing_the_pool_closes_what_it_opened_and_may_be_done_twice(
    threads_before: frozenset[threading.Thread], kept: PooledStore
) -> None:
    assert count(kept) == 10
    with kept.asking("a") as collection:
        pass
    kept.close()
    kept.close()
    with pytest.raises(ValueError, match="closed"):
        collection.count()
    left = [thread for thread in threading.enumerate() if thread not in threads_before]
    assert not [thread for thread in left if thread.name == "yield-lock"]


def test_names_that_nothing_has_take_no_memory(kept: PooledStore) -> None:
    for number in range(10):
        with pytest.raises(CollectionNotFound), kept.asking(f"no {number}"):
            pass
    assert not kept._slots


def test_a_collection_in_use_is_closed_after_its_last_user(
    store: EmbeddedStore, kept: PooledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "FRESH_SECONDS", 0.0)
    with kept.asking("a") as old:
        with store.open("a", write=True) as writer:
            writer.save(make_facts(8, 4, updated="later"))
        monkeypatch.setattr(old, "metadata", METADATA)  # as if it had not been opened since
        with kept.asking("a") as new:
            assert new is not old
        assert old.count() == 10
    with pytest.raises(ValueError, match="closed"):
        old.count()


def test_models_are_loaded_once_whatever_the_number_of_threads(kept: PooledStore) -> None:
    loaded: list[str] = []
    all_started = threading.Event()

    class Loading(EmbeddedStore):
        def words(self, metadata: CollectionMetadata) -> Any:
            loaded.append("words")
            assert all_started.wait(60)
            return object()

    slow = PooledStore(Loading(Path(kept.where)))
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(slow.words(METADATA))) for _ in range(8)]
    for thread in threads:
        thread.start()
    all_started.set()
    for thread in threads:
        thread.join()
    assert loaded == ["words"]
    assert len(set(map(id, got))) == 1
