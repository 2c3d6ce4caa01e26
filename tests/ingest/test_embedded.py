"""The embedded store among processes, kills, full disks and damage. What it answers is in the congruence suite."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest

from ingest import shard
from ingest.embedded import EmbeddedStore
from ingest.engine import edge_errors
from ingest.facts import Facts
from ingest.shard import FACTS_FILE, SHARD, EmbeddedCollection
from ingest.store import VISUAL, Filter, Point, Vector
from model.cache import folder_bytes
from model.errors import CollectionNotFound, DiskFull, StoreDamaged, StoreError, StoreInUse

REPOSITORY = Path(__file__).parents[2]
WIDTH = 32
FACTS = Facts(kind="pictures", vectors={VISUAL: WIDTH}, words="glove", words_sha256="00")
ANSWER_SECONDS = 5
BATCH = 16


def vector(number: int) -> Vector:
    return np.random.default_rng(number).standard_normal(WIDTH).astype(np.float32)


def points(start: int, count: int) -> list[Point]:
    return [
        Point(UUID(int=i), {VISUAL: vector(i)}, {"i": i, "label": f"l{i % 3}"}) for i in range(start, start + count)
    ]


PRELUDE = f"""
import sys, time
from pathlib import Path
from uuid import UUID
import numpy as np
from ingest.embedded import EmbeddedStore
from ingest.facts import Facts
from ingest.store import VISUAL, Point
from model.cache import folder_bytes

WIDTH, BATCH = {WIDTH}, {BATCH}
store = EmbeddedStore(Path(sys.argv[1]))

def say(*words):
    print(*words, flush=True)

def vector(number):
    return np.random.default_rng(number).standard_normal(WIDTH).astype(np.float32)

def points(start, count):
    payload = lambda i: {{"i": i, "label": f"l{{i % 3}}"}}
    return [Point(UUID(int=i), {{VISUAL: vector(i)}}, payload(i)) for i in range(start, start + count)]
"""

WRITE = """
start, batches, pause = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
with store.open("a", write=True) as collection:
    say("open")
    for batch in range(batches):
        collection.upsert(points(start + BATCH * batch, BATCH))
        say("ack", start + BATCH * batch)
        time.sleep(pause)
say("closed")
"""

READ = """
say("ready")
for line in sys.stdin:
    start = time.monotonic()
    with store.open("a") as collection:
        hits = collection.search(VISUAL, vector(3), 5)
        found = collection.count()
    say(time.monotonic() - start, found, hits[0].id.int)
"""

READ_AND_HOLD = """
with store.open("a") as collection:
    say("open")
    sys.stdin.readline()
"""

READ_WITHOUT_END = """
say("ready")
answers = 0
while True:
    with store.open("a") as collection:
        collection.search(VISUAL, vector(3), 5)
    answers += 1
    if answers % 10 == 1:
        say(answers)
