"""The mark that keeps a second run out of a server's collection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ingest.collection import Options, creation
from ingest.errors import StoreInUse
from ingest.pipeline import repair, reproject, retry_failures, run_folder
from ingest.pipeline.checking import Checked
from ingest.records import CollectionMetadata, Pending
from ingest.stores import VISUAL, Collection, Point
from ingest.stores.server import ServerStore, lease
from ingest.stores.server.fault import Fault, Kind
from ingest.stores.server.lease import Lease, this_process
from ingest.stores.server.records import Records
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


def mark(store: ServerStore, name: str = "a", *, beat: int = 1, **held: Any) -> None:
    """As another process leaves it, one of another machine where nothing else is said."""
    holder = {**this_process(), "host": "elsewhere", "pid": 1, "token": "other", "at": time.time(), **held}
    Records(store._requests, name).write("lease", {"lease": ["other", f"other/{beat}"], "holder": holder})


def holder(store: ServerStore, name: str = "a") -> dict[str, Any] | None:
    record = Records(store._requests, name).read("lease")
    return record["holder"] if record else None


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Watching a mark takes no time; each of these happens at one of the looks."""
    happens: list[Callable[[], object]] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if happens:
            happens.pop(0)()

    monkeypatch.setattr(lease, "time", SimpleNamespace(time=time.time, monotonic=lambda: clock[0], sleep=sleep))
    return happens


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
    mark(store, "photos")
    with pytest.raises(StoreInUse, match="'photos' is being written by another process, 1 on elsewhere"):
        RUNS[run](store, photos)
    assert store.open("photos").count() == 0


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
    whole, real = half_made(store), Lease.__enter__

    def enter(self: Lease) -> Lease:
        store.open("b").save(whole)
        return real(self)

    monkeypatch.setattr(Lease, "__enter__", enter)
    store.drop_unfinished("b")
    assert store.names() == ["a", "b"]


def test_a_collection_that_has_pictures_is_not_dropped_whatever_it_says(store: ServerStore) -> None:
    half_made(store)
    store.open("b").upsert([Point(UUID(int=7), {VISUAL: np.ones(4, np.float32)}, {})])
    store.drop_unfinished("b")
    assert store.open("b").count() == 1


@pytest.mark.parametrize(("age", "refused"), [(1, True), (1000, False)])
def test_a_collection_is_its_makers_before_the_lease_is(
    store: ServerStore, watched: list[Callable[[], object]], age: int, refused: bool
) -> None:
    """Of two first runs at once, one has made it and not yet its lease: it is no remains of a killed one."""
    maker = ServerStore(store.client, "memory")
    maker._process = {**this_process(), "host": "elsewhere", "pid": 5}
    half_made(maker)
    made = store._requests.metadata("b")["wordsight"]
    made["maker"]["at"] -= age
    store.client.update_collection("b", metadata={"wordsight": made})
    if refused:
        with pytest.raises(StoreInUse, match="'b' is being written by another process, 5 on elsewhere"):
            store.drop_unfinished("b")
        with pytest.raises(StoreInUse, match="already exists, and another run may be making it: run again"):
            half_made(store)
        assert store.names() == ["a", "b"]
        return
    store.drop_unfinished("b")
    assert store.names() == ["a"]


def test_a_maker_with_a_wrong_clock_is_seen_at_work(store: ServerStore, watched: list[Callable[[], object]]) -> None:
    maker = ServerStore(store.client, "memory")
    maker._process = {**this_process(), "host": "elsewhere", "pid": 5}
    half_made(maker)
    made = store._requests.metadata("b")["wordsight"]
    made["maker"]["at"] -= 1000
    store.client.update_collection("b", metadata={"wordsight": made})
    watched += [lambda: None, lambda: mark(store, "b", pid=5, at=time.time() - 1000)]
    with pytest.raises(StoreInUse, match="'b' is being written by another process, 5 on elsewhere"):
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


def dead_process() -> int:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    return dead.pid


def test_a_run_that_was_killed_here_is_in_nobodys_way(store: ServerStore) -> None:
    mark(store, host=socket.gethostname(), pid=dead_process())
    with store.writing("a"):
        pass


def test_a_run_of_the_same_name_and_number_before_a_restart_is_in_nobodys_way(store: ServerStore) -> None:
    mark(store, host=socket.gethostname(), pid=os.getpid())  # in a container, the process killed before had both
    with store.writing("a"):
        pass


@pytest.mark.parametrize("elsewhere", [{"scope": "0badcafe"}, {"host": "elsewhere"}])
def test_a_run_on_another_machine_counts_whatever_its_name_and_number(
    store: ServerStore, elsewhere: dict[str, str]
) -> None:
    mark(store, **{"host": socket.gethostname(), "pid": dead_process(), **elsewhere})
    with pytest.raises(StoreInUse, match="wait until that ends"):
        store.writing("a").__enter__()


def test_a_mark_that_does_not_move_is_taken_over(
    store: ServerStore, watched: list[Callable[[], object]], capsys: pytest.CaptureFixture[str]
) -> None:
    mark(store, at=time.time() - 1000)
    with store.writing("a"):
        assert holder(store)["pid"] == os.getpid()
    said = "1 on elsewhere was writing collection 'a' and may have been killed: it is watched for 60 s before this run"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("away", [-1000, 1000])
