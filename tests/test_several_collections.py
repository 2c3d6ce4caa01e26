"""One question to several collections of a store, or to all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.stores.embedded import EmbeddedStore
from query.cli import app
from tests.commands import Ran, asked, refused
from tests.copies import copy_store
from tests.ingest.runs import OFFLINE, ingest, store_with_tags

LABELS = {"pets": ("cat", "coffee"), "trips": ("rocket", "flower")}


@pytest.fixture(scope="module")
def place(originals: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections made alike."""
    place = tmp_path_factory.mktemp("several")
    with store_with_tags(tags_store, place / "store") as store:
        for name, labels in LABELS.items():
            for label in labels:
                shutil.copytree(originals / label, place / name / label)
            ingest(store, place / name, replace(OFFLINE, projection="conse"))
    return place


@pytest.fixture(autouse=True)
def at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_STORE", str(place / "store"))
    monkeypatch.chdir(place)


def rows(ran: Ran) -> list[tuple[str, str]]:
    assert ran.status == 0, ran.err
    return [(row["collection"], row["path"].split("/")[0]) for row in ran.json]


def test_the_answers_of_all_collections_are_ranked_together() -> None:
    ran = asked(app, "text", "cat", "-c", "all", "--json")
    assert rows(ran)[0] == ("pets", "cat")
    assert len(rows(ran)) == 4
    assert "different models" not in ran.err
    scores = [row["score"] for row in ran.json[1:]]
    assert scores == sorted(scores, reverse=True)
    assert rows(asked(app, "text", "rocket", "-c", "pets", "-c", "trips", "--json", "-n", "1")) == [("trips", "rocket")]


def test_each_answer_is_as_its_collection_gives_it() -> None:
    together = {
        row["file"]: row["score"] for row in asked(app, "similar", "pets/cat/chelsea.png", "-c", "all", "--json").json
    }
    apart: dict[str, float] = {}
    for name in LABELS:
        ran = asked(app, "similar", "pets/cat/chelsea.png", "-c", name, "--json")
        apart |= {row["file"]: row["score"] for row in ran.json}
    assert together == pytest.approx(apart, abs=1e-5)
    assert len(together) == 3, "the picture asked about is none of them"


def test_a_folder_of_one_dataset_leaves_out_the_other(place: Path) -> None:
    ran = asked(app, "text", "cat", "-c", "all", "--json", "--under", str(place / "trips/rocket"))
    assert rows(ran) == [("trips", "rocket")]
    assert f"left out: {place / 'trips/rocket'} is not in the dataset {place / 'pets'}" in ran.err
    refused(asked(app, "text", "cat", "-c", "all", "--under", "/nowhere"), "/nowhere is not in the dataset")


def test_what_stands_out_comes_first_from_all() -> None:
    ran = asked(app, "text", "rocket", "-c", "all", "--json", "--min-score", "auto")
    standing = [row["stands_out"] for row in ran.json]
    assert standing == sorted(standing, reverse=True)
    assert ran.json[0]["path"].startswith("rocket/")
    assert f"{sum(standing)} stand out, in all these collections together" in ran.err


def test_what_other_models_gave_is_ordered_by_place(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store(place / "store", tmp_path / "store")
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))
    with EmbeddedStore(tmp_path / "store") as store, store.open("trips", write=True) as collection:
        collection.save(replace(collection.metadata, encoder_sha256="f" * 64))
    ran = asked(app, "text", "coffee", "-c", "all", "--json")
    assert [name for name, _ in rows(ran)] == ["pets", "trips", "pets", "trips"]
    assert "made with different models, whose scores are not compared: pets; trips" in ran.err


def test_what_is_of_one_collection_asks_one() -> None:
    several = "this asks one collection: choose with -c pets | trips"
    refused(asked(app, "tags", "pets/cat/chelsea.png", "-c", "all"), several)
    refused(asked(app, "text", "cat", "-c", "pets", "-c", "nothing"), "no collection 'nothing'")


def test_the_environment_names_a_collection_with_blanks_in_its_name(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDSIGHT_COLLECTION", "no such one")
    refused(asked(app, "text", "cat"), "no collection 'no such one'")
    monkeypatch.setenv("WORDSIGHT_COLLECTION", "all")
    assert len(rows(asked(app, "text", "cat", "--json"))) == 4
