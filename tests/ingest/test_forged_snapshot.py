"""Snapshots that were forged with right checksums: one sentence, and neither a crash nor a wait."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.errors import StoreDamaged, StoreError
from ingest.pipeline import ExportOptions, export_collection
from ingest.stores import VISUAL
from ingest.stores.snapshot import SnapshotStore, checksums, verify
from ingest.stores.snapshot.annoy import IndexInfo, build_index
from ingest.stores.snapshot.nodes import check_nodes
from model.errors import UsageError
from tests.snapshots import SmallStore, signed

Nodes = np.ndarray[Any, np.dtype[np.int32]]
Forge = Callable[[Nodes, int], None]


def built(path: Path, items: int, width: int, trees: int) -> IndexInfo:
    rows = np.random.default_rng(items).standard_normal((items, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return build_index(rows, path, seed=0, target=0.5, trees=trees)


@pytest.mark.parametrize(
    ("items", "width", "trees"),
    [(1, 8, 1), (2, 8, 3), (9, 8, 1), (10, 8, 2), (11, 8, 1), (500, 8, 10), (40, 48, 3), (700, 2, 4)],
)
def test_every_index_that_annoy_writes_is_sound(tmp_path: Path, items: int, width: int, trees: int) -> None:
    check_nodes(tmp_path / "a.ann", built(tmp_path / "a.ann", items, width, trees))


def put(row: int, column: int, value: int) -> Forge:
    """``row``: counted from the first node that is no item."""

    def forge(nodes: Nodes, items: int) -> None:
        nodes[row + items if row >= 0 else row, column] = value

    return forge


FORGED: dict[str, Forge] = {
    "an item that says it is a list": put(-(10**6), 0, 7),
    "a root whose child is beyond the file": put(-1, 1, 10**6),
    "a root whose child is before it": put(-1, 2, -1),
    "a circle": lambda nodes, _: nodes.__setitem__((-1, 1), len(nodes) - 1),
    "a leaf that names a node for an item": put(0, 1, 10**5),
    "a leaf that names something negative": put(0, 1, -5),
    "a node that counts nothing": put(0, 0, 0),
    "a node that counts more than there is": put(0, 0, 10**6),
}


def forge_index(path: Path, info: IndexInfo, forge: Forge) -> None:
    nodes = np.fromfile(path, np.int32).reshape(-1, info.node_bytes // 4)
    if forge is FORGED["an item that says it is a list"]:
        nodes[3, 0] = 7
    else:
        forge(nodes, info.items)
    nodes.tofile(path)


@pytest.mark.parametrize("title", FORGED)
def test_an_index_that_annoy_did_not_write_is_refused(tmp_path: Path, title: str) -> None:
    info = built(tmp_path / "a.ann", 500, 8, 3)
    forge_index(tmp_path / "a.ann", info, FORGED[title])
    with pytest.raises(StoreDamaged, match="no index that Annoy wrote: export the snapshot again"):
        check_nodes(tmp_path / "a.ann", info)


def sign(folder: Path, name: str) -> None:
    """Give the manifest the size and checksum that a file has now."""
    data = (folder / name).read_bytes()

    def forge(record: dict[str, Any]) -> None:
        record["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    (folder / "manifest.json").write_bytes(signed(folder / "manifest.json", forge))


def search(folder: Path) -> None:
    store = SnapshotStore(folder)
    with store.open("pictures") as collection:
        collection.search(VISUAL, np.ones(48, np.float32), 10)


def test_a_signed_forgery_is_refused_by_questions_and_by_verify(copied: Path) -> None:
    info = SnapshotStore(copied).manifest.indexes[VISUAL]
    search(copied)
    forge_index(copied / "visual.ann", info, FORGED["an item that says it is a list"])
    sign(copied, "visual.ann")
    for use in (search, lambda folder: verify(SnapshotStore(folder))):
        with pytest.raises(StoreDamaged, match=r"visual\.ann is no index that Annoy wrote"):
            use(copied)


def test_a_table_that_says_it_unpacks_to_too_much_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.stores.snapshot import tables

    monkeypatch.setattr(tables, "SPARE_BYTES", 0)
    monkeypatch.setattr(tables, "MOST_ROW_BYTES", 1)
    with pytest.raises(StoreDamaged, match=r"pictures\.parquet has other rows"):
        search_payloads(copied)


def search_payloads(folder: Path) -> None:
    with SnapshotStore(folder).open("pictures") as collection:
        collection.labels()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["manifest.json", "visual.ann", "pictures.parquet"])
def test_a_pipe_is_not_waited_for(copied: Path, name: str) -> None:
    (copied / name).unlink()
    os.mkfifo(copied / name)
    for use in (
        search_payloads if name == "pictures.parquet" else search,
        lambda folder: verify(SnapshotStore(folder)),
    ):
        with pytest.raises(StoreDamaged, match=rf"{name} is (no file|broken): export the snapshot again"):
            use(copied)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EACCES])
def test_a_passing_failure_is_no_damage(copied: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(_: Path) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checksums, "sha256_file", fails)
    with pytest.raises(StoreError, match=f"{os.strerror(number)}; try again") as raised:
        verify(SnapshotStore(copied))
    assert not isinstance(raised.value, StoreDamaged)


def test_a_time_after_2262_is_exported(source: SmallStore, tmp_path: Path) -> None:
    with source.open("pictures", write=True) as collection:
        point = next(collection.scroll([*collection.metadata.vectors]))[0]
        point.payload["mtime_ns"] = 2**63 + 5
        collection.upsert([point])
    export_collection(source, "pictures", tmp_path / "out", ExportOptions())
    with SnapshotStore(tmp_path / "out").open("pictures") as exported:
        assert exported.retrieve([point.id])[point.id].payload["mtime_ns"] == 2**63 - 1


def test_a_mount_point_is_no_target(source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    with pytest.raises(UsageError, match="disk is a mount point, which cannot be replaced in one step: name a folder"):
        export_collection(source, "pictures", tmp_path / "disk", ExportOptions())
