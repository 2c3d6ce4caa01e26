"""The embedded store among processes and kills: who has the shard's lock when, and what each finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple
from uuid import UUID

import numpy as np
import pytest

from ingest.errors import CollectionNotFound, StoreInUse
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Filter, Point
from ingest.stores.embedded import EmbeddedStore, shard, shard_lock
from ingest.stores.embedded.record import COPY_FILE, METADATA_FILE
from ingest.stores.embedded.shard import Shard
from ingest.stores.embedded.shard_lock import is_awaited
from tests.ingest.batches import BATCH, METADATA, WIDTH, points, vector
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]


PRELUDE = f"""
import sys
from pathlib import Path
from uuid import UUID
import numpy as np
from ingest.stores.embedded import EmbeddedStore, shard
from ingest.stores import VISUAL, Point

WIDTH, BATCH = {WIDTH}, {BATCH}
shard.READER_WAIT_SECONDS = shard.WRITER_WAIT_SECONDS = 120.0  # a busy machine is no failure
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
start = int(sys.argv[2])
with store.open("a", write=True) as collection:
    say("open")
    while True:
        collection.upsert(points(start, BATCH))
        say("ack", start)
        start += BATCH
"""

WRITE_AND_HOLD = """
with store.open("a", write=True):
    say("open")
    sys.stdin.readline()
"""

READ = """
say("ready")
for line in sys.stdin:
    with store.open("a") as collection:
        hits = collection.search(VISUAL, vector(3), 5)
        found = collection.count()
    say(found, hits[0].id.int)
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


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "READER_WAIT_SECONDS", 120.0)
    monkeypatch.setattr(shard, "WRITER_WAIT_SECONDS", 120.0)


# Sharing the shard


