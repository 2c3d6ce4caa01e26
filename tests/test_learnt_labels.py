"""A collection of sentences whose folders mean something and nothing: what it learns, says and answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import Options, read_collection_projection, read_label_classes, switch_projection
from ingest.errors import StoreInUse
from ingest.pipeline import ExportOptions, export_collection, reproject, run_folder
from ingest.stores import CLASSES
from ingest.stores.embedded import EmbeddedStore
from query import open_collection
from tests.commands import command
from tests.copies import copy_store
from tests.photographs import labelled_folder

LABELS = ("cat", "rocket", "coffee")
TRIPS = ("2019-07 Italy", "Family")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, originals: Path, shared_cache: Path) -> tuple[Path, Path]:
    """A store and its folder: twelve pictures in each of three folders named after them, and in two named after trips
    as many of each."""
    place = tmp_path_factory.mktemp("learnt")
    folder = labelled_folder(place / "archive", originals, LABELS, 12)
    spare = labelled_folder(place / "spare", originals, LABELS, 20)
    for number, trip in enumerate(TRIPS):
        (folder / trip).mkdir()
        for label in LABELS:
            for picture in sorted((spare / label).iterdir())[12 + number :: 2]:
                shutil.copyfile(picture, folder / trip / f"{label}-{picture.name}")
    with pytest.MonkeyPatch.context() as patch, EmbeddedStore(place / "store") as store:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        run_folder(store, folder, "archive", Options(words="minilm", offline=True))
    return place / "store", folder


@pytest.fixture(autouse=True)
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(shared_cache))


def classes(store: EmbeddedStore) -> set[int]:
    """Those from 1000 on that any picture shows."""
    with store.open("archive") as collection:
        points = [point for page in collection.scroll([CLASSES]) for point in page]
    shown = np.concatenate([point.sparse[CLASSES].indices for point in points])
    return set(shown[shown >= 1000].tolist())


def test_folders_that_name_their_pictures_are_learnt_and_trips_are_not(archive: tuple[Path, Path]) -> None:
    with EmbeddedStore(archive[0]) as store:
        metadata = store.metadata("archive")
        assert metadata.trained == ("cat", "coffee", "rocket")
        assert metadata.not_learnt == ("2019-07 Italy", "Family")
        assert classes(store) == {1000, 1001, 1002}
    shown = command("ingest", "status", "--store", archive[0])
    assert "trained on 3 labels" in shown.out
    assert "not learnt  2019-07 Italy, Family" in shown.out


@pytest.mark.parametrize("question", ["coffee", "coffees", "a photo of a black coffee"])
def test_a_label_its_plural_and_a_phrase_around_it_find_its_pictures_wherever_they_lie(
    question: str, archive: tuple[Path, Path]
) -> None:
    with open_collection(archive[0]) as collection:
        hits = collection.text(question, limit=20).hits
    assert all("coffee" in hit.picture.path for hit in hits)
    assert {hit.picture.label for hit in hits} == {"coffee", "Family", "2019-07 Italy"}
    assert all(0.2 < hit.score <= 1 for hit in hits)


def test_a_picture_gets_no_tag_that_was_not_learnt(archive: tuple[Path, Path]) -> None:
    picture = next((archive[1] / "Family").iterdir())
    shown = command("query", "tags", picture, "-n", "50", "--store", archive[0])
    assert shown.status == 0
    assert "family" not in shown.out.lower()


def test_a_snapshot_takes_the_labels_along(archive: tuple[Path, Path], tmp_path: Path) -> None:
    with EmbeddedStore(archive[0]) as store:
        export_collection(store, "archive", tmp_path / "snapshot", ExportOptions())
    for question in ("coffees", "animal"):
        with open_collection(archive[0]) as live, open_collection(tmp_path / "snapshot") as carried:
            answers = [
                [(hit.picture.path, round(hit.score, 4)) for hit in one.text(question, limit=30).hits]
                for one in (live, carried)
            ]
        assert answers[0] == answers[1]


def test_without_training_nothing_of_the_labels_is_left(archive: tuple[Path, Path], tmp_path: Path) -> None:
    copy_store(archive[0], tmp_path / "store")
    with EmbeddedStore(tmp_path / "store") as store:
        reproject(store, "archive", "conse")
        assert (store.metadata("archive").trained, store.metadata("archive").stale) == ((), False)
        assert classes(store) == set()
    with open_collection(tmp_path / "store") as collection:
        assert "coffee" in collection.text("coffee", limit=1).hits[0].picture.path


def test_labels_of_the_projection_before_answer_nothing(archive: tuple[Path, Path], tmp_path: Path) -> None:
    copy_store(archive[0], tmp_path / "store")
    with EmbeddedStore(tmp_path / "store") as store:
        with store.open("archive", write=True) as collection:  # killed before the labels were brought up to date
            projection = read_collection_projection(collection)
            projection.tensors["directions"] = projection.tensors["directions"][::-1].copy()
            switch_projection(collection, projection, lambda _: None)
        assert (store.metadata("archive").pending, store.metadata("archive").stale) == ("relabelling", True)
        with (
            open_collection(tmp_path / "store") as photos,
            pytest.raises(StoreInUse, match="the projection of 'archive' is being changed"),
        ):
            photos.text("coffee", names=False)
        run_folder(store, archive[1], "archive", Options(words="minilm", offline=True))
        assert (store.metadata("archive").pending, store.metadata("archive").stale) == ("", False)
    with open_collection(tmp_path / "store") as photos:
        assert "coffee" in photos.text("coffee", limit=1).hits[0].picture.path


def test_labels_that_are_damaged_are_made_anew(archive: tuple[Path, Path], tmp_path: Path) -> None:
    copy_store(archive[0], tmp_path / "store")
    (kept,) = (tmp_path / "store").rglob("label-classes.npz")
    sound = kept.read_bytes()
    kept.write_bytes(sound[:-100] + bytes(100))
    asked = command("query", "text", "coffees", "--store", tmp_path / "store")
    assert (asked.status, asked.out) == (2, "")
    assert "label-classes.npz" in asked.err
    assert command("ingest", "check", "--repair", "--store", tmp_path / "store").status == 0
    assert kept.read_bytes() == sound


def test_a_collection_made_with_a_trained_file_asks_for_its_labels(
    archive: tuple[Path, Path], originals: Path, tmp_path: Path
) -> None:
    (head,) = archive[0].rglob("collections/archive/projection.safetensors")
    options = Options(words="minilm", projection=str(head), offline=True)
    with EmbeddedStore(tmp_path / "store") as store:
        run_folder(store, labelled_folder(tmp_path / "more", originals, LABELS, 3), "more", options)
        metadata = store.metadata("more")
        assert (metadata.trained, metadata.not_learnt) == (("cat", "coffee", "rocket"), ("2019-07 Italy", "Family"))
        with store.open("more") as collection:
            labels = read_label_classes(collection)
    assert labels is not None
    assert labels.names == ("cat", "coffee", "rocket")


@pytest.mark.parametrize("file", ["label-classes.npz", "projection.safetensors"])
def test_a_file_that_is_lost_is_told_of_and_made_again(file: str, archive: tuple[Path, Path], tmp_path: Path) -> None:
    copy_store(archive[0], tmp_path / "store")
    store, picture = ("--store", tmp_path / "store"), next((archive[1] / "coffee").iterdir())
    before = command("query", "tags", picture, "-n", "1", *store).out
    assert "coffee" in before
    (tmp_path / "store" / "collections" / "archive" / file).unlink()
    for asked in (("tags", picture), ("text", "coffee")):
        told = command("query", *asked, *store)
        assert (told.status, told.out) == (2, "")
        assert f"{file} is missing: `ingest check --repair -c archive`" in told.err
    assert f"{file} is missing" in command("ingest", "check", *store).out
    assert "has lost what was kept with it" in command("ingest", "run", archive[1], "-c", "archive", *store).err
    assert command("query", "tags", picture, "-n", "1", *store).out == before
