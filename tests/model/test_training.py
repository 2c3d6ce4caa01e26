"""Training: the figures, and a head that does learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.encoders import Classifier, Features
from model.errors import DatasetError, UsageError
from model.projections import Header, Projection, read_projection, unit
from model.projections.training import (
    BestRecipe,
    DocumentRecipe,
    Labelled,
    Recipe,
    ranks,
    recipe_of,
    train,
)
from model.projections.training.best import LabelClassifier, fit_labels
from model.projections.training.document import Head, train_head
from model.projections.training.hits import hits
from model.words import Words
from model.words.conversion import convert
from tests.model.projections import hashes

HEADER = Header("", "efficientnet-lite0", "e" * 64, "glove-6b-50d", "w" * 64)
ANIMALS = ("dolphin", "elephant", "kangaroo", "lobster", "owl", "pigeon")


def separable(labels: tuple[str, ...] = ANIMALS, each: int = 25, width: int = 40) -> Labelled:
    """Pictures that lie in one cloud a label, the clouds well apart, in mixed order."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(labels), width)) * 3
    rows = rng.permutation(np.arange(len(labels)).repeat(each))
    features = np.maximum(centres[rows] + rng.normal(size=(len(rows), width)), 0).astype(np.float32)
    return Labelled(features, [labels[row] for row in rows], hashes(len(rows)))


def classifier(width: int = 40, classes: int = 1000) -> Classifier:
    """A last layer that has nothing to say of these pictures."""
    rng = np.random.default_rng(9)
    return Classifier(
        rng.normal(size=(classes, width)).astype(np.float32) * 0.05, np.zeros(classes, np.float32), ("",) * classes
    )


def trained_on(data: Labelled, words: Words, recipe: Recipe, **more: Any) -> Projection:
    return train(data, words, HEADER, classifier(data.features.shape[1]), recipe=recipe, **more)


# Figures


class Fixed(Projection):
    """Gives out what it was given."""

    kind = "fixed"
    width = 4

    def project(self, features: Features) -> NDArray[np.float32]:
        return features


@pytest.mark.parametrize("rows_at_a_time", [2, 1024])
def test_hit_at_k_is_counted_as_by_hand(rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.projections.training.hits.BLOCK_ROWS", rows_at_a_time)
    targets = np.eye(4, dtype=np.float32)
    projected = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],  # label 0 first
            [0.9, 0.1, 0.2, 0.3],  # label 3 second
            [0.9, 0.1, 0.2, 0.3],  # label 2 third
            [0.9, 0.1, 0.2, 0.3],  # label 1 last
            [0.0, 0.0, 0.1, 0.0],  # label 2 first
            [0.5, 0.4, 0.3, 0.2],  # label 3 last
        ],
        np.float32,
    )
    figures = hits(Fixed(HEADER, {}).project, projected, np.array([0, 3, 2, 1, 2, 3]), targets)
    assert figures == {"1": 33.3, "2": 50.0, "3": 66.7, "5": 100.0, "10": 100.0}
    assert list(figures) == ["1", "2", "3", "5", "10"]


def test_a_rank_is_how_many_labels_score_higher() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.5, 0.5, 0.1]], np.float32)
    assert ranks(scores, np.array([0, 1, 2, 1])).tolist() == [0, 1, 2, 0]
    assert ranks(np.full((1, 3), np.nan, np.float32), np.array([0])).tolist() == [3]


def test_the_hits_of_a_fit_are_counted_as_by_hand() -> None:
    """Of four labels, by features of which each is one label's logit, squared."""
    fitted = LabelClassifier(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), 0.0)
    features = np.array([[16, 9, 4, 1]] * 4, np.float32)
    labels = np.array([0, 1, 2, 3])
    assert [fitted.hit_percent(features, labels, k) for k in (1, 2, 3, 4)] == [25.0, 50.0, 75.0, 100.0]


def test_no_pictures_give_no_figures() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert hits(Fixed(HEADER, {}).project, empty, np.zeros(0, int), np.eye(4, dtype=np.float32)) == {}


def test_numbers_that_are_none_hit_nothing() -> None:
    targets = np.eye(12, dtype=np.float32)
    broken = np.full((3, 12), np.nan, np.float32)
    assert set(hits(Fixed(HEADER, {}).project, broken, np.array([0, 1, 2]), targets).values()) == {0.0}


# Learning


@pytest.fixture(scope="module", params=[DocumentRecipe(epochs=30), BestRecipe()], ids=["document", "best"])
def learnt(request: pytest.FixtureRequest, words: Words) -> Projection:
    return trained_on(separable(), words, request.param)


def test_what_can_be_told_apart_is_learnt(learnt: Projection) -> None:
    assert learnt.header.figures["train"]["1"] > 95
    assert learnt.header.figures["test"]["1"] > 90
    assert learnt.header.figures["test"]["5"] >= learnt.header.figures["test"]["2"]


