"""Training: what can be learnt, the split, the figures, and a head that does learn."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model import training
from model.devise import Head, train_head
from model.encoder import Features
from model.errors import DatasetError
from model.projection import Devise, Header, Projection, read_projection, unit
from model.training import (
    HASH_DIGITS,
    HIT_AT,
    MIN_PICTURES,
    TEST_SHARE,
    Labelled,
    Recipe,
    hits,
    learnable_labels,
    split,
    train_devise,
)
from model.words import Words

HEADER = Header("", "efficientnet-lite0", "e" * 64, "glove-6b-50d", "w" * 64)
ANIMALS = ("dolphin", "elephant", "kangaroo", "lobster", "owl", "pigeon")


def hashes(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def separable(labels: tuple[str, ...] = ANIMALS, each: int = 25, width: int = 40) -> Labelled:
    """Pictures that lie in one cloud a label, the clouds well apart, in mixed order."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(labels), width)) * 3
    rows = rng.permutation(np.arange(len(labels)).repeat(each))
    features = np.maximum(centres[rows] + rng.normal(size=(len(rows), width)), 0).astype(np.float32)
    return Labelled(features, [labels[row] for row in rows], hashes(len(rows)))


# Which labels


def test_labels_need_ten_pictures_and_a_word(words: Words) -> None:
    counts = Counter(dog=MIN_PICTURES, cat=MIN_PICTURES - 1, sea=500, qwxyzzy=50, dining_table=12)
    assert learnable_labels(counts, words) == {"dining_table": 12, "dog": MIN_PICTURES, "sea": 500}


def test_labels_that_are_numbers_name_nothing(words: Words) -> None:
    counts = Counter({"2019": 50, "12": 50, "2019-07": 50, "dog": 20, "cat": 20})
    assert list(learnable_labels(counts, words)) == ["cat", "dog"]


def test_a_label_with_one_unknown_word_is_left_out(words: Words) -> None:
    counts = Counter({"dog": 20, "cat": 20, "qwxyzzy dog": 20})
    assert list(learnable_labels(counts, words)) == ["cat", "dog"]


def test_one_label_alone_is_nothing_to_learn(words: Words) -> None:
    assert learnable_labels(Counter(dog=100, qwxyzzy=100, cat=3), words) == {}
    assert learnable_labels(Counter(), words) == {}


# The split


def test_a_fifth_of_each_label_is_held_back() -> None:
    labels = np.array([0] * 50 + [1] * 10 + [2] * 23)
    is_test = split(hashes(len(labels)), labels, seed=0)
    held = [int(is_test[labels == label].sum()) for label in (0, 1, 2)]
    assert held == [10, 2, round(23 * TEST_SHARE)]


