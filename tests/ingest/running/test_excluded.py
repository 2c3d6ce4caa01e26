"""What is left out of a folder: never indexed, or removed where it was indexed before; and what a run would do."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.collection import read_failures
from ingest.pipeline import plan_run
from ingest.stores.embedded import EmbeddedStore
from tests.commands import command
from tests.ingest.runs import OFFLINE, ingest, points


def test_a_nas_gives_each_photo_once(store: EmbeddedStore, folder: Path) -> None:
    for path in [*folder.rglob("*.*")]:
        thumbnails = path.parent / "@eaDir" / path.name
        thumbnails.mkdir(parents=True)
        for size in ("S", "XL"):
            shutil.copyfile(path, thumbnails / f"SYNOPHOTO_THUMB_{size}.jpg")
    bin = folder / "$RECYCLE.BIN/S-1-5-21"
    bin.mkdir(parents=True)
    shutil.copyfile(folder / "flower.jpg", bin / "R1.jpg")
    report = ingest(store, folder)
    assert (report.added, report.total) == (4, 4)
    assert report.left_out.junk == {"@eaDir": 4, "$RECYCLE.BIN": 1}


def test_what_is_excluded_later_is_removed_and_costs_nothing_when_it_comes_back(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    (folder / "cat/bad.jpg").write_bytes(b"rubbish")
    ingest(store, folder)
    (folder / ".wordsightignore").write_text("cat/\n")
    encoded.clear()
    report = ingest(store, folder, replace(OFFLINE, exclude=("*.jpg",), keep_missing=True))
    assert (report.excluded, report.removed, report.missing, report.total) == (3, 0, 0, 1)
    assert sorted(points(store)) == ["coffee/coffee.png"]
    with store.open("photos") as collection:
        assert read_failures(collection) == {}
    (folder / ".wordsightignore").unlink()
    report = ingest(store, folder)
    assert (report.added, report.copied, report.total, report.failed) == (3, 3, 4, 1)
    assert encoded == []


def test_the_run_says_what_was_excluded(folder: Path, store: EmbeddedStore) -> None:
    where = Path(store.where)
    ingest(store, folder)
    store.close()
    (folder / "a.pdf").write_bytes(b"%PDF")
    (folder / "b.txt").write_bytes(b"")
    (folder / "lost+found").mkdir()
    ran = command("ingest", "run", folder, "--store", where, "--offline", "--exclude", "*.png")
    assert ran.status == 0
    assert "photos: 2 pictures; 2 unchanged, 2 excluded by now and removed" in ran.err
    assert "pictures and folders excluded: 2 (2 by *.png)" in ran.err
    assert "folders of other programs' junk left out: 1 (1 lost+found)" in ran.err
    assert "other files left out: 2 (1 .pdf, 1 .txt)" in ran.err


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
    store: EmbeddedStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = plan_run(store, folder, "", OFFLINE)
    assert (new.is_new, new.report.collection, new.report.added, new.sampled) == (True, "photos", 4, 4)
    assert new.seconds > 0
    assert "photos" not in store.names()
    ingest(store, folder)
    shutil.copyfile(folder / "flower.jpg", folder / "new.jpg")
    shutil.copyfile(folder / "flower.jpg", folder / "coffee/coffee.png")
    (folder / "rocket/rocket.jpg").unlink()
    plan = plan_run(store, folder, "", replace(OFFLINE, exclude=("cat/",)))
    told = plan.report
    assert not plan.is_new
    assert (told.added, told.updated, told.unchanged, told.excluded, told.missing) == (1, 1, 1, 1, 1)
    assert sorted(points(store)) == ["cat/chelsea.png", "coffee/coffee.png", "flower.jpg", "rocket/rocket.jpg"]
    ingest(store, folder)
    assert plan_run(store, folder, "", OFFLINE).sampled == 0


def test_a_dry_run_on_the_command_line(folder: Path, store: EmbeddedStore) -> None:
    ran = command("ingest", "run", folder, "--store", store.where, "--offline", "--dry-run")
    assert (ran.status, ran.out) == (0, "")
    assert "photos: to be made; 4 new" in ran.err
    assert re.search(r"reading and encoding 4 pictures would take about \d+ (s|min), as they took now\n", ran.err)
    assert ran.err.endswith("nothing was changed: --dry-run\n")
    assert "photos" not in store.names()
    refused = command("ingest", "run", folder, "--store", store.where, "--dry-run", "--watch")
    assert refused.status == 2
    assert "choose one" in refused.err