def test_a_mark_that_moves_counts_whatever_its_clock(
    store: ServerStore, watched: list[Callable[[], object]], away: int
) -> None:
    mark(store, at=time.time() + away)
    watched += [lambda: None, lambda: mark(store, at=time.time() + away, beat=2)]
    with pytest.raises(StoreInUse, match="1 on elsewhere: wait until that ends"):
        store.writing("a").__enter__()
    assert holder(store)["pid"] == 1


def test_of_two_that_watch_one_has_it(store: ServerStore, watched: list[Callable[[], object]]) -> None:
    mark(store, at=time.time() - 1000)
    other = store.writing("a")
    watched += [lambda: None] * 29 + [lambda: watched.clear() or other.__enter__()]
    with pytest.raises(StoreInUse, match=f"'a' is being written by another process, {os.getpid()} on"):
        store.writing("a").__enter__()
    other.__exit__(None, None, None)


def test_of_two_that_come_at_once_one_has_it(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw that nobody holds it."""
    both_looked, real = threading.Barrier(2), Lease._read
    had: list[str] = []
    refused = threading.Event()

    def read(self: Lease) -> Any:
        found = real(self)
        if self._beat == 0:
            both_looked.wait(60)
        return found

    def run(name: str) -> None:
        try:
            with Lease(Records(store._requests, "a"), "a"):
                had.append(name)
                refused.wait(60)
        except StoreInUse:
            refused.set()

    monkeypatch.setattr(Lease, "_read", read)
    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(had) == 1
    assert holder(store) is None


WRITES: dict[str, Callable[[Collection], object]] = {
    "upsert": lambda it: it.upsert([Point(UUID(int=7), {VISUAL: np.ones(4, np.float32)}, {})]),
    "set_vectors": lambda it: it.set_vectors(VISUAL, [UUID(int=7)], np.ones((1, 4), np.float32)),
    "set_payloads": lambda it: it.set_payloads({UUID(int=7): {}}),
    "delete": lambda it: it.delete([UUID(int=7)]),
    "save": lambda it: it.save(it.metadata),
    "write_file": lambda it: it.write_file("f", b"1"),
    "remove_file": lambda it: it.remove_file("f"),
}


@pytest.mark.parametrize("write", WRITES)
def test_who_lost_the_lease_writes_nothing_more(
    store: ServerStore, write: str, watched: list[Callable[[], object]]
) -> None:
    with store.writing("a"), store.open("a", write=True) as collection:
        mark(store)
        lease.time.sleep(26)
        before = store.client.scroll("a", limit=100)
        with pytest.raises(StoreInUse, match=r"another run has taken over collection 'a'.* it has stopped writing"):
            WRITES[write](collection)
        assert store.client.scroll("a", limit=100) == before
    assert holder(store)["host"] == "elsewhere", "who lost it does not take it back, nor away"


def test_a_lease_that_was_renewed_lately_is_not_asked_for(
    store: ServerStore, watched: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.writing("a"), store.open("a", write=True) as collection:
        monkeypatch.setattr(Lease, "_renew", lambda self: pytest.fail("it was asked for"))
        lease.time.sleep(24)
        WRITES["upsert"](collection)


def test_a_request_that_is_tried_again_needs_the_lease_again(
    store: ServerStore, watched: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server was away, another run may have come."""
    tried = []

    def upsert(*_: Any, **__: Any) -> None:
        tried.append(1)
        monkeypatch.undo()
        mark(store)
        monkeypatch.setattr(lease, "time", SimpleNamespace(time=time.time, monotonic=lambda: 1e9))
        monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
        raise Fault(Kind.DOWN, "away")

    with store.writing("a"), store.open("a", write=True) as collection:
        monkeypatch.setattr(store.client, "upsert", upsert)
        with pytest.raises(StoreInUse, match="has taken over"):
            WRITES["upsert"](collection)
    assert tried == [1]
    assert store.open("a").count() == 0


def test_the_mark_is_renewed(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    with store.writing("a"):
        first = holder(store)["at"]
        wait_until(lambda: holder(store)["at"] != first)
    assert holder(store) is None


def test_a_lost_mark_is_noticed_by_the_renewal(store: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    with store.writing("a"):
        mark(store)
        held = store._leases["a"]
        wait_until(lambda: held._is_lost)
        with pytest.raises(StoreInUse, match="has taken over"):
            held.check()


def test_who_writes_for_a_run_elsewhere_waits_for_its_renewals_and_stops_with_it(
    store: ServerStore, watched: list[Callable[[], object]]
) -> None:
    with store.writing("a"):
        held = store._leases["a"]
        assert isinstance(held, Lease)
        borrowed = lease.BorrowedLease(Records(store._requests, "a"), "a", held.token)
        borrowed.check()
        lease.time.sleep(10)
        watched += [lambda: None, held._renew]
        borrowed.check()
        assert watched == []
        borrowed.check()
        mark(store)
        lease.time.sleep(2)
        with pytest.raises(StoreInUse, match="has ended or lost it: no more is written"):
            borrowed.check()