def test_the_same_seed_splits_the_same_and_another_differently() -> None:
    labels = np.arange(4).repeat(30)
    first, again, other = (split(hashes(120), labels, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_which_pictures_are_held_back_is_drawn_and_not_the_first() -> None:
    is_test = split(hashes(100), np.zeros(100, int), seed=0)
    assert 0 < is_test[:50].sum() < 20


def test_copies_of_one_file_are_on_the_same_side() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        sha256 = [f"{number:064x}" for number in rng.integers(0, 60, 150)]
        labels = rng.integers(0, 3, 150)
        is_test = split(sha256, labels, seed=seed)
        sides: dict[str, set[bool]] = {}
        for content, side in zip(sha256, is_test.tolist(), strict=True):
            sides.setdefault(content, set()).add(side)
        assert all(len(side) == 1 for side in sides.values())
        assert is_test.any()


def test_copies_never_take_all_of_a_label_out_of_training() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    sha256 = ["a" * 64] * 10 + ["b" * 64] * 9 + ["c" * 64]
    for seed in range(10):
        is_test = split(sha256, labels, seed=seed)
        assert not is_test[:10].any()
        assert is_test[10:].sum() == 1


# Figures


class Fixed(Projection):
    """Gives out what it was given."""

    kind = "fixed"

    def project(self, features: Features) -> NDArray[np.float32]:
        return features


@pytest.mark.parametrize("rows_at_a_time", [2, 1024])
def test_hit_at_k_is_counted_as_by_hand(rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "HITS_ROWS", rows_at_a_time)
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
    figures = hits(Fixed(HEADER, {}), projected, np.array([0, 3, 2, 1, 2, 3]), targets)
    assert figures == {"1": 33.3, "2": 50.0, "3": 66.7, "5": 100.0, "10": 100.0}
    assert list(figures) == [str(k) for k in HIT_AT]


def test_no_pictures_give_no_figures() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert hits(Fixed(HEADER, {}), empty, np.zeros(0, int), np.eye(4, dtype=np.float32)) == {}


def test_numbers_that_are_none_hit_nothing() -> None:
    targets = np.eye(12, dtype=np.float32)
    broken = np.full((3, 12), np.nan, np.float32)
    assert set(hits(Fixed(HEADER, {}), broken, np.array([0, 1, 2]), targets).values()) == {0.0}


# Learning


@pytest.fixture(scope="module")
def learnt(words: Words) -> Devise:
    return train_devise(separable(), words, HEADER, recipe=Recipe(epochs=30))


def test_what_can_be_told_apart_is_learnt(learnt: Devise) -> None:
    assert learnt.header.figures["train"]["1"] > 95
    assert learnt.header.figures["test"]["1"] > 90
    assert learnt.header.figures["test"]["5"] >= learnt.header.figures["test"]["2"]


def test_a_picture_lands_near_the_word_of_its_label(learnt: Devise, words: Words) -> None:
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
    figures = train_devise(shuffled, words, HEADER, recipe=Recipe(epochs=30)).header.figures
    assert figures["test"]["1"] < 40 < figures["train"]["1"]


def test_the_header_records_labels_recipe_and_what_was_held_back(learnt: Devise) -> None:
    header = learnt.header
    assert header.kind == "devise"
    assert header.labels == dict.fromkeys(sorted(ANIMALS), 20)
    assert header.recipe["epochs"] == 30
    assert len(header.test) == 5 * len(ANIMALS)
    assert set(header.test) <= {sha256[:HASH_DIGITS] for sha256 in separable().sha256}
    assert header.created.endswith("+00:00")
    assert read_projection(learnt.to_bytes(), "it").header == header


def test_the_same_seed_gives_the_same_tensors_and_another_others(words: Words) -> None:
    data = separable(ANIMALS[:3], each=12)
    runs = []
    for seed in (5, 5, 6):
        torch.rand(1)  # whatever was drawn before
        runs.append(train_devise(data, words, HEADER, recipe=Recipe(epochs=3, seed=seed)))
    first, again, other = runs
    for name, tensor in first.tensors.items():
        assert np.array_equal(tensor, again.tensors[name]), name
    assert first.header.test == again.header.test != other.header.test
    assert not np.array_equal(first.tensors["first.weight"], other.tensors["first.weight"])


def test_the_seed_decides_where_a_head_begins() -> None:
    features, labels, targets = np.ones((12, 4), np.float32), np.arange(12) % 2, np.eye(2, 5, dtype=np.float32)
    one, other = (train_head(features, labels, targets, Recipe(epochs=0, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one["first.weight"], other["first.weight"])


def test_training_leaves_torchs_own_dice_alone(words: Words) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    train_devise(separable(ANIMALS[:2], each=10), words, HEADER, recipe=Recipe(epochs=1))
    assert torch.equal(torch.rand(3), wanted)


def test_only_learnable_labels_are_trained_on(words: Words) -> None:
    data = separable((*ANIMALS[:3], "qwxyzzy", "2019"), each=12)
    devise = train_devise(data, words, HEADER, recipe=Recipe(epochs=2))
    assert list(devise.header.labels) == sorted(ANIMALS[:3])


def test_nothing_to_learn_from_is_told_with_what_was_found(words: Words) -> None:
    with pytest.raises(DatasetError, match=r"at least 2 sub-folders with 10 pictures.*found 3 labels in 27 pictures"):
        train_devise(separable(ANIMALS[:3], each=9), words, HEADER)


def test_each_epoch_is_told_with_a_loss_that_falls(words: Words) -> None:
    told: list[str] = []
    train_devise(separable(each=12), words, HEADER, recipe=Recipe(epochs=12), advance=told.append)
    losses = [float(line.removeprefix("loss ")) for line in told]
    assert len(losses) == 12
    assert losses[-1] < losses[0] * 0.7


@pytest.mark.parametrize("count", [2, 65, 129])
def test_a_last_batch_of_one_picture_stops_nothing(count: int) -> None:
    """BatchNorm has no statistics of a single picture."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, 8)).astype(np.float32)
    targets = unit(rng.normal(size=(2, 5)).astype(np.float32))
    tensors = train_head(features, np.arange(count) % 2, targets, Recipe(epochs=2))
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert tensors.keys() == {name for name in Head(8, 5).state_dict() if not name.endswith("num_batches_tracked")}
