"""Backups: whole, of any store and into any, and refused where they are not as they were written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ingest.collection import Options
from ingest.errors import StoreDamaged, StoreError
from ingest.pipeline import back_up, backups_in, restore, run_folder
from ingest.records import CollectionMetadata, Pending
from ingest.stores import CLASSES, SEMANTIC, VISUAL, Collection, Point, SparseVector, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import ServerStore
from model.errors import UsageError
from tests import hostile
from tests.commands import command
from tests.local_qdrant import local_qdrant

METADATA = CollectionMetadata(
    kind="pictures",
    vectors={VISUAL: 5, SEMANTIC: 3},
    sparse=(CLASSES,),
    words="glove",
    words_sha256="00",
    root="/photos",
)
COUNT = 600
"""More than two pages."""


def points() -> list[Point]:
    rng = np.random.default_rng(0)
    return [
        Point(
            UUID(int=i),
            {VISUAL: rng.standard_normal(5, np.float32), SEMANTIC: rng.standard_normal(3, np.float32)},
            {"path": f"ü/{i}.jpg", "label": "ü", "sha256": f"{i:064x}"},
            {CLASSES: SparseVector(np.array([i, i + 9], np.uint32), np.array([0.25, 0.5], np.float32))},
        )
        for i in range(COUNT)
    ]


def make(store: Store) -> None:
    with store.create("a", METADATA) as collection, store.writing("a"):
        collection.upsert(points())
        collection.write_file("projection", bytes(range(256)) * 3000)
        collection.save(replace(METADATA, updated="2026-01-01T00:00:00Z"))


def content(collection: Collection) -> object:
    kept = {name: collection.read_file(name) for name in collection.kept_files()}
    rows = [
        (
            point.id,
            dict(point.payload),
            {name: vector.tobytes() for name, vector in point.vectors.items()},
            {name: (vector.indices.tolist(), vector.values.tolist()) for name, vector in point.sparse.items()},
        )
        for page in collection.scroll([VISUAL, SEMANTIC, CLASSES])
        for point in page
    ]
    return collection.metadata, kept, rows


def opened(kind: str, folder: Path) -> Store:
    return EmbeddedStore(folder) if kind == "embedded" else ServerStore(local_qdrant(), "memory")


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    with EmbeddedStore(tmp_path / "store") as store:
        make(store)
        back_up(store, "a", tmp_path / "backup")
    return tmp_path / "backup"


@pytest.mark.parametrize(("source", "target"), [("embedded", "embedded"), ("server", "embedded")])
def test_what_is_restored_is_what_was_there_to_the_last_bit(tmp_path: Path, source: str, target: str) -> None:
    with opened(source, tmp_path / "one") as one, opened(target, tmp_path / "other") as other:
        make(one)
        assert back_up(one, "a", tmp_path / "backup").points == COUNT
        restore(other, *backups_in(tmp_path / "backup"))
        with one.open("a") as before, other.open("a") as after:
            assert content(before) == content(after)


def test_a_folder_goes_to_a_server(backup: Path, tmp_path: Path) -> None:
    with opened("server", tmp_path) as store, EmbeddedStore(tmp_path / "store") as source:
        restore(store, *backups_in(backup))
        with source.open("a") as before, store.open("a") as after:
            assert before.metadata == after.metadata
            assert before.read_file("projection") == after.read_file("projection")
            query = points()[7].vectors[VISUAL]
            found = [[hit.id for hit in each.search(VISUAL, query, 20)] for each in (before, after)]
    assert found[0] == found[1]


def test_a_restoring_that_was_killed_goes_on(backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedStore(tmp_path / "other") as store:
        with monkeypatch.context() as patch:
            patch.setattr("ingest.pipeline.backup.build_search_graph", lambda _: pytest.fail("it was killed before"))
            patch.setattr("ingest.stores.embedded.writer.EmbeddedWriter.write_file", killed)
            with pytest.raises(KeyboardInterrupt):
                restore(store, *backups_in(backup))
        assert store.metadata("a").pending == Pending.CREATING
        restore(store, *backups_in(backup, "a"))
        assert store.metadata("a").pending == Pending.NOTHING
        with store.open("a") as collection:
            assert collection.count() == COUNT
            assert collection.kept_files() == ["projection"]


def test_a_run_does_not_take_a_part_for_the_whole(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened("server", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.stores.server.collection.ServerCollection.write_file", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(store, *backups_in(backup))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "picture.png").write_bytes(hostile.picture(0, "png", (32, 32)))
    with pytest.raises(StoreError, match="restored in part: `ingest restore` goes on, `ingest drop a` removes it"):
        run_folder(store, tmp_path / "a", "", Options(offline=True))
    restore(store, *backups_in(backup))
    assert store.summary("a").points == COUNT


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_there_is_not_written_over(backup: Path, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "store") as store, pytest.raises(UsageError, match="`ingest drop a` makes room"):
        restore(store, *backups_in(backup))
    (tmp_path / "else" / "a").mkdir(parents=True)
    (tmp_path / "else" / "a" / "mine.txt").write_text("mine")
    with EmbeddedStore(tmp_path / "store") as store, pytest.raises(UsageError, match="exists and is no backup"):
        back_up(store, "a", tmp_path / "else")


@pytest.mark.parametrize("name", ["points.parquet", "files/projection"])
def test_of_a_damaged_backup_nothing_is_restored(backup: Path, tmp_path: Path, name: str) -> None:
    path = backup / "a" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with EmbeddedStore(tmp_path / "other") as store:
        with pytest.raises(StoreDamaged, match=f"{path.name} is missing or was changed since"):
            restore(store, *backups_in(backup))
        assert store.names() == []


def test_a_later_format_is_told(backup: Path, tmp_path: Path) -> None:
    path = backup / "a" / "backup.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "program": "9.0"}))
    refused = command("ingest", "restore", backup, "--store", tmp_path / "other")
    assert refused.status == 2
    assert "written by wordsight 9.0" in refused.err


def test_the_commands(backup: Path, tmp_path: Path) -> None:
    store = ("--store", tmp_path / "store")
    kept = command("ingest", "backup", tmp_path / "again", *store)
    assert (kept.status, kept.out) == (0, "")
    assert kept.err.startswith(f"a: {COUNT} points in {tmp_path / 'again' / 'a'}, ")
    restored = command("ingest", "restore", tmp_path / "again", "--store", tmp_path / "other")
    assert restored.status == 0, restored.err
    assert restored.err.startswith(f"a: {COUNT} points in {tmp_path / 'other'}, as of 2")
    nothing = command("ingest", "restore", tmp_path / "again", "-c", "b", *store)
    assert (nothing.status, nothing.out) == (2, "")
    assert f"no backup of 'b' in {tmp_path / 'again'}" in nothing.err
    assert command("ingest", "backup", tmp_path / "more", "--store", tmp_path / "empty").status == 1