def test_a_picture_lands_near_the_word_of_its_label(learnt: Projection, words: Words) -> None:
    data = separable()
    targets = np.stack([words.phrase(label).vector for label in ANIMALS])
    best = (learnt.project(data.features) @ targets.T).argmax(axis=1)
    assert np.mean([ANIMALS[row] == label for row, label in zip(best, data.labels, strict=True)]) > 0.95
    found = learnt.project(data.features)
    assert np.isfinite(found).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_labels_that_say_nothing_about_the_pictures_are_not_learnt(words: Words) -> None:
    """The pictures held back are indeed held back: noise is known by heart, but only where it was seen."""
    data = separable(each=40, width=400)
    shuffled = replace(data, labels=list(np.random.default_rng(1).permutation(data.labels)))
    figures = trained_on(shuffled, words, DocumentRecipe(epochs=30)).header.figures
    assert figures["test"]["1"] < 40 < figures["train"]["1"]


def test_the_header_records_labels_recipe_and_what_was_held_back(learnt: Projection) -> None:
    header = learnt.header
    assert header.kind == header.recipe["name"] in ("best", "document")
    assert list(header.labels) == sorted(ANIMALS)
    assert sum(header.labels.values()) + len(header.test) == len(separable().labels)
    assert header.recipe["test_share"] == 0.2
    assert header.label_phrases == sorted(ANIMALS)
    assert all(step["loss"] >= 0 for step in header.history)
    assert header.history[0]["hit@2"] > 0
    assert set(header.test) <= {sha256[:16] for sha256 in separable().sha256}
    assert header.created.endswith("+00:00")
    assert read_projection(learnt.to_bytes(), "it").header == header


def test_the_same_seed_gives_the_same_tensors_and_another_others(words: Words) -> None:
    data = separable(ANIMALS[:3], each=12)
    runs = []
    for seed in (5, 5, 6):
        torch.rand(1)  # whatever was drawn before
        runs.append(trained_on(data, words, DocumentRecipe(epochs=3, seed=seed)))
    first, again, other = runs
    for name, tensor in first.tensors.items():
        assert np.array_equal(tensor, again.tensors[name]), name
    assert first.header.test == again.header.test != other.header.test
    assert not np.array_equal(first.tensors["first.weight"], other.tensors["first.weight"])


