"""The embedded store among full disks and damage. What it answers is in the congruence suite."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import qdrant_edge as edge

from ingest.errors import CollectionNotFound, StoreDamaged, StoreError, StoreInUse
from ingest.records import CollectionMetadata
from ingest.stores import CLASSES, VISUAL, Collection, Point, SparseVector
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.embedded.checking import SHARD
from ingest.stores.embedded.engine import edge_errors
from ingest.stores.embedded.record import COPY_FILE, METADATA_FILE
from model.errors import DiskFull
from tests.ingest.batches import METADATA, WIDTH, points

# Damage


def write_record(folder: Path, data: bytes) -> None:
    """In place of both files of it."""
    for file in (METADATA_FILE, COPY_FILE):
        (folder / file).write_bytes(data)


def recorded(folder: Path, **changes: Any) -> dict[str, Any]:
    """A record of an earlier version, without seal and checksum."""
    record = {**json.loads((folder / METADATA_FILE).read_bytes()), **changes}
    return {key: value for key, value in record.items() if key not in ("check", "seal")}


@pytest.mark.parametrize("lost", ["a segment", "a point"])
def test_points_that_vanished_without_a_seal_are_noticed(
    store: EmbeddedStore, folder: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    write_record(folder, json.dumps(recorded(folder, points=65 if lost == "a point" else 64)).encode())
    if lost == "a segment":
        shutil.rmtree(next((folder / SHARD / "segments").iterdir()))
    with pytest.raises(StoreDamaged, match=r"should hold 6[45] points and holds (0|16|64): `ingest check --repair"):
        store.open("a")
    with store.open("a", write=True) as collection:
        collection.upsert(points(0, 64))
    assert "collection 'a' has lost " in capsys.readouterr().err
    with store.open("a") as collection:
        assert collection.count() == 64
        assert collection.labels() == {"l0": 22, "l1": 21, "l2": 21}


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"7", b"\xff\xfe\x00", b"null"])
def test_a_record_that_is_garbage(store: EmbeddedStore, folder: Path, garbage: bytes) -> None:
    write_record(folder, garbage)
    calls: list[Callable[[str], Any]] = [store.open, store.metadata, store.summary, store.drop]
    for call in calls:
        with pytest.raises(StoreDamaged, match="remove its folder and run `ingest run` again") as raised:
            call("a")
        assert str(folder) in str(raised.value)
    assert (folder / SHARD).is_dir()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "has format 99, written by wordsight"),
        ({"format": None}, "was not made by this program"),
        ({"vectors": None}, "was not made by this program"),
        ({"kind": None}, "was not made by this program"),
    ],
)
def test_a_record_of_something_else(store: EmbeddedStore, folder: Path, changes: dict[str, Any], message: str) -> None:
    record = recorded(folder, **changes)
    kept = {key: value for key, value in record.items() if value is not None or key == "format"}
    write_record(folder, json.dumps(kept).encode())
    with pytest.raises(StoreError, match=message):
        store.open("a")


def test_a_shard_that_is_gone(store: EmbeddedStore, folder: Path) -> None:
    shutil.rmtree(folder / SHARD)
    for write in (False, True):
        with pytest.raises(StoreDamaged, match=r"is damaged: segments changed or missing: `ingest check --repair"):
            store.open("a", write=write)


def test_a_segment_cut_short(store: EmbeddedStore, folder: Path) -> None:
    segment = next((folder / SHARD / "segments").iterdir())
    (segment / "segment.json").write_bytes(b"{")
    with pytest.raises(StoreDamaged, match=r"'a' in .* is damaged"):
        store.open("a")


# What is acknowledged


def flushed_operations(folder: Path) -> int:
    """How many operations of its log the engine has brought to the disk."""
    return int(json.loads((folder / SHARD / "wal/first-index").read_bytes())["ack_index"])


def test_what_is_acknowledged_survives_a_power_cut(store: EmbeddedStore, folder: Path, tmp_path: Path) -> None:
    """Each call is flushed; a cut loses what is only in the log, so here all of the log is lost."""
    with store.open("a", write=True) as collection:
        before = flushed_operations(folder)
        collection.upsert(points(100, 3))
        assert flushed_operations(folder) == before + 1
        collection.set_vectors(VISUAL, [UUID(int=100)], np.ones((1, WIDTH), np.float32))
        assert flushed_operations(folder) == before + 2
        collection.delete([UUID(int=101)])
        assert flushed_operations(folder) == before + 3
        shutil.copytree(folder / SHARD, tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "wal")
    cut = edge.EdgeShard.load(str(tmp_path / "cut"))
    found = cut.retrieve([str(UUID(int=number)) for number in (100, 101, 102)], True, True)
    assert sorted(record.payload["i"] for record in found) == [100, 102]


def test_sparse_vectors_survive_a_power_cut_too(root: Path) -> None:
    store = EmbeddedStore(root)
    evidence = SparseVector(np.array([1, 7], np.uint32), np.array([0.25, 0.5], np.float32))
    made = [replace(point, sparse={CLASSES: evidence}) for point in points(0, 1)]
    with store.create("a", replace(METADATA, sparse=(CLASSES,))) as collection:
        collection.upsert(made)
        before = flushed_operations(root / "collections/a")
        collection.set_sparse(CLASSES, {made[0].id: evidence})
        assert flushed_operations(root / "collections/a") == before + 1


def test_a_reader_writes_nothing(store: EmbeddedStore) -> None:
    with store.open("a") as reader:
        for call in (
            lambda: reader.upsert(points(100, 1)),
            lambda: reader.delete([UUID(int=0)]),
            lambda: reader.save(METADATA),
            lambda: reader.write_file("f", b""),
        ):
            with pytest.raises(StoreError, match="open for reading: open it with write=True"):
                call()
        assert reader.count() == 64


# Places that do not work


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is a file: name a folder"):
        EmbeddedStore(tmp_path / "file")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "collections").write_text("")
    with pytest.raises(StoreError, match=r"cannot make .*; choose another with --store"):
        EmbeddedStore(tmp_path / "s").create("a", METADATA)


def test_a_writer_that_may_not_write(store: EmbeddedStore, folder: Path) -> None:
    """A read-only folder is none to root: folders in place of the locks stand for it."""
    for lock, write in (("writer.lock", True), ("shard.lock", False)):
        (folder / lock).unlink()
        (folder / lock).mkdir()
        with pytest.raises(StoreError, match=r"cannot write in .*; collection 'a' needs that even to be read"):
            store.open("a", write=write)


def test_a_shard_that_may_not_be_read_is_not_damaged(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything: what the system says to others stands for it."""
    real = Path.stat

    def stat(path: Path, **options: Any) -> os.stat_result:
        if path.parent == folder / "shard":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    for write in (False, True):
        with pytest.raises(StoreError, match=r"needs to read and write there .* Permission denied.*segments") as raised:
            store.open("a", write=write)
        assert type(raised.value) is StoreError


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(store: EmbeddedStore, folder: Path) -> None:
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with pytest.raises(StoreError, match=r"cannot write in|needs to read and write there"):
            store.open("a")
    finally:
        for path in everything:
            path.chmod(0o755)


