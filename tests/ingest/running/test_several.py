"""`ingest run` of several folders, and of single files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ingest.pipeline import run_files
from ingest.stores.embedded import EmbeddedStore
from model.errors import DatasetError
from tests.commands import command, refused
from tests.ingest.runs import OFFLINE, ingest, points


def counts(store: EmbeddedStore, *paths: Path) -> list[tuple[str, int, int, int]]:
    reports = run_files(store, paths, "", OFFLINE)
    return [(report.collection, report.added, report.updated, report.total) for report in reports]


def test_each_folder_gets_its_collection_and_one_that_fails_keeps_none_from_its_turn(
    store: EmbeddedStore, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "scans"
    other.mkdir()
    shutil.copyfile(folder / "flower.jpg", other / "a.jpg")
    shutil.copyfile(folder / "flower.jpg", other / "b.jpg")
    where = ["--store", store.where, "--offline"]
    ran = command("ingest", "run", folder, tmp_path / "nowhere", other, *where)
    assert ran.status == 2
    assert "photos: 4 pictures; 4 new" in ran.err
    assert "scans: 2 pictures; 2 new" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: no folder ")
    refused(command("ingest", "run", folder, other, "-c", "x", *where), "each folder gets a collection of its own")
    refused(command("ingest", "run", folder, other, "--watch", *where), "--watch stays with one folder")
    plan = command("ingest", "run", folder, other, "--dry-run", *where)
    assert plan.status == 0
    assert "photos: 4 pictures; 4 unchanged" in plan.err
    assert "scans: 2 pictures; 2 unchanged" in plan.err


def test_single_files_go_into_the_collections_around_them(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    ingest(store, folder)
    ingest(store, folder / "cat")
    encoded.clear()
    shutil.copyfile(folder / "rocket/rocket.jpg", folder / "cat/new.jpg")
    shutil.copyfile(folder / "cat/chelsea.png", folder / "rocket/rocket.jpg")
    (folder / "coffee/coffee.png").unlink()
    found = counts(store, folder / "cat/new.jpg", folder / "rocket/rocket.jpg", folder / "flower.jpg")
    assert found == [("cat", 1, 0, 2), ("photos", 0, 1, 4)]
    assert encoded == ["new.jpg"], "the other content was known"
    assert "coffee/coffee.png" in points(store), "nothing else was looked at"
    assert counts(store, folder / "cat/new.jpg") == [("cat", 0, 0, 2)]


def test_files_that_a_run_of_their_folder_would_not_take_are_refused(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    (folder / "cat/.wordsightignore").write_text("private*\n")
    for name in ("cat/private.jpg", "cat/.hidden.jpg", "lost+found/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / "flower.jpg", folder / name)
    (folder / "notes.txt").write_text("")
    elsewhere = folder.parent / "a.jpg"
    shutil.copyfile(folder / "flower.jpg", elsewhere)
    for path, told in (
        (folder / "cat/private.jpg", "cat/private.jpg is left out of .*: a pattern says so"),
        (folder / "cat/.hidden.jpg", "it is hidden"),
        (folder / "lost+found/a.jpg", "its folder is junk"),
        (folder / "notes.txt", "no picture by its name or its first bytes"),
        (folder / "gone.jpg", "no file .*gone.jpg: `ingest run "),
        (elsewhere, "no collection holds the folder of .*a.jpg: `ingest run "),
    ):
        with pytest.raises(DatasetError, match=told):
            counts(store, folder / "flower.jpg", path)
    assert len(points(store)) == 4
