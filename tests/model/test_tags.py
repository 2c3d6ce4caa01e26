"""Words for what a picture shows: probabilities and order, of a table that is small enough to reckon with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.class_space import LabelClasses, TagTable, meant, probability, shipped_nouns
from model.projections import without_crude
from model.words import CRUDE_WORDS

TREE = shipped_nouns()


def table(**words: tuple[int, dict[int, int]]) -> TagTable:
    """Words with their places by frequency, and the classes they mean, in 255ths."""
    classes = np.zeros((len(words), 32), np.uint16)
    weights = np.zeros((len(words), 32), np.uint8)
    senses = np.full((len(words), 2), 0xFFFF_FFFF, np.uint32)
    for row, (word, (_, own)) in enumerate(words.items()):
        for place, (one, weight) in enumerate(own.items()):
            classes[row, place], weights[row, place] = one, weight
        noun = TREE.nouns.find(word)
        first = noun.senses[:2] if noun else ()
        senses[row, : len(first)] = first
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    return TagTable(text, np.array([rank for rank, _ in words.values()], np.uint32), senses, classes, weights)


def ranked(tags: TagTable, named: dict[str, float], labels: Any = None, **shown: float) -> dict[str, float]:
    row = np.zeros(1000, np.float32)
    for one, share in shown.items():
        row[int(one.removeprefix("c"))] = share
    return tags.rank(row, named, TREE.nouns, labels)


@pytest.mark.parametrize(
    ("named", "means", "rank", "expected"),
    [
        (1.0, 1.0, 0, 0.9787),
        (1.0, 1.0, 10_000, 0.8522),
        (0.5, 0.5, 10_000, 0.6463),
        (0.0, 1.0, 10_000, 0.1832),
        (0.0, 0.0, 10_000, 0.0001),
    ],
)
def test_how_probable_a_word_is(named: float, means: float, rank: int, expected: float) -> None:
    assert float(probability(named, means, rank)) == pytest.approx(expected, abs=5e-4)


def test_half_the_strongest_weight_is_meant_wholly() -> None:
    weights = np.array([[0.8, 0.4, 0.2, 0.0, -0.5], [0.0, 0.0, 0.0, 0.0, 0.0]], np.float32)
    assert meant(weights).tolist() == [[1.0, 1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]


def test_the_word_that_names_the_class_comes_first_then_what_means_it() -> None:
    tags = table(crab=(9000, {7: 255}), crustacean=(20000, {7: 255, 8: 255}), teapot=(9000, {5: 255}))
    found = ranked(tags, {"crab": 0.6}, c7=0.6, c8=0.2)
    assert list(found) == ["crab", "crustacean", "teapot"]
    assert found["crab"] == pytest.approx(0.721, abs=5e-3)
    assert found["teapot"] < 0.001


def test_of_words_with_one_sense_only_the_best_takes_a_place() -> None:
    tags = table(racket=(7000, {752: 255}), racquet=(20000, {752: 255}), wrench=(9000, {5: 255}))
    assert list(ranked(tags, {"racket": 0.9, "racquet": 0.9}, c752=0.9)) == ["racket", "wrench"]


def test_a_word_that_names_a_class_and_is_in_no_vocabulary_is_there() -> None:
    found = ranked(table(teapot=(9000, {5: 255})), {"band-aid": 0.9}, c5=0.01)
    assert list(found) == ["band-aid", "teapot"]
    assert found["band-aid"] == pytest.approx(0.480, abs=5e-3)


def test_what_was_learnt_is_as_probable_as_it_was_learnt_and_vouches_for_what_is_above_it() -> None:
    labels = LabelClasses.build(["crab"], [1.0], np.zeros((1, 1000), np.float32), TREE)
    tags = table(crustacean=(20000, {8: 255}), teapot=(9000, {5: 255}))
    without = ranked(tags, {}, c9=1.0)
    found = ranked(tags, {"crab": 0.95}, labels, c9=1.0)
    assert list(found) == ["crab", "crustacean", "teapot"]
    assert found["crab"] == pytest.approx(0.95)
    assert found["crustacean"] == pytest.approx(0.133, abs=5e-3)
    assert without["crustacean"] < 0.001
    assert found["teapot"] == without["teapot"]


def test_crude_words_are_for_what_probably_is_of_their_class() -> None:
    assert "nipple" in CRUDE_WORDS
    assert without_crude({"nipple": 0.4, "teapot": 0.1}) == {"teapot": 0.1}
    assert without_crude({"nipple": 0.5, "teapot": 0.1}) == {"nipple": 0.5, "teapot": 0.1}
