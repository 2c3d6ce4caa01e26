"""A damaged collection is mended: what is sound is kept, the rest made again, and the answers are those of before."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest

from ingest.cli import app
from ingest.errors import StoreDamaged
from ingest.pipeline import ExportOptions, check_collection, export_collection, mending
from ingest.records import Picture, is_sound, stable_id
from ingest.stores import SEMANTIC, VISUAL, Collection
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.embedded.checking import DAMAGED
from tests.commands import asked
from tests.copies import copy_store
from tests.ingest.runs import ingest, points

Damage = Callable[[Path], None]


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy_store(made / "store", tmp_path / "store")
    return tmp_path / "store/collections/photos"


@pytest.fixture
def store(folder: Path) -> EmbeddedStore:
    return EmbeddedStore(folder.parents[1])


def zeroed(pattern: str) -> Damage:
    def damage(folder: Path) -> None:
        path = next(folder.glob(pattern))
        path.write_bytes(bytes(path.stat().st_size))

    return damage


def cut(pattern: str) -> Damage:
    def damage(folder: Path) -> None:
        path = next(folder.glob(pattern))
        with path.open("rb+") as file:
            file.truncate(path.stat().st_size // 2)

    return damage


def flipped(pattern: str, place: int) -> Damage:
    def damage(folder: Path) -> None:
        path = next(folder.glob(pattern))
        data = bytearray(path.read_bytes())
        data[place] ^= 0x10
        path.write_bytes(data)

    return damage


def overwritten(pattern: str, data: bytes) -> Damage:
    """As a disk does it: the file keeps its time."""

    def damage(folder: Path) -> None:
        path = next(folder.glob(pattern))
        status = path.stat()
        with path.open("rb+") as file:
            file.write(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return damage


SEGMENT = "shard/segments/*"
DAMAGES = {
    "semantic vectors cut": (cut(f"{SEGMENT}/vector_storage-semantic/vectors/chunk_0.mmap"), 0),
    "count of vectors zeroed": (zeroed(f"{SEGMENT}/vector_storage-visual/vectors/status.dat"), 0),
    "list of payloads zeroed": (zeroed(f"{SEGMENT}/payload_storage/tracker.dat"), 15),
    "visual vectors not finite": (
        overwritten(f"{SEGMENT}/vector_storage-visual/vectors/chunk_0.mmap", b"\x00\x00\xc0\x7f" * 1280),
        13,
    ),
    "an id flipped": (flipped(f"{SEGMENT}/mutable_id_tracker.mappings", 5), 1),
    "index of labels zeroed": (zeroed(f"{SEGMENT}/payload_index/*label-map/tracker.dat"), 0),
    "projection flipped": (flipped("projection.safetensors", -9), 0),
    "log lost": (lambda folder: shutil.rmtree(folder / "shard/wal"), 0),
    "shard lost": (lambda folder: shutil.rmtree(folder / "shard"), 15),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_repair_gives_back_what_there_was(made: Path, store: EmbeddedStore, folder: Path, name: str) -> None:
    damage, lost = DAMAGES[name]
    right = points(store)
    damage(folder)
    ran = asked(app, "check", "-c", "photos", "--store", store.root)
    assert (ran.status, ran.out.splitlines()[0]) == (1, "photos: damaged")
    ran = asked(app, "check", "--repair", "-c", "photos", "--store", store.root)
    again = f", {lost} embedded again" if lost else ""
    assert ran.out.splitlines()[0] == f"photos: mended, {15 - lost} pictures kept{again}", ran.err
    found = points(store)
    assert found.keys() == right.keys()
    for path, point in found.items():
        assert {**point.payload, "inode": 0, "check": ""} == {**right[path].payload, "inode": 0, "check": ""}
        for vector in (VISUAL, SEMANTIC):
            np.testing.assert_allclose(point.vectors[vector], right[path].vectors[vector], atol=1e-5)
    assert asked(app, "check", "--store", store.root).status == 0
    assert not (folder / DAMAGED).exists()


def test_it_is_recorded_what_a_collection_was_made_with(made: Path, store: EmbeddedStore, folder: Path) -> None:
    row = asked(app, "status", "--json", "--store", store.root).json[0]
    sha256 = hashlib.sha256((folder / "projection.safetensors").read_bytes()).hexdigest()
    assert (row["projection_sha256"], row["engine"]) == (sha256, "qdrant-edge 0.9.0")
    assert row["decoder"].startswith(f"Pillow {PIL.__version__}, libjpeg ")
    shown = asked(app, "status", "--store", store.root).out
    assert f"  projection  conse {sha256[:8]}\n" in shown
    assert f"  made with   {row['decoder']}, qdrant-edge 0.9.0\n" in shown


READS = {
    "a stored vector": lambda collection: collection.retrieve([stable_id("cat/chelsea.png")], [VISUAL]),
    "every vector": lambda collection: list(collection.scroll([VISUAL])),
    "a search": lambda collection: collection.search(VISUAL, np.eye(1, 1280, dtype=np.float32)[0], 15),
}


@pytest.mark.parametrize("number", [b"\x00\x00\xc0\x7f", b"\x00\x00\x00\x00"], ids=["not finite", "zero"])
def test_vectors_that_a_disk_changed_without_a_trace_are_not_answered_with(
    store: EmbeddedStore, folder: Path, number: bytes
) -> None:
    """A search cannot tell zeros from what is unlike; what reads the vectors can."""
    overwritten(f"{SEGMENT}/vector_storage-visual/vectors/chunk_0.mmap", number * 1280 * 15)(folder)
    with store.open("photos") as collection:
        for name, read in READS.items():
            if name == "a search" and not any(number):
                continue
            with pytest.raises(StoreDamaged, match=r"were changed: `ingest check --repair -c photos` mends it"):
                read(collection)
    with pytest.raises(StoreDamaged):
        export_collection(store, "photos", folder.parents[2] / "snapshot", ExportOptions())


def test_only_pictures_in_a_damaged_page_are_embedded_again(made: Path, store: EmbeddedStore, folder: Path) -> None:
    """A page of 64 KB holds 12.8 vectors of 1280 numbers: two of the fifteen lie in none of it."""
    flipped(f"{SEGMENT}/vector_storage-visual/vectors/chunk_0.mmap", 4 * 1280 * 5)(folder)
    report = ingest(store, made / "photos")
    assert (report.added, report.unchanged, report.total) == (13, 2, 15)


def test_a_killed_mending_is_refused_to_readers_and_begins_again(
    made: Path, store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(f"{SEGMENT}/vector_storage-semantic/vectors/chunk_0.mmap")(folder)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mending, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            mending.mend_collection(store, "photos")
    for write in (False, True):
        with pytest.raises(StoreDamaged, match=r"mending of collection 'photos' .* has not come to its end"):
            store.open("photos", write=write)
    report = ingest(store, made / "photos")
    assert (report.unchanged, report.added) == (15, 0)


def test_a_run_removes_points_of_no_picture(made: Path, store: EmbeddedStore) -> None:
    with store.open("photos", write=True) as collection:
        move_point(collection, "cat/chelsea.png")
    checked = check_collection(store, "photos")
    assert checked.problems == ["1 points: the id is that of no picture"]
    report = ingest(store, made / "photos")
    assert (report.added, report.total) == (1, 15)


def move_point(collection: Collection, path: str) -> None:
    """Under the id of another path, as a flipped bit leaves it."""
    id = stable_id(path)
    point = collection.retrieve([id], [VISUAL, SEMANTIC])[id]
    collection.delete([id])
    collection.upsert([replace(point, id=stable_id("elsewhere"))])


def test_a_damaged_vocabulary_is_made_anew_by_a_run(made: Path, store: EmbeddedStore) -> None:
    tags = next(store.root.glob("collections/tags-*"))
    cut(f"{SEGMENT}/vector_storage-word/vectors/chunk_0.mmap")(tags)
    ingest(store, made / "photos")
    assert check_collection(store, tags.name).problems == []


def test_a_payload_knows_whether_it_was_changed() -> None:
    payload = Picture("a/b.jpg", "ab" * 32, 4, 3, 10, 10**18 + 1, 11.425615310668945, 7).to_payload()
    assert is_sound(payload)
    assert is_sound({**payload, "visual_norm": 11.425615310668944})  # as the engine gives it back
    assert not is_sound({**payload, "width": 5})
    assert not is_sound({**payload, "label": "c"})
    older = {key: value for key, value in payload.items() if key != "check"}
    assert is_sound(older)
    assert not is_sound({**older, "folders": ["c"]})
    assert not is_sound({**older, "sha256": "xy" * 32})
    assert not is_sound({})