def test_a_second_writer_is_refused_at_once(
    store: EmbeddedStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = start(WRITE_AND_HOLD)
    assert writer.line() == "open"
    monkeypatch.setattr(shard_lock, "_lock_until", lambda *_: pytest.fail("it waits"))
    for call in (lambda: store.open("a", write=True), lambda: store.drop("a")):
        with pytest.raises(StoreInUse, match="'a' is being written by another process: wait until that ends"):
            call()
    monkeypatch.undo()
    writer.kill()
    store.open("a", write=True).close()


def test_what_a_killed_process_left_of_the_engines_own_writes_goes(store: EmbeddedStore, folder: Path) -> None:
    segment = next(path for path in (folder / "shard/segments").iterdir() if path.is_dir())
    inside = next(path for path in segment.iterdir() if path.is_dir())
    left = [place / ".atomicwrites72JEs" for place in (folder / "shard", folder / "shard/wal", segment, inside)]
    for place in left:
        place.mkdir()
        (place / "tmpfile.tmp").write_bytes(b"half")
    (segment / ".atomicwriteK2").write_bytes(b"half")
    with store.open("a") as reader:
        assert reader.count() == 64
    assert all(place.exists() for place in left)  # a reader changes nothing
    with store.open("a", write=True) as writer:
        assert writer.count() == 64
    assert not list(folder.rglob(".atomicwrite*"))


def test_the_lock_of_a_collection_that_was_made_anew_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process waited, the folder was dropped and another made: its lock is another file."""
    wait_for = shard_lock._lock_until

    def made_anew(file: IO[str], deadline: float) -> bool:
        (tmp_path / "shard.lock").unlink()
        (tmp_path / "shard.lock").touch()
        return wait_for(file, deadline)

    monkeypatch.setattr(shard_lock, "_lock_until", made_anew)
    with pytest.raises(CollectionNotFound, match="dropped or moved meanwhile"):
        shard_lock.lock_shard(tmp_path, "a", 1.0)


def test_a_second_writer_in_the_same_process_is_refused(store: EmbeddedStore) -> None:
    with store.open("a", write=True), pytest.raises(StoreInUse):
        store.open("a", write=True)
    store.open("a", write=True).close()


def test_a_reader_is_answered_while_a_writer_is_busy(store: EmbeddedStore, start: Start) -> None:
    writer, reader = start(WRITE, 0), start(READ)
    assert reader.line() == "ready"
    assert writer.line() == "open"
    answers = [reader.ask() for _ in range(4)]  # or none, when it has waited long enough: the writer writes on
    assert {best for _, best in answers} == {"3"}
    counts = [int(count) for count, _ in answers]
    assert counts[0] >= 64
    assert counts == sorted(counts)
    assert writer.popen.poll() is None
    acks = acknowledged(writer.kill())
    with store.open("a") as collection:
        assert collection.count() >= acks[-1] + BATCH


def test_a_reader_is_answered_while_a_writer_thinks(store: EmbeddedStore, start: Start) -> None:
    """A writer that has the shard and does not come back to it, since it embeds pictures, releases it."""
    reader = start(READ)
    assert reader.line() == "ready"
    with store.open("a", write=True) as collection:
        collection.upsert(points(64, 4))
        assert reader.ask()[0] == "68"
        collection.upsert(points(68, 4))
        assert reader.ask()[0] == "72"
        assert collection.count() == 72


def test_readers_without_end_do_not_starve_a_writer(store: EmbeddedStore, start: Start) -> None:
    readers = [start(READ_WITHOUT_END) for _ in range(2)]
    assert [reader.line() for reader in readers] == ["ready"] * 2
    with store.open("a", write=True) as collection:
        for batch in range(5):
            collection.upsert(points(64 + batch, 1))
    for reader in readers:
        assert reader.line(), "and the readers were answered too"
        reader.kill()
    with store.open("a") as collection:
        assert collection.count() == 69


def test_a_writer_waits_for_a_reader_that_is_slow(store: EmbeddedStore, folder: Path, start: Start) -> None:
    reader = start(READ_AND_HOLD)
    assert reader.line() == "open"
    written = threading.Event()

    def write() -> None:
        with store.open("a", write=True) as collection:
            collection.upsert(points(64, 1))
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: is_awaited(folder, "a"))
    assert not written.is_set()
    reader.kill()
    writer.join()
    assert written.is_set()


def test_a_shard_held_for_too_long(store: EmbeddedStore, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "READER_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(shard, "WRITER_WAIT_SECONDS", 0.3)
    reader = start(READ_AND_HOLD)
    assert reader.line() == "open"
    usual = Shard._engine_shard
    in_vain = "a load that is refused breaks the files of whoever has the shard"
    monkeypatch.setattr(Shard, "_engine_shard", lambda *_: pytest.fail(in_vain))
    for write in (False, True):
        with pytest.raises(StoreInUse, match="'a' is in use by another process, for over 0 s: try again later"):
            store.open("a", write=write)
    reader.kill()
    monkeypatch.setattr(Shard, "_engine_shard", usual)
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
        writer = start(WRITE, 10_000 * round)
        said = [writer.line() for _ in range(2 + 3 * round)]
        new = acknowledged("\n".join([*said, writer.kill()]))  # somewhere within a batch
        assert len(new) > 3 * round
        acks += new
        check_whole(store, acks)
    with store.open("a", write=True) as collection:
        collection.upsert(points(0, BATCH))
        assert collection.labels().keys() == {"l0", "l1", "l2"}
        assert collection.count(Filter(labels=("l0",))) > 0


def test_a_collection_whose_making_was_killed_is_made_anew(root: Path) -> None:
    """Killed before its record was written, or while it was dropped, which removes the record first."""
    store = EmbeddedStore(root)
    with store.create("a", METADATA) as collection:
        collection.upsert(points(0, 5))
    for file in (METADATA_FILE, COPY_FILE):
        (root / "collections" / "a" / file).unlink()
    assert store.names() == []
    with pytest.raises(CollectionNotFound):
        store.open("a")
    narrow = CollectionMetadata(kind="pictures", vectors={VISUAL: 3}, words="glove", words_sha256="00")
    with store.create("a", narrow) as collection:
        assert collection.count() == 0
        collection.upsert([Point(UUID(int=1), {VISUAL: np.ones(3, np.float32)}, {"label": "x"})])
        assert collection.labels() == {"x": 1}
    assert store.summary("a").points == 1