def test_the_seed_decides_where_a_head_begins() -> None:
    features, labels, targets = np.ones((12, 4), np.float32), np.arange(12) % 2, np.eye(2, 5, dtype=np.float32)
    one, other = (train_head(features, labels, targets, DocumentRecipe(epochs=0, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one["first.weight"], other["first.weight"])


def test_training_leaves_torchs_own_dice_alone(words: Words) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    trained_on(separable(ANIMALS[:2], each=10), words, DocumentRecipe(epochs=1))
    assert torch.equal(torch.rand(3), wanted)


def test_only_learnable_labels_are_trained_on(words: Words) -> None:
    data = separable((*ANIMALS[:3], "qwxyzzy", "2019"), each=12)
    document = trained_on(data, words, DocumentRecipe(epochs=2))
    assert list(document.header.labels) == sorted(ANIMALS[:3])


def test_nothing_to_learn_from_says_what_was_found(words: Words) -> None:
    with pytest.raises(DatasetError, match=r"with 10 pictures each.*labels found: 3, pictures with one: 27"):
        trained_on(separable(ANIMALS[:3], each=9), words, BestRecipe())


def test_each_epoch_reports_a_loss_that_falls(words: Words) -> None:
    steps: list[str] = []
    trained_on(separable(each=12), words, DocumentRecipe(epochs=12), on_step=steps.append)
    losses = [float(line.split(",")[0].removeprefix("loss ")) for line in steps]
    assert all("test hit@2" in line for line in steps)
    assert len(losses) == 12
    assert losses[-1] < losses[0] * 0.7


@pytest.mark.parametrize("count", [2, 65, 129])
def test_a_last_batch_of_one_picture_stops_nothing(count: int) -> None:
    """BatchNorm has no statistics of a single picture."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, 8)).astype(np.float32)
    targets = unit(rng.normal(size=(2, 5)).astype(np.float32))
    tensors = train_head(features, np.arange(count) % 2, targets, DocumentRecipe(epochs=2))
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert tensors.keys() == {name for name in Head(8, 5).state_dict() if not name.endswith("num_batches_tracked")}


def test_early_stopping_ends_the_training_and_keeps_the_best_epoch(words: Words) -> None:
    noise = separable(each=12)
    shuffled = replace(noise, labels=list(np.random.default_rng(1).permutation(noise.labels)))
    steps: list[str] = []
    stopped = trained_on(shuffled, words, DocumentRecipe(epochs=60, patience=3), on_step=steps.append)
    assert 4 <= len(steps) < 60
    assert stopped.header.recipe["patience"] == 3


# The best recipe


def test_the_best_recipe_gives_the_same_file_each_time(words: Words) -> None:
    first, again = (trained_on(separable(ANIMALS[:3], each=12), words, BestRecipe()) for _ in range(2))
    for name, tensor in first.tensors.items():
        assert np.array_equal(tensor, again.tensors[name]), name


def test_what_was_never_trained_is_left_to_the_classes(words: Words) -> None:
    """Pictures of a class the encoder is sure of, far from what was trained: the gate must close."""
    data = separable((*ANIMALS, "piano"), each=30)
    piano = np.array([label == "piano" for label in data.labels])
    last = classifier()
    for row, label in enumerate((*ANIMALS, "piano")):  # classes that the encoder knows, as it would of ImageNet
        last.weight[row] = data.features[[own == label for own in data.labels]].mean(axis=0) / 10
    seen = np.flatnonzero(~piano)
    seen_only = Labelled(data.features[seen], [data.labels[i] for i in seen], [data.sha256[i] for i in seen])
    best = train(seen_only, words, HEADER, last, recipe=BestRecipe())
    sure = [
        best.tag_evidence(features).named.get(label, 0.0)
        for features, label in zip(data.features, data.labels, strict=True)
    ]
    unsure = [max(best.tag_evidence(row).named.get(label, 0.0) for label in ANIMALS) for row in data.features[piano]]
    assert np.median(np.array(sure)[~piano]) > 0.2  # .25 to .28 by processor, half: no class says what the labels say
    assert np.median(unsure) < 0.15  # .07 to .12; with the gate open .33


def noise(each: int, labels: int, width: int = 300, seed: int = 3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures without anything that their labels have in common."""
    rng = np.random.default_rng(seed)
    features = np.abs(rng.normal(size=(each * labels, width))).astype(np.float32)
    return features, np.arange(each * labels) % labels


def test_the_gate_is_calibrated_on_pictures_that_were_not_trained_on() -> None:
    """Noise is known by heart where it was trained on, and only there: the pictures held back of trained labels look
    like those of the labels left out, and the margin says nothing. Fitted on trained pictures, the slope is 0.14."""
    features, labels = noise(each=40, labels=8)
    slope, _ = fit_labels(features, labels, 8, classifier(300), BestRecipe())["gate"].tolist()
    assert abs(slope) < 0.05


def test_the_gate_is_calibrated_on_labels_that_were_left_out() -> None:
    """Labels well apart: the margin tells those that were trained from the one left out. If none were left out, it
    would be the same of all, and the slope -0.2."""
    data = separable(each=30)
    labels = np.unique(data.labels, return_inverse=True)[1]
    slope, _ = fit_labels(data.features, labels, 6, classifier(), BestRecipe())["gate"].tolist()
    assert slope > 1


def test_the_best_recipe_needs_a_classifier_and_the_documents_does_not(words: Words) -> None:
    data = separable(ANIMALS[:2], each=10)
    with pytest.raises(UsageError, match=r"efficientnet-lite0 has no classes of its own, and .* the recipe `best`"):
        train(data, words, HEADER, None, recipe=BestRecipe())
    assert train(data, words, HEADER, None, recipe=DocumentRecipe(epochs=1)).header.kind == "document"


def test_two_labels_are_enough(words: Words) -> None:
    best = trained_on(separable(ANIMALS[:2], each=10), words, BestRecipe())
    assert best.header.figures["train"]["1"] == 100
    assert np.isfinite(best.tensors["gate"]).all()


def test_recipes_are_chosen_by_name_with_what_they_have() -> None:
    assert recipe_of("best", seed=3, epochs=None) == BestRecipe(seed=3)
    assert recipe_of("document", epochs=5) == DocumentRecipe(epochs=5)
    with pytest.raises(UsageError, match="no recipe 'fast': there are best, document"):
        recipe_of("fast")
    with pytest.raises(UsageError, match="'best' has no epochs: add --recipe document"):
        recipe_of("best", epochs=5)


@pytest.mark.parametrize("recipe", [DocumentRecipe(epochs=2), BestRecipe(iterations=3)], ids=["document", "best"])
def test_recipes_run_with_the_shapes_of_the_standard_pair(recipe: Recipe, tmp_path: Path) -> None:
    """4096 features, 300 numbers a word: the head then has the document's parameters (test_projection)."""
    names = ["dog", "cat"]
    vectors = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    convert([(names, vectors)], "glove-6b-300d", 300, "0" * 64, tmp_path / "w")
    data = separable(("dog", "cat"), each=12, width=4096)
    header = Header("", "vgg16", "e" * 64, "glove-6b-300d", "0" * 64)
    made = train(data, Words(tmp_path / "w"), header, classifier(4096), recipe=recipe)
    assert made.width == 4096
    assert made.project(data.features).shape == (24, 300)
    assert read_projection(made.to_bytes(), "it").header == made.header
