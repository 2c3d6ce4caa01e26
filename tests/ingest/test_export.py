"""Exporting a snapshot: what is in it, what is carried along, and what an export that fails leaves."""

from __future__ import annotations

import json
import os
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annoy import AnnoyIndex
from PIL import Image
from pyarrow import parquet

from ingest.errors import CollectionNotFound, StoreDamaged, StoreInUse
from ingest.pipeline import ExportOptions, export_collection, exporting
from ingest.records import Pending, Picture
from ingest.stores import SEMANTIC, VISUAL, WORD, Point
from ingest.stores.embedded.collection import EmbeddedCollection
from ingest.stores.snapshot import Manifest, SnapshotStore, annoy, verify
from model.encoders import Encoder
from model.errors import DiskFull, PictureError, UsageError
from model.system import disk
from model.system.atomic import sha256_file
from tests.ingest.pictures import PICTURES, TAGS_NAME, WIDTHS, make_points
from tests.snapshots import SmallStore, contents, make_facts, make_snapshot


def test_the_manifest_says_what_is_in_it(snapshot: SnapshotStore) -> None:
    record = json.loads((snapshot.folder / "manifest.json").read_bytes())
    assert (record["format"], record["collection"], record["tags"]) == (2, "pictures", TAGS_NAME)
    assert record["program"].startswith("wordsight ")
    assert record["metadata"]["vectors"] == WIDTHS
    assert record["metadata"]["root"] == "/photos"
    assert record["spaces"].keys() == {VISUAL, SEMANTIC, WORD}
    assert record["spaces"][VISUAL] == {
        "file": "visual.ann",
        "width": 48,
        "items": PICTURES,
        "trees": 1,
        "search_k": PICTURES,
        "seed": 0,
        "recall": 1.0,
        "sample": PICTURES,
        "metric": "angular",
    }
    assert (record["spaces"][WORD]["width"], record["spaces"][WORD]["items"]) == (12, 40)
    there = contents(snapshot.folder)
    del there["manifest.json"]
    assert record["files"].keys() == there.keys()
    for name, file in record["files"].items():
        assert file == {"bytes": len(there[name]), "sha256": sha256_file(snapshot.folder / name)}


def test_plain_annoy_reads_it(snapshot: SnapshotStore) -> None:
    record = json.loads((snapshot.folder / "manifest.json").read_bytes())
    rows = parquet.read_table(snapshot.folder / "pictures.parquet").to_pylist()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    points = {point.id.bytes: point for point in make_points(PICTURES)}
    for name in (VISUAL, SEMANTIC):
        space = record["spaces"][name]
        index = AnnoyIndex(space["width"], space["metric"])
        index.load(str(snapshot.folder / space["file"]))
        assert index.get_n_items() == len(rows)
        for item, row in enumerate(rows):
            vector = points[row["id"]].vectors[name]
            np.testing.assert_allclose(index.get_item_vector(item), vector / np.linalg.norm(vector), atol=1e-6)
            assert row["path"] == points[row["id"]].payload["path"]
            assert row["signature"] is None
    tags = parquet.read_table(snapshot.folder / "tags.parquet").to_pylist()
    assert sorted(row["word"] for row in tags) == sorted(f"word{i}" for i in range(40))


def test_a_seed_gives_the_same_files(source: SmallStore, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        export_collection(source, "pictures", tmp_path / name, ExportOptions(trees=3, seed=seed))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name]] in ([], ["manifest.json"])  # which says when it was made
    assert a["visual.ann"] != c["visual.ann"]


def test_an_older_snapshot_is_replaced(source: SmallStore, tmp_path: Path) -> None:
    for trees in (1, 2):
        export_collection(source, "pictures", tmp_path / "s", ExportOptions(trees=trees))
        assert Manifest.read(tmp_path / "s").indexes[VISUAL].trees == trees
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "store"]


def test_a_snapshot_with_something_else_in_it_is_not_replaced(source: SmallStore, tmp_path: Path) -> None:
    export_collection(source, "pictures", tmp_path / "out", ExportOptions())
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.txt does not belong to the snapshot"):
        export_collection(source, "pictures", tmp_path / "out", ExportOptions())
    assert (tmp_path / "out" / "mine" / "thesis.txt").read_text() == "years of work"


