"""`model evaluate` as a user runs it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from model.cli import app
from model.encoders import Encoder
from model.judging import evaluator
from model.projections import ConseProjection, Header
from model.projections.training import BestRecipe
from model.words import Vocabulary, Words
from tests.commands import asked, command, refused
from tests.photographs import labelled_folder, sample

EACH = 11


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos``: three labels to learn and a label of one picture; ``others``: a label that is not there."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    place = tmp_path_factory.mktemp("evaluated")
    originals = sample(place / "originals")
    labelled_folder(place / "photos", originals, ("cat", "coffee", "rocket"), EACH)
    (place / "photos" / "flower").mkdir()
    shutil.copy(place / "photos/cat/00.jpg", place / "photos/flower/00.jpg")
    labelled_folder(place / "others", originals, ("motorcycle",), 3)
    (place / "others" / "motorcycle" / "bad.jpg").write_bytes(b"no picture")
    return place


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("WORDSIGHT_OFFLINE", "1")
    return place


@pytest.fixture(scope="module")
def vocabulary(words: Words, encoder: Encoder) -> Vocabulary:
    return Vocabulary(words, encoder.classifier.names)


@pytest.fixture
def quick(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real tags, chosen once, and fewer fits of fewer steps: either takes seconds."""
    monkeypatch.setattr(evaluator, "Vocabulary", lambda *_: vocabulary)
    monkeypatch.setitem(evaluator.RECIPES, "best", partial(BestRecipe, iterations=8, most_groups=2))


def test_a_folder_is_evaluated_as_lines_and_as_a_page(here: Path) -> None:
    words = ("--unseen", "others", "--projection", "conse", "--report", "new/page")
    ran = command("model", "evaluate", "photos", *words)
    assert ran.status == 0, ran.err
    assert ran.rows[0] == ["figure", "reported", "conse"]
    figures = {row[0]: row[1:] for row in ran.rows}
    assert figures["test hit@2, trained labels"][0] == "60.9"
    assert figures["unseen, own label among 10 tags"][0] == "16/50"
    assert figures["unseen, own label among 10 tags"][1].endswith("/3")
    assert all(len(row) == 3 for row in ran.rows)
    assert f"written to {here / 'new/page/report.html'}" in ran.err
    assert "left out 'motorcycle/bad.jpg'" in ran.err
    page = (here / "new/page/report.html").read_text()
    assert page.count("<img ") == 3
    assert ran.rows[5][2] in page


def test_json_has_every_figure_and_all_are_evaluated_on_the_same_pictures(here: Path, quick: None) -> None:
    words = ("--unseen", "others", "--projection", "best", "--projection", "conse", "--json")
    ran = asked(app, "evaluate", "photos", *words)
    assert ran.status == 0, ran.err
    best, conse = ran.json
    assert (best["projection"], conse["projection"]) == ("best", "conse")
    for found in (best, conse):
        assert (found["labels"], found["unseen_labels"]) == (3, 1)
        counts = {(hit["part"], hit["among"]): hit["of"] for hit in found["hits"]}
        assert counts["train", "trained labels"] + counts["test", "trained labels"] == 3 * EACH
        assert counts["unseen", "all labels"] == found["named"]["of"] == 3
        assert all(hit["low"] <= hit["percent"] <= hit["high"] for hit in found["hits"])
    places = [[(hit["part"], hit["among"], hit["k"], hit["of"]) for hit in found["hits"]] for found in (best, conse)]
    assert places[0] == places[1]
    learnt = {hit["k"]: hit["percent"] for hit in best["hits"] if hit["part"] == "train"}
    assert learnt[1] == 100.0


def test_what_cannot_be_evaluated_is_refused(here: Path, words: Words, encoder: Encoder) -> None:
    (here / "file").write_text("dear")
    both = here / "both" / "cat"
    both.mkdir(parents=True, exist_ok=True)
    shutil.copy(here / "photos/cat/01.jpg", both / "01.jpg")
    header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
    made = ConseProjection.build(encoder.classifier, header, words)
    made.header = replace(made.header, words_sha256="f" * 64)
    made.save(here / "other.safetensors")
    for options, message in (
        (["others"], "too few labels in others"),
        (["nowhere"], "no folder nowhere"),
        (["photos", "--hold-out", "unicorn"], "no label 'unicorn' to hold out: there are cat, coffee"),
        (["photos", "--hold-out", "cat", "--hold-out", "rocket"], "too few labels in photos"),
        (["photos", "--unseen", "nowhere"], "no folder nowhere"),
        (["photos", "--unseen", "photos/cat"], "no labels in photos/cat"),
        (["photos", "--unseen", "both"], "'cat' is a label of photos and of both"),
        (["photos", "--projection", "nowhere"], "cannot read the projection nowhere"),
        (["photos", "--projection", "joint"], "the projection 'joint' is now called 'best': use --projection best"),
        (["photos", "--projection", "file"], "file is not a projection"),
        (["photos", "--projection", "other.safetensors"], "ffffffff"),
        (["photos", "--report", "file"], "cannot write"),
    ):
        ran = asked(app, "evaluate", *options)
        refused(ran, message)
        assert "encoding" not in ran.err
    assert (here / "file").read_text() == "dear"


def test_a_held_out_label_is_unseen_and_figures_are_shown_though_the_page_cannot_be_written(
    here: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("model.judging.report.replace_file", full)
    words = ("--hold-out", "rocket", "--projection", "conse", "--report", "full", "--json")
    ran = asked(app, "evaluate", "photos", *words)
    assert ran.status == 2
    found = json.loads(ran.out)
    assert (found["labels"], found["unseen_labels"], found["named"]["of"]) == (2, 1, EACH)
    assert "No space left on device" in ran.err
