"""Bad files: they are recorded, tried again when that may help, and spoil nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.collection import Ledger, Options, read_failures
from ingest.pipeline import retry_failures
from ingest.stores import VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders import embedding
from model.errors import DatasetError
from model.pictures import PictureFile
from tests.ingest.runs import OFFLINE, ingest, points


def test_bad_files_are_known_after_a_kill_too(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    monkeypatch.setattr("ingest.collection.ledger.SAVE_SECONDS", -1.0)
    saved: list[set[str]] = []
    real = Ledger.save

    def save(ledger: Ledger) -> None:
        real(ledger)
        saved.append(set(read_failures(ledger._collection)))

    monkeypatch.setattr(Ledger, "save", save)
    ingest(store, folder)
    assert saved == [{"bad.png"}] * 2  # with its batch, and at the end


def test_pictures_and_bad_files_in_a_folder_that_cannot_be_read_are_kept(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cat/bad.png").write_bytes(b"no picture")
    (folder / "bad.png").write_bytes(b"no picture")
    ingest(store, folder)
    (folder / "bad.png").unlink()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("model.pictures.dataset.os.scandir", scandir)
    report = ingest(store, folder)
    assert report.left_out.unreadable == {"cat": "Permission denied"}
    assert (report.removed, report.total) == (0, 4)
    with store.open("photos") as collection:
        assert sorted(read_failures(collection)) == ["cat/bad.png"], "what was bad there is not forgotten"


def test_bad_files_are_recorded_and_tried_again_only_when_they_change(store: EmbeddedStore, folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "empty.png").touch()
    first = ingest(store, folder)
    assert (first.added, first.failed) == (4, 2)
    second = ingest(store, folder)
    assert (second.failed, second.failed_before) == (0, 2)
    with store.open("photos") as collection:
        reasons = {path: row.reason for path, row in read_failures(collection).items()}
    assert reasons == {"bad.jpg": "not a picture of a known format", "empty.png": "empty file"}
    assert ingest(store, folder, Options(offline=True, retry=True)).failed == 2
    shutil.copyfile(folder / "flower.jpg", folder / "bad.jpg")
    (folder / "empty.png").unlink()
    mended = ingest(store, folder)
    assert (mended.added, mended.failed, mended.failed_before) == (1, 0, 0)
    with store.open("photos") as collection:
        assert read_failures(collection) == {}


def test_another_limit_tries_what_it_may_now_read(store: EmbeddedStore, folder: Path) -> None:
    Image.new("RGB", (1100, 1000)).save(folder / "large.png")
    tight = ingest(store, folder, Options(offline=True, max_megapixels=1))
    assert tight.failed == 1
    assert ingest(store, folder).added == 1


def test_a_picture_that_turns_bad_loses_its_vector(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    (folder / "flower.jpg").write_bytes((folder / "flower.jpg").read_bytes()[:5000])
    report = ingest(store, folder)
    assert (report.failed, report.removed, report.total) == (1, 1, 3)


def test_a_picture_that_cannot_be_read_for_once_keeps_its_vector(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder)
    os.utime(folder / "flower.jpg", ns=(1, 10**18))
    real = embedding.read_file

    def read_file(file: PictureFile) -> tuple[PictureFile, bytes]:
        if file.relative == "flower.jpg":
            raise OSError(5, "Input/output error")
        return real(file)

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "read_file", read_file)
        report = ingest(store, folder)
    assert (report.failed, report.removed, report.total) == (1, 0, 4)
    with store.open("photos") as collection:
        assert {path: row.reader for path, row in read_failures(collection).items()} == {"flower.jpg": "any"}
    again = ingest(store, folder)
    assert (again.updated, again.failed, again.failed_before, again.total) == (1, 0, 0, 4)


def test_a_folder_where_nothing_can_be_read_leaves_no_collection(store: EmbeddedStore, tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/a.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match="none of the 1 pictures"):
        ingest(store, tmp_path / "junk")
    assert store.collections() == {}


def test_retrying_touches_no_other_picture(store: EmbeddedStore, folder: Path, encoded: list[str]) -> None:
    (folder / "mended.png").write_bytes(b"no picture")
    (folder / "still bad.png").write_bytes(b"no picture")
    (folder / "gone.png").write_bytes(b"no picture")
    ingest(store, folder)
    before = points(store)
    encoded.clear()
    Image.new("RGB", (40, 20), "red").save(folder / "mended.png")
    (folder / "gone.png").unlink()
    (folder / "flower.jpg").unlink()  # removed by the next run, not by this
    Image.new("RGB", (40, 20), "blue").save(folder / "new.png")
    Image.new("RGB", (40, 20), "green").save(folder / "cat/chelsea.png")
    report = retry_failures(store, "photos", OFFLINE)
    assert (report.added, report.failed, report.updated, report.removed, report.total) == (1, 1, 0, 0, 5)
    assert encoded == ["mended.png"]
    after = points(store)
    assert sorted(after) == ["cat/chelsea.png", "coffee/coffee.png", "flower.jpg", "mended.png", "rocket/rocket.jpg"]
    for path, point in before.items():
        assert after[path].payload == point.payload
        np.testing.assert_array_equal(after[path].vectors[VISUAL], point.vectors[VISUAL])
    with store.open("photos") as collection:
        assert sorted(read_failures(collection)) == ["still bad.png"]