def test_others_are_let_in_while_it_reads_and_a_change_of_projection_is_noticed(
    source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in: list[str] = []

    def yield_lock(self: EmbeddedCollection) -> None:
        let_in.append(self.name)
        if len(let_in) == 1:
            monkeypatch.setattr(EmbeddedCollection, "read_file", lambda *_: b"another")

    monkeypatch.setattr(EmbeddedCollection, "yield_lock", yield_lock)
    read_file = EmbeddedCollection.read_file
    with pytest.raises(StoreInUse, match="is changing collection 'pictures'"):
        export_collection(source, "pictures", tmp_path / "out", ExportOptions())
    monkeypatch.setattr(EmbeddedCollection, "read_file", read_file)
    assert not (tmp_path / "out").exists()
    export_collection(source, "pictures", tmp_path / "out", ExportOptions())
    assert {"pictures", TAGS_NAME} <= set(let_in)


def test_a_change_of_projection_that_begins_while_it_reads_is_noticed(
    source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def yield_lock(self: EmbeddedCollection) -> None:
        if self.name == "pictures":
            record = self.folder / "collection.json"
            changed = {**json.loads(record.read_text()), "pending": "switching"}
            changed.pop("check")
            record.write_text(json.dumps(changed))

    monkeypatch.setattr(EmbeddedCollection, "yield_lock", yield_lock)
    with pytest.raises(StoreInUse, match="is changing collection 'pictures'"):
        export_collection(source, "pictures", tmp_path / "out", ExportOptions())


def test_an_empty_folder_and_a_link_are_taken(source: SmallStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    export_collection(source, "pictures", tmp_path / "link", ExportOptions())
    assert (tmp_path / "link").is_symlink()
    verify(SnapshotStore(tmp_path / "empty"))


@pytest.mark.parametrize("pending", [Pending.CREATING, Pending.SWITCHING])
def test_a_collection_that_is_half_made_is_refused(pending: str, source: SmallStore, tmp_path: Path) -> None:
    with source.open("pictures", write=True) as collection:
        collection.save(replace(collection.metadata, pending=pending))
    with pytest.raises(UsageError, match="ended early"):
        export_collection(source, "pictures", tmp_path / "s", ExportOptions())


def test_a_collection_without_pictures_words_or_projection_is_refused(source: SmallStore, tmp_path: Path) -> None:
    metadata = make_facts(*WIDTHS.values())
    source.create("empty", metadata).close()
    with pytest.raises(UsageError, match="holds no pictures"):
        export_collection(source, "empty", tmp_path / "s", ExportOptions())
    with source.create("no projection", metadata) as collection:
        collection.upsert(make_points(3))
    with pytest.raises(StoreDamaged, match="has lost its projection"):
        export_collection(source, "no projection", tmp_path / "s", ExportOptions())
    source.drop(TAGS_NAME)
    with pytest.raises(CollectionNotFound, match=r"tag vocabulary .* is not complete"):
        export_collection(source, "pictures", tmp_path / "s", ExportOptions())
    with pytest.raises(CollectionNotFound, match="no collection 'absent'"):
        export_collection(source, "absent", tmp_path / "s", ExportOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("items", [1, 2, 9])
@pytest.mark.parametrize("trees", [None, 4])
def test_a_few_pictures_make_a_snapshot_too(items: int, trees: int | None, tmp_path: Path) -> None:
    store = make_snapshot(tmp_path, make_facts(*WIDTHS.values()), make_points(items), trees=trees)
    assert verify(store).recall == {VISUAL: 1.0, SEMANTIC: 1.0, WORD: 1.0}
    with store.open("pictures") as collection:
        assert len(collection.search(VISUAL, make_points(1)[0].vectors[VISUAL], 20)) == items


def test_a_target_that_was_not_met_is_said(
    source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "build_index_in_child_process", lambda *args, **options: _poor(*args, **options))
    export_collection(source, "pictures", tmp_path / "s", ExportOptions(target=0.9))
    assert "visual: only 0.500 recall@10 with 1 trees, 0.9 was the target" in capsys.readouterr().err


def _poor(*args: Any, **options: Any) -> annoy.IndexInfo:
    return replace(annoy.build_index_in_child_process(*args, **options), recall=0.5)


def test_a_disk_too_small_is_foreseen(source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("Usage", "total used free")
    export_collection(source, "pictures", tmp_path / "s", ExportOptions())
    before = contents(tmp_path / "s")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(0, 0, (64 << 20) + 1000))
    with pytest.raises(DiskFull, match="make room"):
        export_collection(source, "pictures", tmp_path / "s", ExportOptions(trees=2))
    assert contents(tmp_path / "s") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "store"]


def test_an_export_that_fails_leaves_nothing_beside_the_old_one(
    source: SmallStore, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copied)
    for place in ("_spool", "_index", "_copy_files", "inventory_of"):
        with monkeypatch.context() as patch:
            patch.setattr(exporting, place, _fails)
            with pytest.raises(UsageError, match=r"cannot write .*: Some reason; what was there is as before"):
                export_collection(source, "pictures", copied, ExportOptions(trees=2))
        assert contents(copied) == before
        assert sorted(path.name for path in copied.parent.iterdir()) == ["snapshot", "store"]


def _fails(*args: Any) -> None:
    raise OSError(5, "Some reason")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a photograph that says where it was taken, one whose content changes, one that goes."""
    root = tmp_path / "photos"
    root.mkdir()
    for name in ("a", "changes", "goes"):
        image = Image.effect_noise((600, 400), 50).convert("RGB")
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        exif.get_ifd(0x8825)[1] = "N"  # GPS
        image.save(root / f"{name}.jpg", exif=exif, comment=b"a secret")
    return root


def picture_point(root: Path, name: str, **changes: Any) -> Point:
    path = root / name
    status = path.stat()
    picture = Picture(name, sha256_file(path), 600, 400, status.st_size, status.st_mtime_ns, 1.0)
    vectors = make_points(1)[0].vectors
    return Point(picture.id, vectors, {**picture.to_payload(), **changes})


def test_pictures_are_carried_as_they_were_indexed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [picture_point(photos, f"{name}.jpg") for name in ("a", "changes", "goes")]
    (tmp_path / "outside.jpg").write_bytes((photos / "a.jpg").read_bytes())
    points.append(picture_point(photos, "../outside.jpg"))  # which no run would write, but a server might say
    (photos / "changes.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "goes.jpg").unlink()
    os.mkfifo(photos / "goes.jpg")  # which is not waited for
    metadata = make_facts(*WIDTHS.values(), root=str(photos))
    store = make_snapshot(tmp_path, metadata, points, with_thumbnails=True, with_pictures=True)
    assert "3 pictures are gone or changed" in capsys.readouterr().err
    there = contents(store.folder)
    assert [name for name in there if name.startswith("pictures/")] == ["pictures/a.jpg"]
    assert there["pictures/a.jpg"] == (photos / "a.jpg").read_bytes()
    assert (store.folder / "pictures/a.jpg").stat().st_mtime_ns == (photos / "a.jpg").stat().st_mtime_ns
    assert [name for name in there if name.startswith("thumbnails/")] == [f"thumbnails/{points[0].id}.jpg"]
    with Image.open(store.folder / f"thumbnails/{points[0].id}.jpg") as thumbnail:
        assert thumbnail.size == (256, 171)
        assert not thumbnail.getexif()
        assert "comment" not in thumbnail.info
    assert b"camera" not in there[f"thumbnails/{points[0].id}.jpg"]
    assert store.metadata("pictures").root == str(store.folder / "pictures")
    verify(store)


def test_a_picture_that_cannot_be_made_small_is_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise PictureError("another decoder")

    monkeypatch.setattr(exporting, "thumbnail", broken)
    metadata = make_facts(*WIDTHS.values(), root=str(photos))
    make_snapshot(tmp_path, metadata, [picture_point(photos, "a.jpg")], with_thumbnails=True)
    assert "1 pictures are gone or changed" in capsys.readouterr().err


def test_an_encoder_comes_along(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = make_facts(*WIDTHS.values(), encoder=encoder.spec.name, encoder_sha256=encoder.sha256)
    store = make_snapshot(tmp_path, metadata, make_points(3), with_encoder=True)
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "nothing"))
    picture = np.random.default_rng(0).integers(256, size=(1, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(store.encoder(metadata).encode(picture), encoder.encode(picture), atol=1e-5)
    damaged = store.folder / "encoder/encoder.onnx"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(StoreDamaged, match=r"encoder\.onnx"):
        store.encoder(metadata)