class PanicException(BaseException):
    """As the engine raises where Rust panicked: no `Exception`, known by its name only."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (Exception("open failed: Read-only file system (os error 30)"), StoreError, "copy the store to a disk"),
        (Exception("open failed: Permission denied (os error 13)"), StoreError, "Permission denied"),
        (Exception("write: No space left on device (os error 28)"), DiskFull, "make room and run again"),
        (Exception("Can't init WAL: Os { code: 28, kind: StorageFull }"), DiskFull, "make room and run again"),
        (Exception("Can't init WAL: Os { code: 27, kind: FileTooLarge }"), StoreError, "raise `ulimit -f`"),
        (Exception("open failed: Too many open files (os error 24)"), StoreError, "raise `ulimit -n`"),
        (Exception("mmap: Cannot allocate memory (os error 12)"), StoreError, "close other programs"),
        (Exception("read: Input/output error (os error 5)"), StoreError, "the disk does not read or write"),
        (Exception("read: Stale file handle (os error 116)"), StoreError, "Stale file handle: try again"),
        (PanicException("called unwrap on: Input/output error (os error 5)"), StoreError, "see the system's log"),
        (OSError(5, "Input/output error"), StoreError, "the disk does not read or write"),
        (OSError(24, "Too many open files"), StoreError, "raise `ulimit -n`"),
        (OSError(12, "Cannot allocate memory"), StoreError, "close other programs"),
        (PermissionError(13, "Permission denied"), StoreError, "copy the store to a disk"),
        (FileNotFoundError(2, "No such file or directory"), StoreError, "No such file or directory: try again"),
        (
            Exception("open: No such file or directory (os error 2)"),
            StoreDamaged,
            "`ingest check --repair -c a` mends it",
        ),
        (Exception("long " * 100 + "end"), StoreDamaged, "long end)"),
        (Exception("Can't init WAL: Kind(WouldBlock)"), StoreInUse, "in use by another program"),
        (Exception("something\n  else"), StoreDamaged, "(something else)"),
        (PanicException("index out of bounds"), StoreDamaged, "index out of bounds"),
        (StoreInUse("as it was"), StoreInUse, "as it was"),
    ],
)
def test_errors_of_the_engine_are_translated(tmp_path: Path, error: BaseException, kind: type, message: str) -> None:
    with pytest.raises(kind) as raised, edge_errors(tmp_path, "a"):
        raise error
    assert type(raised.value) is kind
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert ("`ingest check --repair -c a` mends it" in str(raised.value)) == (kind is StoreDamaged)
    assert "remove" not in str(raised.value)


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
            lambda: store.create("b", METADATA),
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
    """Of blocks with something in them: where the temporary folder lies in memory, holes that were read are allocated.
    Without the log, whose size comes and goes."""
    files = [path.read_bytes() for path in (folder / SHARD / "segments").rglob("*") if path.is_file()]
    blocks = [data[start : start + 4096] for data in files for start in range(0, len(data), 4096)]
    return 4096 * sum(bool(block.strip(b"\0")) for block in blocks)


def test_the_space_of_deleted_points_comes_back(root: Path) -> None:
    store = EmbeddedStore(root)
    folder = root / "collections" / "a"
    matrix = np.random.default_rng(0).standard_normal((1000, 512)).astype(np.float32)
    ids = [UUID(int=i) for i in range(1000)]
    with store.create("a", CollectionMetadata("pictures", {VISUAL: 512}, "glove", "00")) as collection:
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


CALLS: dict[str, Callable[[Collection], object]] = {
    "upsert": lambda collection: collection.upsert(points(100, 1)),
    "save": lambda collection: collection.save(METADATA),
    "write_file": lambda collection: collection.write_file("projection", b"x"),
    "count": lambda collection: collection.count(),
    "close": lambda collection: collection.close(),
}


@pytest.mark.parametrize("first", CALLS)
def test_a_store_moved_away_under_its_writer(store: EmbeddedStore, root: Path, first: str) -> None:
    """Whatever is called first raises it, and nothing is made under the old name."""
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


def test_a_drop_that_was_killed_shows_nothing_and_is_swept_by_the_next(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("model.system.atomic.shutil.rmtree", lambda *_, **__: None)  # killed before a file went
    store.drop("a")
    monkeypatch.undo()
    (left,) = folder.parent.iterdir()
    assert f"files of 'a' could not be removed, and still take room: remove {left}" in capsys.readouterr().err
    assert (left / METADATA_FILE).exists()
    assert store.names() == []
    scope, _, token = left.name.split(".")[-2].split("-")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    left.rename(left.with_name(f".a.{scope}-{dead.pid}-{token}.tmp"))
    store.create("b", METADATA).close()
    assert [path.name for path in folder.parent.iterdir()] == ["b"]
    (folder.parent / f".a.{scope}-{dead.pid}-{token}.tmp").mkdir()
    store.drop("b")
    assert list(folder.parent.iterdir()) == []


def test_dropping_leaves_nothing(store: EmbeddedStore, folder: Path) -> None:
    with store.open("a", write=True) as collection:
        collection.write_file("f", b"1")
    store.drop("a")
    assert not folder.exists()
    assert store.names() == []
