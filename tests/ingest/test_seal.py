"""The seal of a shard: damage is noticed before the engine reads it, and nothing else is taken for damage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ingest.errors import StoreDamaged
from ingest.stores import VISUAL
from ingest.stores.embedded import EmbeddedStore, seal
from ingest.stores.embedded.checking import find_damage
from ingest.stores.embedded.record import COPY_FILE, METADATA_FILE, Record, read_record
from ingest.stores.embedded.structure import impossible_files
from tests.ingest.batches import WIDTH, points


def one(folder: Path, pattern: str) -> Path:
    return next(folder.glob(f"shard/segments/*/{pattern}"))


def flip(path: Path, place: int, bit: int = 0x40) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    with path.open("rb+") as file:
        file.write(data)


def keeping_time(path: Path, change: Callable[[], None]) -> None:
    status = path.stat()
    change()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


STEERING = [
    "mutable_id_tracker.mappings",
    "vector_storage-visual/vectors/status.dat",
    "segment.json",
    "version.info",
    "payload_storage/config.json",
]


@pytest.mark.parametrize("pattern", STEERING)
def test_what_steers_the_engine_is_read_whatever_its_time_says(
    store: EmbeddedStore, folder: Path, pattern: str
) -> None:
    path = one(folder, pattern)
    keeping_time(path, lambda: flip(path, 3))
    with pytest.raises(StoreDamaged, match=rf"{path.name}.*`ingest check --repair -c a` mends it"):
        store.open("a")
    with pytest.raises(StoreDamaged, match=path.name):
        store.open("a", write=True)


@pytest.mark.parametrize(
    ("name", "size", "is_read"),
    [
        ("segments/1/vector_storage-visual/vectors/chunk_0.mmap", 65_536, True),
        ("segments/1/vector_storage-visual/vectors/chunk_0.mmap", 65_537, False),
        ("segments/1/mutable_id_tracker.mappings", 10_000_000, True),
    ],
)
def test_small_files_and_the_list_of_ids_are_always_read(name: str, size: int, is_read: bool) -> None:
    assert seal._is_always_read(name, size) is is_read


def test_large_files_are_read_when_their_time_changed_and_by_a_thorough_look(
    store: EmbeddedStore, folder: Path
) -> None:
    chunk = one(folder, "vector_storage-visual/vectors/chunk_0.mmap")
    keeping_time(chunk, lambda: flip(chunk, 4 * WIDTH))
    store.open("a").close()
    assert [Path(name).name for name in store.damage("a", thorough=True)] == ["chunk_0.mmap"]
    os.utime(chunk)
    with pytest.raises(StoreDamaged, match=r"chunk_0\.mmap changed or missing"):
        store.open("a")


@pytest.mark.parametrize("pattern", ["payload_storage/tracker.dat", "payload_index/*label-map/tracker.dat"])
def test_a_list_of_zeros_is_damage(store: EmbeddedStore, folder: Path, pattern: str) -> None:
    path = one(folder, pattern)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(StoreDamaged, match=r"tracker\.dat"):
        store.open("a")


def test_a_log_that_is_lost_is_damage(store: EmbeddedStore, folder: Path) -> None:
    """Without it the engine counts its operations from 0 again, and passes over changes of points that are there."""
    shutil.rmtree(folder / "shard/wal")
    with pytest.raises(StoreDamaged, match="wal/first-index"):
        store.open("a", write=True)


def test_a_segment_from_elsewhere_is_damage(store: EmbeddedStore, folder: Path) -> None:
    segment = next((folder / "shard/segments").iterdir())
    shutil.copytree(segment, segment.with_name("0" * 8))
    with pytest.raises(StoreDamaged, match="segments/00000000"):
        store.open("a")


def test_readers_copies_and_changes_are_no_damage(store: EmbeddedStore, folder: Path, tmp_path: Path) -> None:
    for _ in range(3):
        with store.open("a") as reader:
            reader.search(VISUAL, np.ones(WIDTH, np.float32), 3)
            assert reader.labels() == {"l0": 22, "l1": 21, "l2": 21}
    with store.open("a", write=True) as writer:
        writer.upsert(points(60, 10))
        writer.delete([UUID(int=3)])
        writer.set_vectors(VISUAL, [UUID(int=5)], np.ones((1, WIDTH), np.float32))
        with store.open("a") as between:
            assert between.count() == 69
    store.open("a").close()
    shutil.copytree(store.root, tmp_path / "copy")  # holes filled, times new
    assert EmbeddedStore(tmp_path / "copy").damage("a", thorough=True) == []
    assert impossible_files(folder / "shard", is_settled=True) == []


def test_a_copied_store_is_read_once(store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "RESTAMP_BYTES", 0)
    for path in (folder / "shard").rglob("*"):
        os.utime(path, ns=(0, 0))
    record = Record.from_json(read_record(folder), "a")
    read: list[str] = []
    check_of = seal.check_of
    monkeypatch.setattr(seal, "check_of", lambda path: read.append(Path(path).name) or check_of(path))
    assert find_damage(folder, record) == []
    assert "chunk_0.mmap" in read
    read.clear()
    assert find_damage(folder, record) == []
    assert "chunk_0.mmap" not in read


def test_a_seal_that_is_lost_or_forged_is_damage(store: EmbeddedStore, folder: Path) -> None:
    sealed = json.loads((folder / seal.SEAL_FILE).read_text())
    sealed[next(iter(sealed))][2] += 1
    (folder / seal.SEAL_FILE).write_text(json.dumps(sealed))
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=r"seal\.json changed or missing: `ingest check --repair -c a`"):
            store.open("a")
        (folder / seal.SEAL_FILE).unlink(missing_ok=True)
    assert store.damage("a") == ["seal.json"]


@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_a_damaged_record_is_read_from_its_copy_and_written_anew(
    store: EmbeddedStore, folder: Path, damage: bytes | None
) -> None:
    whole = (folder / METADATA_FILE).read_bytes()
    if damage is None:
        (folder / METADATA_FILE).unlink()
    else:
        (folder / METADATA_FILE).write_bytes(damage)
    assert store.names() == ["a"]
    with store.open("a") as reader:
        assert reader.count() == 64
    assert store.damage("a") == [METADATA_FILE]
    store.open("a", write=True).close()
    assert len((folder / METADATA_FILE).read_bytes()) == len(whole)
    assert store.damage("a") == []


def test_a_changed_letter_in_a_record_is_noticed(store: EmbeddedStore, folder: Path) -> None:
    for file in (METADATA_FILE, COPY_FILE):
        (folder / file).write_text((folder / file).read_text().replace("glove", "glowe"))
    with pytest.raises(StoreDamaged, match=r"collection\.json was changed"):
        store.open("a")


def test_a_kept_file_is_told_from_a_damaged_one(store: EmbeddedStore, folder: Path) -> None:
    with store.open("a", write=True) as writer:
        writer.write_file("f", b"one")
        writer.write_file("f", b"two")
    with store.open("a") as reader:
        assert reader.read_file("f") == b"two"
        (folder / "f").write_bytes(b"tw0")
        with pytest.raises(StoreDamaged, match=r"a/f was changed: `ingest check --repair -c a`"):
            reader.read_file("f")


# Without a seal: a writer was killed, or an earlier version wrote it


@pytest.fixture
def unsealed(store: EmbeddedStore, folder: Path) -> Path:
    """A collection whose writer did not come to its end."""
    for file in (METADATA_FILE, COPY_FILE):
        record = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({k: v for k, v in record.items() if k not in ("seal", "clean", "check")}))
    return folder


@pytest.mark.parametrize("place", [17, 19, 20])
def test_a_place_that_no_point_can_have_is_not_believed(store: EmbeddedStore, unsealed: Path, place: int) -> None:
    """One such bit made the engine fill the disk with 70 GB, another allocate 100 GB."""
    store.open("a").close()
    flip(one(unsealed, "mutable_id_tracker.mappings"), 21 * 5 + place)
    damaged = place != 17  # the lowest byte of a place names another point
    if damaged:
        with pytest.raises(StoreDamaged, match=r"mutable_id_tracker\.mappings changed or missing"):
            store.open("a")
    else:
        store.open("a").close()


def test_a_count_beyond_its_file_is_not_believed(store: EmbeddedStore, unsealed: Path) -> None:
    flip(one(unsealed, "vector_storage-visual/vectors/status.dat"), 5)
    with pytest.raises(StoreDamaged, match=r"status\.dat"):
        store.open("a")


def test_a_log_of_ids_is_read_in_runs(unsealed: Path, store: EmbeddedStore) -> None:
    with store.open("a", write=True) as writer:
        for number in range(0, 60, 3):
            writer.delete([UUID(int=number)])
            writer.upsert(points(100 + number, 2))
    assert impossible_files(unsealed / "shard", is_settled=True) == []
