"""How far labels are believed: told apart by their pictures, and seen by the encoder as what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.class_space import LabelClasses, NounTree, believed, shipped_nouns
from model.class_space.labels import base
from model.projections import BestProjection, LabelTrust, fold_of
from model.projections.training.trust import is_worth_it, judge
from tests.model.projections import flat_best


@pytest.fixture(scope="module")
def tree() -> NounTree:
    return shipped_nouns()


def judged(guess: list[int], labels: list[int], asked: list[float], *, is_noun: bool = True) -> list[LabelTrust]:
    """Of two labels; ``asked`` is how well the pictures answer to the first one's words."""
    said = np.eye(2, dtype=np.float32)[guess]
    scores = np.array([asked, [0.0] * len(asked)], np.float32).T
    return judge(said, np.array(labels), scores, [is_noun, is_noun])


def test_a_label_that_is_told_apart_is_believed_as_far_as_that() -> None:
    # nine of ten of the first are found, and one of ten of the second is taken for it: J = 0.9 - 0.1
    first = [0] * 9 + [1]
    second = [1] * 9 + [0]
    trusts = judged(first + second, [0] * 10 + [1] * 10, [1.0] * 10 + [0.0] * 10)
    assert [trust.learnt for trust in trusts] == [0.8, 0.8]


def test_what_chance_would_give_is_not_believed() -> None:
    # six of ten found, four of ten wrongly: J = 0.2, but its standard error is 0.22
    trusts = judged(([0] * 6 + [1] * 4) + ([1] * 6 + [0] * 4), [0] * 10 + [1] * 10, [0.0] * 20)
    assert [trust.learnt for trust in trusts] == [0.0, 0.0]


def test_a_label_that_has_all_the_pictures_or_none_is_not_told_apart() -> None:
    trusts = judged([0] * 4, [0] * 4, [0.9, 0.8, 0.7, 0.6])
    assert [(trust.learnt, trust.agreement) for trust in trusts] == [(0.0, 0.0), (0.0, 0.0)]


def test_the_encoder_agrees_as_far_as_it_ranks_the_labels_pictures_first() -> None:
    labels, right = [0] * 4 + [1] * 4, [0] * 4 + [1] * 4
    assert judged(right, labels, [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])[0].agreement == 1.0
    # 12 of the 16 pairs are in order: an area of 0.75, half the way from 0.6 to 0.9
    assert judged(right, labels, [0.9, 0.8, 0.7, 0.05, 0.4, 0.3, 0.2, 0.1])[0].agreement == pytest.approx(0.5)
    assert judged(right, labels, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])[0].agreement == 0.0


def test_a_word_that_names_nothing_to_be_seen_agrees_with_nothing() -> None:
    labels = [0] * 4 + [1] * 4
    trust = judged(labels, labels, [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1], is_noun=False)[0]
    assert (trust.learnt, trust.agreement, trust.of_words, trust.of_tag) == (1.0, 0.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("asked", "nouns", "expected"),
    [
        ([1.0] * 10 + [0.0] * 10, (True, False), False),  # found without it; with it, one that is not its own is before
        ([1.0] * 10 + [0.0] * 10, (False, False), True),  # nobody would search for it by what it says
        ([1.0] * 5 + [0.0] * 10 + [1.0] * 5, (True, False), True),
    ],
)
def test_what_was_learnt_is_kept_where_words_find_pictures_no_later(
    asked: list[float], nouns: tuple[bool, bool], *, expected: bool
) -> None:
    labels = np.array([0] * 10 + [1] * 10)
    said = np.eye(2, dtype=np.float32)[[0] * 9 + [1] + [1] * 9 + [0]]
    scores = np.array([asked, [0.0] * 20], np.float32).T
    trusts = judge(said, labels, scores, nouns)
    assert [trust.learnt for trust in trusts] == [0.8, 0.8]
    assert is_worth_it(said, labels, scores, trusts) is expected


