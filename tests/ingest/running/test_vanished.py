"""Pictures whose files are gone: a disk that is not there is no deletion, and what comes back costs nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from ingest.collection import Missing, Options, RemovedVectors, read_missing, removed
from ingest.pipeline import Report
from ingest.report import status_rows
from ingest.stores import VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.system.clock import now
from tests.commands import command, refused
from tests.copies import copy_store
from tests.ingest.runs import ingest, points

YES = Options(offline=True, remove_missing=True)


def plain(folder: Path, count: int) -> Path:
    """So many pictures of one colour each."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (40, 30), (7 * number % 256, 40, 200)).save(folder / f"{number:02}.png")
    return folder


def counts(report: Report) -> tuple[int, int, int]:
    return report.removed, report.missing, report.total


def missing(store: EmbeddedStore) -> dict[str, Missing]:
    with store.open("photos") as collection:
        return read_missing(collection)


def test_a_mount_that_falls_empty_loses_nothing(store: EmbeddedStore, folder: Path, encoded: list[str]) -> None:
    usb = plain(folder / "disks/usb", 4)
    ingest(store, folder)
    encoded.clear()
    shutil.move(usb, folder.parent / "away")
    usb.mkdir()
    report = ingest(store, folder)
    assert counts(report) == (0, 4, 8)
    assert (report.gone, report.gone_before) == ({"disks": 4}, False)
    assert [(row.folder, row.pictures) for row in missing(store).values()] == [("disks", 4)]
    assert [row["missing"] for row in status_rows(store)] == [4]
    again = ingest(store, folder)
    assert (counts(again), again.gone_before) == ((0, 4, 8), True)
    usb.rmdir()
    shutil.move(folder.parent / "away", usb)
    back = ingest(store, folder)
    assert (back.unchanged, counts(back), back.gone) == (8, (0, 0, 8), {})
    assert missing(store) == {}
    assert encoded == []


def test_what_was_deleted_is_removed_when_that_is_confirmed(store: EmbeddedStore, folder: Path) -> None:
    plain(folder / "usb", 4)
    ingest(store, folder)
    shutil.rmtree(folder / "usb")
    ingest(store, folder)
    assert counts(ingest(store, folder, YES)) == (4, 0, 4)
    assert missing(store) == {}


def test_one_of_three_pictures_is_deleted_without_a_question(store: EmbeddedStore, tmp_path: Path) -> None:
    folder = plain(tmp_path / "photos", 3)
    ingest(store, folder)
    (folder / "01.png").unlink()
    report = ingest(store, folder)
    assert (counts(report), report.gone) == ((1, 0, 2), {})


def test_a_fifth_of_the_collection_may_go_and_more_is_asked_about(store: EmbeddedStore, tmp_path: Path) -> None:
    folder = plain(tmp_path / "photos", 36)
    ingest(store, folder)
    for number in range(7):
        (folder / f"{number:02}.png").unlink()
    assert counts(ingest(store, folder)) == (7, 0, 29)
    for number in range(10, 20):
        (folder / f"{number:02}.png").unlink()
    report = ingest(store, folder)
    assert (counts(report), report.gone) == ((0, 10, 29), {"": 10})
    assert counts(ingest(store, folder, YES)) == (10, 0, 19)


def test_a_folder_that_was_renamed_is_not_asked_about(store: EmbeddedStore, folder: Path, encoded: list[str]) -> None:
    plain(folder / "old", 4)
    ingest(store, folder)
    encoded.clear()
    (folder / "old").rename(folder / "new")
    report = ingest(store, folder)
    assert (report.added, report.copied, counts(report), report.gone) == (4, 4, (4, 0, 8), {})
    assert encoded == []


def test_bad_files_on_a_disk_that_is_away_stay_in_the_list(store: EmbeddedStore, folder: Path) -> None:
    usb = plain(folder / "usb", 4)
    (usb / "bad.png").write_bytes(b"no picture")
    (folder / "bad.png").write_bytes(b"no picture")
    ingest(store, folder)
    shutil.move(usb, folder.parent / "away")
    (folder / "bad.png").unlink()
    ingest(store, folder)
    shutil.move(folder.parent / "away", usb)
    assert ingest(store, folder).failed_before == 1


def test_a_picture_that_was_removed_comes_back_with_its_vector(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    ingest(store, folder)
    before = points(store)["cat/chelsea.png"]
    encoded.clear()
    (folder / "cat/chelsea.png").rename(folder.parent / "cat.png")
    assert ingest(store, folder).removed == 1
    (folder.parent / "cat.png").rename(folder / "again.png")
    report = ingest(store, folder)
    assert (report.added, report.copied, encoded) == (1, 1, [])
    there = points(store)["again.png"]
    np.testing.assert_allclose(there.vectors[VISUAL], before.vectors[VISUAL], atol=1e-6)
    assert (there.payload["width"], there.payload["height"]) == (451, 300)
    assert there.payload["signature"] == before.payload["signature"] != ""
    with store.open("photos") as collection:
        assert collection.read_file("removed.safetensors") is None


def test_removed_vectors_of_a_version_without_signatures_are_read(store: EmbeddedStore, tmp_path: Path) -> None:
    """As that version wrote them: no such tensor."""
    ingest(store, plain(tmp_path / "photos", 2))
    row = {"sha256": "aa", "width": 4, "height": 3, "frame": 0, "framing": "whole", "removed": now()}
    data = save({"features": np.ones((1, 1280), np.float32)}, {"pictures": json.dumps([row])})
    with store.open("photos", write=True) as collection:
        collection.write_file("removed.safetensors", data)
        found = RemovedVectors.read(collection).find("aa", "whole")
    assert found is not None
    assert (found[0].width, found[0].signature) == (4, b"")


def test_vectors_of_removed_pictures_are_forgotten_in_time_and_are_bounded(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain(tmp_path / "photos", 9)
    ingest(store, folder)
    monkeypatch.setattr(removed, "MOST_BYTES", 2 * 4 * 1280)
    for number in range(5):
        (folder / f"{number:02}.png").unlink()
    ingest(store, folder)
    with store.open("photos") as collection:
        kept = RemovedVectors.read(collection)
        assert len(kept._kept) == 2
    monkeypatch.setattr("ingest.collection.removed.now", lambda: "2001-01-01T00:00:00+00:00")
    (folder / "05.png").unlink()
    ingest(store, folder)
    with store.open("photos") as collection:
        assert len(RemovedVectors.read(collection)._kept) == 2, "the one of 2001 is too old"


def test_the_command_says_which_folder_is_gone_and_what_to_do(tags_store: Path, folder: Path, tmp_path: Path) -> None:
    copy_store(tags_store, tmp_path / "store")
    plain(folder / "usb", 4)
    assert command("ingest", "run", folder, "--offline").status == 0
    shutil.rmtree(folder / "usb")
    ran = command("ingest", "run", folder, "--offline")
    assert ran.status == 0
    assert "photos: 8 pictures; 4 unchanged, 4 missing but kept" in ran.err
    assert "the folder 'usb' is gone or empty: 4 pictures are kept, as missing" in ran.err
    assert "with --yes" in ran.err
    assert "pictures    8, labels 4, 4 missing" in command("ingest", "status").out
    refused(command("ingest", "run", folder, "--yes", "--keep-missing"), "--yes", "choose one")
    assert "photos: 4 pictures; 4 unchanged, 4 removed" in command("ingest", "run", folder, "--offline", "--yes").err