"""


class Process(NamedTuple):
    popen: subprocess.Popen[str]

    def line(self) -> str:
        if self.popen.stdout is None:
            raise ValueError("no pipe")
        return self.popen.stdout.readline().strip()

    def ask(self) -> list[str]:
        if self.popen.stdin is None:
            raise ValueError("no pipe")
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()
        return self.line().split()

    def kill(self) -> str:
        """Kill -9, and return what it said that was not read yet."""
        self.popen.send_signal(signal.SIGKILL)
        return self.popen.communicate()[0]


Start = Callable[..., Process]


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """Start a script in a process of its own; all of them are gone when the test is over."""
    with _processes() as running:

        def start(script: str, *arguments: object) -> Process:
            command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script), str(root), *map(str, arguments)]
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
            pipe = subprocess.PIPE
            popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
            running.append(popen)
            return Process(popen)

        yield start


@contextmanager
def _processes() -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    try:
        yield running
    finally:
        for popen in running:
            popen.kill()
            popen.communicate()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def store(root: Path) -> EmbeddedStore:
    """With a collection "a" of 64 points."""
    store = EmbeddedStore(root)
    with store.create("a", FACTS) as collection:
        for first in range(0, 64, BATCH):
            collection.upsert(points(first, BATCH))
    return store


@pytest.fixture
def folder(store: EmbeddedStore, root: Path) -> Path:
    return root / "collections" / "a"


# Taking turns


def test_a_second_writer_is_told(store: EmbeddedStore, start: Start) -> None:
    writer = start(WRITE, 0, 1000, 0.05)
    assert writer.line() == "open"
    begin = time.monotonic()
    for call in (lambda: store.open("a", write=True), lambda: store.drop("a")):
        with pytest.raises(StoreInUse, match="'a' is being written by another process: wait until that ends"):
            call()
    assert time.monotonic() - begin < 2
    writer.kill()
    store.open("a", write=True).close()


def test_what_a_killed_process_left_of_the_engines_own_writes_goes(store: EmbeddedStore, folder: Path) -> None:
    left = folder / "shard" / "wal" / ".atomicwrites72JEs"
    left.mkdir()
    (left / "tmpfile.tmp").write_bytes(b"half")
    with store.open("a") as reader:
        assert reader.count() == 64
    assert left.exists()  # a reader changes nothing
    with store.open("a", write=True) as writer:
        assert writer.count() == 64
    assert not left.exists()


def test_a_second_writer_in_the_same_process_is_told(store: EmbeddedStore) -> None:
    with store.open("a", write=True), pytest.raises(StoreInUse):
        store.open("a", write=True)
    store.open("a", write=True).close()


def test_a_reader_is_answered_while_a_writer_is_busy(store: EmbeddedStore, start: Start) -> None:
    writer, reader = start(WRITE, 0, 40, 0.0), start(READ)
    assert reader.line() == "ready"
    assert writer.line() == "open"
    answers = [reader.ask() for _ in range(4)]
    assert max(float(seconds) for seconds, _, _ in answers) < ANSWER_SECONDS
    assert {best for _, _, best in answers} == {"3"}
    assert all(int(count) >= 64 for _, count, _ in answers)
    said = [writer.line() for _ in range(41)]
    assert said[-1] == "closed"
    with store.open("a") as collection:
        assert collection.count() == 40 * BATCH


def test_a_reader_is_answered_while_a_writer_thinks(store: EmbeddedStore, start: Start) -> None:
    """A writer that holds the shard and does not come back to it, since it embeds pictures, lets go."""
    reader = start(READ)
    assert reader.line() == "ready"
    with store.open("a", write=True) as collection:
        collection.upsert(points(64, 4))
        seconds, count, _ = reader.ask()
        assert float(seconds) < 2
        assert count == "68"
        collection.upsert(points(68, 4))
        assert reader.ask()[1] == "72"
        assert collection.count() == 72


def test_readers_without_end_do_not_starve_a_writer(store: EmbeddedStore, start: Start) -> None:
    readers = [start(READ_WITHOUT_END) for _ in range(2)]
    assert [reader.line() for reader in readers] == ["ready"] * 2
    begin = time.monotonic()
    with store.open("a", write=True) as collection:
        for batch in range(5):
            collection.upsert(points(64 + batch, 1))
    assert time.monotonic() - begin < 20
    for reader in readers:
        assert reader.line(), "and the readers were answered too"
        reader.kill()
    with store.open("a") as collection:
        assert collection.count() == 69


def test_a_writer_waits_for_a_reader_that_is_slow(store: EmbeddedStore, start: Start) -> None:
    reader = start(READ_AND_HOLD)
    assert reader.line() == "open"
    release = threading.Timer(0.5, reader.kill)
    release.start()
    begin = time.monotonic()
    with store.open("a", write=True) as collection:
        collection.upsert(points(64, 1))
    assert time.monotonic() - begin > 0.3
    release.join()


def test_a_shard_held_for_too_long(store: EmbeddedStore, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "READER_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(shard, "WRITER_WAIT_SECONDS", 0.3)
    reader = start(READ_AND_HOLD)
    assert reader.line() == "open"
    usual = EmbeddedCollection._load
    in_vain = "a load that is refused breaks the files of whoever has the shard"
    monkeypatch.setattr(EmbeddedCollection, "_load", lambda *_: pytest.fail(in_vain))
    for write in (False, True):
        with pytest.raises(StoreInUse, match="'a' is in use by another process, for over 0 s: try again later"):
            store.open("a", write=write)
    reader.kill()
    monkeypatch.setattr(EmbeddedCollection, "_load", usual)
    store.open("a", write=True).close()  # the failed attempt holds nothing


def test_threads_may_share_a_collection(store: EmbeddedStore) -> None:
    def write(start: int) -> None:
        for batch in range(5):
            collection.upsert(points(start + BATCH * batch, BATCH))
            counts.append(collection.count())

    counts: list[int] = []
    with store.open("a", write=True) as collection:
        threads = [threading.Thread(target=write, args=(1000 * (i + 1),)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert collection.count() == 64 + 3 * 5 * BATCH
    assert len(counts) == 15


# Kills


def acknowledged(said: str) -> list[int]:
    return [int(line.split()[1]) for line in said.splitlines() if line.startswith("ack")]


def check_whole(store: EmbeddedStore, acks: list[int]) -> None:
    """All points of acknowledged batches are there with their vectors; of another batch, all or none."""
    with store.open("a") as collection:
        found = {point.id.int: point for page in collection.scroll((VISUAL,)) for point in page}
    for first in acks:
        for i in range(first, first + BATCH):
            want = vector(i) / np.linalg.norm(vector(i))
            np.testing.assert_allclose(found[i].vectors[VISUAL], want, atol=1e-6)
            assert found[i].payload == {"i": i, "label": f"l{i % 3}"}
    assert len(found) % BATCH == 0


def test_a_kill_loses_nothing_that_was_acknowledged(store: EmbeddedStore, start: Start) -> None:
    acks = list(range(0, 64, BATCH))
    for round in range(1, 4):
        writer = start(WRITE, 10_000 * round, 100_000, 0.0)
        said = [writer.line() for _ in range(2 + 3 * round)]
        time.sleep(0.007 * round)  # somewhere within a batch
        new = acknowledged("\n".join([*said, writer.kill()]))
        assert len(new) > 3 * round
        acks += new
        check_whole(store, acks)
    with store.open("a", write=True) as collection:
        collection.upsert(points(0, BATCH))
        assert collection.labels().keys() == {"l0", "l1", "l2"}
        assert collection.count(Filter(labels=("l0",))) > 0


def test_a_collection_whose_making_was_killed_is_made_anew(root: Path) -> None:
    """Killed before the facts were written, or while it was dropped, which removes the facts first."""
    store = EmbeddedStore(root)
    with store.create("a", FACTS) as collection:
        collection.upsert(points(0, 5))
    (root / "collections" / "a" / FACTS_FILE).unlink()
    assert store.names() == []
    with pytest.raises(CollectionNotFound):
        store.open("a")
    narrow = Facts(kind="pictures", vectors={VISUAL: 3}, words="glove", words_sha256="00")
    with store.create("a", narrow) as collection:
        assert collection.count() == 0
        collection.upsert([Point(UUID(int=1), {VISUAL: np.ones(3, np.float32)}, {"label": "x"})])
        assert collection.labels() == {"x": 1}
    assert store.summary("a").points == 1


# Damage


def remove_a_segment(folder: Path) -> None:
    shutil.rmtree(next((folder / SHARD / "segments").iterdir()))


def change_the_count(folder: Path) -> None:
    record = json.loads((folder / FACTS_FILE).read_bytes())
    (folder / FACTS_FILE).write_text(json.dumps({**record, "points": 65}))


@pytest.mark.parametrize("damage", [remove_a_segment, change_the_count])
def test_points_that_vanished_are_noticed(
    store: EmbeddedStore, folder: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    damage(folder)
    with pytest.raises(StoreDamaged, match=r"should hold 6[45] points and holds (16|64): `ingest run`"):
        store.open("a")
    with caplog.at_level(logging.WARNING), store.open("a", write=True) as collection:
        collection.upsert(points(0, 64))
    assert "has lost" in caplog.text
    with store.open("a") as collection:
        assert collection.count() == 64
        assert collection.labels() == {"l0": 22, "l1": 21, "l2": 21}


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"7", b"\xff\xfe\x00", b"null"])
def test_a_record_that_is_garbage(store: EmbeddedStore, folder: Path, garbage: bytes) -> None:
    (folder / FACTS_FILE).write_bytes(garbage)
    calls: list[Callable[[str], Any]] = [store.open, store.facts, store.summary, store.drop]
    for call in calls:
        with pytest.raises(StoreDamaged, match="remove its folder and run `ingest run` again") as raised:
            call("a")
        assert str(folder) in str(raised.value)
    assert (folder / SHARD).is_dir()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 99}, "is of format 99, this version reads 1: upgrade"),
        ({"format": None}, "is of format None"),
        ({"vectors": None}, "was not made by this program"),
        ({"kind": None}, "was not made by this program"),
    ],
)
def test_a_record_of_something_else(store: EmbeddedStore, folder: Path, changes: dict[str, Any], told: str) -> None:
    record = {**json.loads((folder / FACTS_FILE).read_bytes()), **changes}
    kept = {key: value for key, value in record.items() if value is not None or key == "format"}
    (folder / FACTS_FILE).write_text(json.dumps(kept))
    with pytest.raises(StoreError, match=told):
        store.open("a")


def test_a_shard_that_is_gone(store: EmbeddedStore, folder: Path) -> None:
    shutil.rmtree(folder / SHARD)
    for write in (False, True):
        with pytest.raises(StoreDamaged, match=r"is damaged .*: remove that folder and run `ingest run` again"):
            store.open("a", write=write)


def test_a_segment_cut_short(store: EmbeddedStore, folder: Path) -> None:
    segment = next((folder / SHARD / "segments").iterdir())
    (segment / "segment.json").write_bytes(b"{")
    with pytest.raises(StoreDamaged, match=r"'a' in .* is damaged"):
        store.open("a")


# Places that do not work


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is a file: name a folder"):
        EmbeddedStore(tmp_path / "file")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "collections").write_text("")
    with pytest.raises(StoreError, match=r"cannot make .*; choose another with --store"):
        EmbeddedStore(tmp_path / "s").create("a", FACTS)


def test_a_writer_that_may_not_write(store: EmbeddedStore, folder: Path) -> None:
    """A read-only folder is none to root: folders in place of the locks stand for it."""
    for lock, write in (("writer.lock", True), ("shard.lock", False)):
        (folder / lock).unlink()
        (folder / lock).mkdir()
        with pytest.raises(StoreError, match=r"cannot write in .*; collection 'a' needs that even to be read"):
            store.open("a", write=write)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(store: EmbeddedStore, folder: Path) -> None:
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with pytest.raises(StoreError, match=r"cannot write in|needs to write there"):
            store.open("a")
    finally:
        for path in everything:
            path.chmod(0o755)


class PanicException(BaseException):
    """As the engine raises where Rust panicked: no `Exception`, told by its name only."""


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (Exception("open failed: Read-only file system (os error 30)"), StoreError, "copy the store to a disk"),
        (Exception("open failed: Permission denied (os error 13)"), StoreError, "Permission denied"),
        (Exception("write: No space left on device (os error 28)"), DiskFull, "make room and run again"),
        (Exception("Can't init WAL: Os { code: 28, kind: StorageFull }"), DiskFull, "make room and run again"),
        (Exception("Can't init WAL: Os { code: 27, kind: FileTooLarge }"), StoreError, "raise `ulimit -f`"),
        (Exception("open failed: Too many open files (os error 24)"), StoreError, "raise `ulimit -n`"),
        (Exception("Can't init WAL: Kind(WouldBlock)"), StoreInUse, "in use by another program"),
        (Exception("something\n  else"), StoreDamaged, "(something else)"),
        (PanicException("index out of bounds"), StoreDamaged, "index out of bounds"),
        (StoreInUse("as it was"), StoreInUse, "as it was"),
    ],
)
def test_errors_of_the_engine_are_translated(tmp_path: Path, error: BaseException, kind: type, told: str) -> None:
    with pytest.raises(kind) as raised, edge_errors(tmp_path, "a"):
        raise error
    assert type(raised.value) is kind
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(2), MemoryError(), BaseException("unknown")])
def test_what_is_not_the_engine_s_passes(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, edge_errors(tmp_path, "a"):
        raise error
    assert raised.value is error


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    usage = shutil.disk_usage("/")

    def fill() -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=60 * 2**20))

    return fill


def test_a_full_disk_is_foreseen(
    store: EmbeddedStore, folder: Path, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.open("a", write=True) as collection:
        collection.write_file("f", b"old")
        before = [(point.id, point.payload) for page in collection.scroll() for point in page]
        vectors = collection.retrieve([UUID(int=0)], [VISUAL])[UUID(int=0)].vectors[VISUAL]
        full_disk()
        for call in (
            lambda: collection.upsert(points(60, 10)),
            lambda: collection.set_vectors(VISUAL, [UUID(int=0)], np.ones((1, WIDTH), np.float32)),
            lambda: collection.write_file("f", b"new"),
            lambda: store.create("b", FACTS),
        ):
            with pytest.raises(DiskFull, match=r"60 MB left on the disk of .*: make room, or choose another disk"):
                call()
        after = [(point.id, point.payload) for page in collection.scroll() for point in page]
        assert after == before
        np.testing.assert_array_equal(
            collection.retrieve([UUID(int=0)], [VISUAL])[UUID(int=0)].vectors[VISUAL], vectors
        )
        assert collection.read_file("f") == b"old"
    assert store.names() == ["a"]
    with pytest.raises(DiskFull, match="60 MB left"):
        store.open("a")  # the engine would die of it
    monkeypatch.undo()
    with store.open("a") as collection:
        assert collection.count() == 64


# Space


def segment_bytes(folder: Path) -> int:
    """Without the log, whose size comes and goes."""
    return folder_bytes(folder / SHARD / "segments")


def test_the_space_of_deleted_points_comes_back(root: Path) -> None:
    store = EmbeddedStore(root)
    folder = root / "collections" / "a"
    matrix = np.random.default_rng(0).standard_normal((1000, 512)).astype(np.float32)
    ids = [UUID(int=i) for i in range(1000)]
    with store.create("a", Facts("pictures", {VISUAL: 512}, "glove", "00")) as collection:
        collection.upsert([Point(id, {VISUAL: row}, {}) for id, row in zip(ids, matrix, strict=True)])
    full = segment_bytes(folder)
    with store.open("a", write=True) as collection:
        collection.delete(ids[:150])
    assert segment_bytes(folder) > 0.95 * full, "a few are not worth it"
    with store.open("a", write=True) as collection:
        collection.delete(ids[150:800])
    assert segment_bytes(folder) < 0.4 * full
    with store.open("a") as collection:
        assert collection.count() == 200
        assert [hit.id for hit in collection.search(VISUAL, matrix[900], 1)] == [ids[900]]


def test_compacting_can_wait_for_a_disk_with_room(
    store: EmbeddedStore, folder: Path, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.open("a", write=True) as collection:
        collection.delete([UUID(int=i) for i in range(60)])
        full_disk()
    monkeypatch.undo()
    assert store.summary("a").points == 4
    with store.open("a") as collection:
        assert collection.count() == 4


# Closing


def test_closing_twice_and_after_an_error(store: EmbeddedStore) -> None:
    collection = store.open("a", write=True)
    collection.close()
    collection.close()
    nan = Point(UUID(int=99), {VISUAL: np.full(WIDTH, np.nan, np.float32)}, {})
    with pytest.raises(ValueError, match="finite"), store.open("a", write=True) as collection:
        collection.upsert([*points(64, 1), nan])
    with store.open("a", write=True) as collection:
        collection.upsert(points(64, 1))
    assert store.summary("a").points == 65
    store.open("a", write=True).close()


CALLS: dict[str, Callable[[EmbeddedCollection], object]] = {
    "upsert": lambda collection: collection.upsert(points(100, 1)),
    "save": lambda collection: collection.save(FACTS),
    "write_file": lambda collection: collection.write_file("projection", b"x"),
    "count": lambda collection: collection.count(),
    "close": lambda collection: collection.close(),
}


@pytest.mark.parametrize("first", CALLS)
def test_a_store_moved_away_under_its_writer(store: EmbeddedStore, root: Path, first: str) -> None:
    """Whatever is called first tells it, and nothing comes into being under the old name."""
    with store.open("a") as collection:
        there = collection.count()
    moved = store.open("a", write=True)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(CollectionNotFound, match="--store names the new place"):
        CALLS[first](moved)
    if first != "close":
        with pytest.raises(CollectionNotFound, match="--store names the new place"):
            moved.close()
    assert not root.exists()
    with EmbeddedStore(root.with_name("elsewhere")).open("a", write=True) as found:
        assert found.count() == there


def test_dropping_leaves_nothing(store: EmbeddedStore, folder: Path) -> None:
    with store.open("a", write=True) as collection:
        collection.write_file("f", b"1")
    store.drop("a")
    assert not folder.exists()
    assert store.names() == []