def test_a_noun_that_the_encoder_does_not_see_counts_half() -> None:
    assert LabelTrust(0.8, 0.1, True).of_words == pytest.approx(0.4)
    assert LabelTrust(0.8, 0.9, True).of_words == pytest.approx(0.72)


def test_a_picture_counts_as_its_folder_as_far_as_the_label_was_learnt() -> None:
    said = np.array([[0.0, 0.81]], np.float32)
    # half of it is the folder's, 0.5, beside 0.405: shared by their roots, 0.905 in all; then by 0.25 and 1
    got = believed(said, np.array([0.5, 1.0], np.float32), [0])
    assert got[0].tolist() == pytest.approx([0.905 * 0.5263 * 0.25, 0.905 * 0.4737], abs=1e-3)
    assert believed(said, np.array([0.5, 1.0], np.float32), [None])[0].tolist() == pytest.approx([0.0, 0.81])


def test_a_content_is_in_one_fold_for_good() -> None:
    assert [fold_of(digit * 64) for digit in "0123456789ab"] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]


def test_a_picture_is_judged_by_rows_that_have_not_seen_it() -> None:
    """Two labels beside two classes, all of logit 0. In the fit without fold 1 the first label has ln 5, in the one
    without fold 2 the second has ln 2."""
    flat = flat_best(gate=(0.0, 0.0))
    fold_rows, fold_bias = np.zeros((4, 2, 2), np.float32), np.zeros((4, 2), np.float32)
    fold_rows[1, 0] = [np.log(5), 0]
    fold_bias[2, 1] = np.log(2)
    best = BestProjection(flat.header, {**flat.tensors, "fold_rows": fold_rows, "fold_bias": fold_bias})
    features, classes = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    found = best.label_probabilities(features, classes, [None, 1, 2, 0])
    assert found.tolist() == [
        pytest.approx([0.25, 0.25]),
        pytest.approx([0.625, 0.125]),
        pytest.approx([0.2, 0.4]),
        pytest.approx([0.25, 0.25]),
    ]
    without = flat.label_probabilities(features, classes, [None, 1, 2, 0])
    assert without.tolist() == [pytest.approx([0.25, 0.25])] * 4


def labels_of(tree: NounTree, **classes: list[float]) -> LabelClasses:
    names = [name.replace("_", " ") for name in classes]
    return LabelClasses.build(names, [1.0] * len(names), np.array(list(classes.values()), np.float32), tree)


def weights(labels: LabelClasses, tree: NounTree, question: str) -> list[float]:
    return labels.weigh(question, np.array([0.5, 0.0], np.float32), tree.nouns).tolist()


@pytest.mark.parametrize("question", ["crab", "Crabs", "a crab"])
def test_a_question_that_is_the_label_asks_for_the_label(question: str, tree: NounTree) -> None:
    labels = labels_of(tree, crab=[0.0, 1.0])
    assert weights(labels, tree, question) == pytest.approx([0.05, 0.0, 1.0])  # all over 10, what the label weighs


@pytest.mark.parametrize("question", ["a red crab", "black and white crabs", "photo of a crab on a beach"])
def test_a_phrase_that_contains_the_label_asks_for_it(question: str, tree: NounTree) -> None:
    labels = labels_of(tree, crab=[0.0, 1.0])
    assert weights(labels, tree, question) == pytest.approx([0.1, 0.0, 1.0])  # over 5


@pytest.mark.parametrize(("question", "expected"), [("snoopies", 0.05), ("Snoopys", 0.05), ("photos of snoopies", 0.1)])
def test_a_label_that_is_no_noun_has_a_plural_too(question: str, expected: float, tree: NounTree) -> None:
    labels = labels_of(tree, snoopy=[0.0, 1.0])
    assert weights(labels, tree, question) == pytest.approx([expected, 0.0, 1.0])


