"""What a training learns from: which labels, and which pictures are held back."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from model.projections.training import duplicate_groups, learnable_labels, split
from model.words import Words
from tests.model.projections import hashes

# Which labels


def test_labels_need_ten_pictures_and_a_word(words: Words) -> None:
    counts = Counter(dog=10, cat=9, sea=500, qwxyzzy=50, dining_table=12)
    assert learnable_labels(counts, words) == {"dining_table": 12, "dog": 10, "sea": 500}


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
    is_test = split(range(len(labels)), labels, share=0.2, seed=0)
    held = [int(is_test[labels == label].sum()) for label in (0, 1, 2)]
    assert held == [10, 2, round(23 * 0.2)]


def test_the_same_seed_splits_the_same_and_another_differently() -> None:
    labels = np.arange(4).repeat(30)
    first, again, other = (split(range(120), labels, share=0.2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_which_pictures_are_held_back_is_drawn_and_not_the_first() -> None:
    is_test = split(range(100), np.zeros(100, int), share=0.2, seed=0)
    assert 0 < is_test[:50].sum() < 20


def test_copies_of_one_file_are_on_the_same_side() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        groups = rng.integers(0, 60, 150).tolist()
        labels = rng.integers(0, 3, 150)
        is_test = split(groups, labels, share=0.2, seed=seed)
        sides: dict[int, set[bool]] = {}
        for content, side in zip(groups, is_test.tolist(), strict=True):
            sides.setdefault(content, set()).add(side)
        assert all(len(side) == 1 for side in sides.values())
        assert is_test.any()


def test_copies_never_take_all_of_a_label_out_of_training() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    groups = [0] * 10 + [10] * 9 + [19]
    for seed in range(10):
        is_test = split(groups, labels, share=0.2, seed=seed)
        assert not is_test[:10].any()
        assert is_test[10:].sum() == 1


def test_copies_and_near_duplicates_are_one_group_and_so_is_what_they_join() -> None:
    base = np.eye(6, dtype=np.float32)
    almost = 0.9705 * base[0] + 0.24110 * base[1]  # cosine 0.9705
    too_far = 0.9695 * base[2] + 0.24510 * base[3]  # cosine 0.9695
    features = np.stack([base[0], base[4], almost * 7, base[2], too_far, base[5]]).astype(np.float32)
    content = ["a", "b", "c", "d", "e", "a"]  # the last is a copy of the first, and a neighbour of nothing
    assert duplicate_groups(content, features) == [0, 1, 0, 3, 4, 0]


def test_near_duplicates_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.projections.training.held_back.ROWS", 3)
    features = np.tile(np.eye(5, dtype=np.float32), (4, 1))
    assert duplicate_groups(hashes(20), features) == list(range(5)) * 4


def test_groups_that_meet_late_become_one() -> None:
    angles = np.deg2rad([0, 24, 90, 12, 102, 200])  # neighbours are 12 degrees apart, cosine 0.978
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    features[5] = 0
    assert duplicate_groups(hashes(6), features) == [0, 0, 2, 0, 2, 5]
