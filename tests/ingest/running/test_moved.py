"""Which collection a folder belongs to: it is known by its contents, and what is not clear is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from ingest.collection import Options
from ingest.records import Pending
from ingest.stores.embedded import EmbeddedStore
from model.errors import UsageError
from tests.commands import command, refused
from tests.copies import copy_store
from tests.ingest.runs import ingest, points

Captured = pytest.CaptureFixture[str]


def test_a_moved_folder_keeps_its_collection_whatever_it_is_called_now(
    store: EmbeddedStore, folder: Path, tmp_path: Path, encoded: list[str], capsys: Captured
) -> None:
    ingest(store, folder)
    encoded.clear()
    new = tmp_path / "disk" / "all my pictures"
    new.parent.mkdir()
    folder.rename(new)
    Image.new("RGB", (40, 30), "red").save(new / "red.png")
    report = ingest(store, new)
    assert (report.collection, report.added, report.unchanged, report.total) == ("photos", 1, 4, 5)
    assert encoded == ["red.png"]
    assert f"it is 'photos', moved from {folder}" in capsys.readouterr().err
    assert store.metadata("photos").root == str(new)
    again = tmp_path / "photos"
    new.rename(again)
    assert ingest(store, again).unchanged == 5


def test_a_folder_of_other_pictures_takes_nothing_over(store: EmbeddedStore, folder: Path, tmp_path: Path) -> None:
    ingest(store, folder)
    other = tmp_path / "other"
    other.mkdir()
    folder.rename(tmp_path / "away")
    shutil.copy(tmp_path / "away/flower.jpg", other)
    assert ingest(store, other).collection == "other", "one copy of four pictures is not the folder"
    assert store.metadata("photos").root == str(folder)


def test_a_copy_of_a_folder_that_is_there_gets_a_collection_of_its_own(
    store: EmbeddedStore, folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    ingest(store, folder)
    shutil.copytree(folder, tmp_path / "copy")
    assert ingest(store, tmp_path / "copy").collection == "copy"
    assert f"{tmp_path}/copy holds the pictures of 'photos', whose folder {folder} is there too" in (
        capsys.readouterr().err
    )
    assert len(points(store)) == 4


def test_a_folder_inside_one_that_is_held_says_so(store: EmbeddedStore, folder: Path, capsys: Captured) -> None:
    ingest(store, folder)
    assert ingest(store, folder / "cat").collection == "cat"
    assert f"{folder}/cat lies in {folder}, which 'photos' holds: `ingest run {folder}` brings that" in (
        capsys.readouterr().err
    )


def test_of_several_collections_of_one_folder_one_must_be_chosen(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder, name="one")
    ingest(store, folder, name="two")
    with pytest.raises(UsageError, match=r"several collections hold .*photos: choose with -c one \| two"):
        ingest(store, folder)
    assert ingest(store, folder, name="two").unchanged == 4


def test_the_collection_of_the_environment_counts_for_a_run_and_questions_say_which_they_ask(
    tags_store: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store(tags_store, tmp_path / "store")
    monkeypatch.setenv("WORDSIGHT_COLLECTION", "chosen")
    assert "chosen: 4 pictures" in command("ingest", "run", folder, "--offline").err
    monkeypatch.delenv("WORDSIGHT_COLLECTION")
    assert command("ingest", "run", folder, "--offline", "-c", "other").status == 0
    refused(command("ingest", "run", folder), "-c chosen | other")
    ran = command("query", "text", "cat", "-n", "1", cwd=folder)
    assert "asking 'other'; 'chosen' hold the same folder: -c chooses" in ran.err


def test_a_collection_that_was_finished_meanwhile_is_not_dropped(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    store.drop_unfinished("photos")
    assert len(points(store)) == 4


def test_a_collection_that_says_it_is_being_made_is_looked_at_again_under_the_lock(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run was making it when this one looked, and has ended since."""
    ingest(store, folder)
    real, looks = type(store).metadata, []

    def metadata(self: EmbeddedStore, name: str) -> object:
        looks.append(name)
        found = real(self, name)
        object.__setattr__(found, "pending", Pending.CREATING if len(looks) == 1 else found.pending)
        return found

    monkeypatch.setattr(type(store), "metadata", metadata)
    report = ingest(store, folder, Options(offline=True), name="photos")
    assert (report.unchanged, report.added) == (4, 0)