def test_a_synonym_asks_for_the_label_and_a_broader_word_a_little(tree: NounTree) -> None:
    labels = labels_of(tree, airplane=[0.0, 1.0])
    assert weights(labels, tree, "aeroplane")[2] == 1.0
    assert weights(labels, tree, "vehicle") == pytest.approx([0.5, 0.0, 0.5])


def test_the_first_two_senses_of_a_question_ask_for_a_label_and_no_further_one(tree: NounTree) -> None:
    noun = tree.nouns.find("head")
    assert noun is not None
    labels = labels_of(tree, crab=[0.0, 1.0])
    asked = [weights(replace(labels, senses=np.array([sense], np.int32)), tree, "head")[2] for sense in noun.senses[:3]]
    assert asked == [1.0, 1.0, 0.0]


def test_each_label_has_its_own_broader_words(tree: NounTree) -> None:
    labels = labels_of(tree, crab=[0.0, 1.0], airplane=[0.0, 1.0])
    assert weights(labels, tree, "crustacean")[2:] == pytest.approx([0.5, 0.0])
    assert weights(labels, tree, "vehicle")[2:] == pytest.approx([0.0, 0.5])


def test_a_word_near_a_label_asks_for_it_as_far_as_the_encoder_agrees(tree: NounTree) -> None:
    labels = LabelClasses.build(["garden"], [0.4], np.array([[0.6, 0.8]], np.float32), tree)
    assert weights(labels, tree, "zzz") == pytest.approx([0.5, 0.0, 0.5 * 0.4 * 0.36], abs=1e-3)


def test_other_nouns_do_not_ask_for_a_label_that_they_contain(tree: NounTree) -> None:
    labels = labels_of(tree, lily=[0.0, 1.0])
    assert weights(labels, tree, "water lily")[2] < 0.6


def test_a_word_near_the_label_asks_for_it_as_far_as_they_mean_the_same_classes(tree: NounTree) -> None:
    labels = labels_of(tree, garden=[0.6, 0.8])
    assert weights(labels, tree, "zzz") == pytest.approx([0.5, 0.0, 0.5 * 0.36], abs=1e-3)


def test_names_that_are_no_noun_are_compared_as_they_are(tree: NounTree) -> None:
    labels = labels_of(tree, **{"2019_07_Italy": [0.0, 0.0]})
    assert weights(labels, tree, "2019-07 italy")[2] == 1.0
    assert weights(labels, tree, "italy")[2] == 0.0


def test_labels_are_written_and_read(tree: NounTree) -> None:
    labels = labels_of(tree, crab=[0.0, 1.0], sea_horse=[1.0, 0.0])
    read = LabelClasses.from_bytes(labels.to_bytes())
    assert read.names == ("crab", "sea horse")
    assert weights(read, tree, "seahorses") == weights(labels, tree, "seahorses")
    with pytest.raises(ValueError, match="pickle"):
        LabelClasses.from_bytes(b"nothing of the kind")


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ("crab", "sea horse", "cat")},
        {"agreement": np.ones(1, np.float32)},
        {"above_starts": np.zeros(2, np.uint32)},
        {"above_starts": np.zeros(4, np.uint32)},
    ],
)
def test_labels_that_do_not_fit_together_are_refused(changes: dict[str, Any], tree: NounTree) -> None:
    labels = replace(labels_of(tree, crab=[0.0, 1.0], sea_horse=[1.0, 0.0]), **changes)
    with pytest.raises(ValueError, match="arrays that do not fit together"):
        LabelClasses.from_bytes(labels.to_bytes())


def test_the_base_of_a_phrase_is_its_singular(tree: NounTree) -> None:
    assert base("red_Crabs", tree.nouns) == "red crab"
    assert base("geese", tree.nouns) == "goose"


def test_what_a_noun_is_a_kind_of(tree: NounTree) -> None:
    noun = tree.nouns.find("crab")
    animal = tree.nouns.find("animal")
    assert noun is not None
    assert animal is not None
    assert animal.senses[0] in tree.above(noun.senses[0])
