"""The class space on a world of two nodes, three classes and vectors of two numbers: every weight is a literal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.class_space import QuestionWeights, smoothed, sparse, strongest
from model.class_space.nouns import Nouns, lookup_tables
from model.class_space.question import fit_frame
from model.class_space.space import ClassSpace, nodes_above

LEMMAS = {"animal": [0], "cat": [1], "moggy": [2], "lynx": [1, 2], "stray": [3]}
"""With their senses. Sense 0 is a node and sense 1, below it, is another; sense 2 is below the latter, and 3 below
none."""

VECTORS = {"animal": (1, 0), "cat": (-1, 0), "cats": (0, 1), "moggy": (-1, 0), "near": (1, 0), "far": (-1, 0)}


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([VECTORS[text] for text in texts], np.float32)


@pytest.fixture
def space() -> ClassSpace:
    """Node 0 has the classes 0 and 1 below it, node 1 the class 0. To the first class, words usually are near."""
    return ClassSpace(
        nodes=np.array([[1, 0], [0.96, 0.28]], np.float32),
        classes=np.array([[1, 0], [0.95, 0.31225], [-1, 0]], np.float32),
        usual=np.array([0.05, 0, 0], np.float32),
        members=np.array([0, 1, 0], np.uint16),
        member_starts=np.array([0, 2, 3], np.uint32),
    )


def questions(space: ClassSpace, *, rare: str = "") -> QuestionWeights:
    lemmas = sorted(LEMMAS)
    tables: dict[str, NDArray[Any]] = {
        "lemmas": np.frombuffer("\n".join(lemmas).encode(), np.uint8),
        "lemma_starts": np.cumsum([0, *(len(LEMMAS[lemma]) for lemma in lemmas)]).astype(np.uint32),
        "senses": np.array([sense for lemma in lemmas for sense in LEMMAS[lemma]], np.uint32),
        "plurals": np.frombuffer(b"lynxes\tlynx", np.uint8),
    }
    lookup, order = lookup_tables(tables)
    lookup["lemma_is_rare"] = np.array([lemma == rare for lemma in lemmas])[order]
    top = np.zeros((4, 8), np.uint16)
    top[2:, :2] = [2, 1]
    weights = np.zeros((4, 8), np.uint8)
    weights[2:, :2] = [255, 51]
    return QuestionWeights(
        space,
        Nouns(lookup),
        near=np.array([0, 1, 1, 65_535], np.uint16),
        node_synsets=np.array([0, 1], np.uint32),
        top_classes=top,
        top_weights=weights,
        top_scale=np.array([0, 0, 0.5, 0.5], np.float16),
        frame=np.array([[1, 0], [0, 1], [0, 0]], np.float32),
    )


def test_a_sentence_means_the_classes_that_it_is_nearer_to_than_words_usually_are(space: ClassSpace) -> None:
    assert space.direct(np.array([[1, 0]], np.float32))[0].tolist() == pytest.approx([0.707107, 0.707107, 0], abs=1e-4)


def test_a_node_shares_its_nearness_among_the_classes_below_it(space: ClassSpace) -> None:
    """To (1, 0) the nodes are as probable as e to 1; a half of the first goes to each of its two classes."""
    found = space.through_nodes(np.array([[1, 0]], np.float32))[0]
    assert found.tolist() == pytest.approx([0.866488, 0.499198, 0], abs=1e-4)
    assert space.under(0).tolist() == pytest.approx([0.707107, 0.707107, 0], abs=1e-5)


def test_both_ways_to_the_classes_count_the_same(space: ClassSpace) -> None:
    found = questions(space).of_sentences(np.array([[1, 0], [-1, 0]], np.float32))
    assert found[0].tolist() == pytest.approx([0.786797, 0.603153, 0], abs=1e-4)
    assert found[1].tolist() == pytest.approx([0.494073, 0.076760, 0.5], abs=1e-4)


@pytest.mark.parametrize(
    ("sense", "expected"),
    [
        (0, [0.707107, 0.707107, 0.0]),  # a node: 0.6 for the tree, 0.4 for its words
        (1, [0.665962, 0.394524, 0.0]),
        (2, [0.25, 0.1, 0.5]),  # below a node: a quarter for the tree, the rest as it was prepared
        (3, [0.0, 0.1, 0.5]),  # below none
    ],
)
def test_what_a_sense_means(space: ClassSpace, sense: int, expected: list[float]) -> None:
    assert questions(space).of_sense(sense).tolist() == pytest.approx(expected, abs=1e-4)


def test_each_sense_weighs_half_of_the_one_before(space: ClassSpace) -> None:
    assert questions(space).of_senses([1, 2]).tolist() == pytest.approx([0.527308, 0.296349, 0.166667], abs=1e-4)


@pytest.mark.parametrize(
    ("question", "rare", "expected"),
    [
        ("far", "", [0.494073, 0.076760, 0.5]),  # no noun: a sentence alone
        ("cat", "", [0.580017, 0.235642, 0.25]),  # half of it the senses
        ("cats", "", [0.582981, 0.197698, 0.25]),  # between its own vector and the singular's
        ("moggy", "", [0.372036, 0.088380, 0.5]),
        ("moggy", "moggy", [0.298815, 0.095352, 0.5]),  # four fifths of it the senses
    ],
)
def test_what_a_question_means(space: ClassSpace, question: str, rare: str, expected: list[float]) -> None:
    assert questions(space, rare=rare).weigh(question, embed).tolist() == pytest.approx(expected, abs=1e-4)


def test_the_frame_of_a_noun_is_fitted_with_a_ridge_of_a_tenth() -> None:
    """Two nouns at right angles, which a frame around them does not move."""
    vectors = {"cat": (1, 0), "car": (0, 1)}

    def words(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([vectors[text.split()[-1]] for text in texts], np.float32)

    assert fit_frame(["cat", "car"], words).tolist() == [
        pytest.approx([0.615836, -0.293255], abs=1e-5),
        pytest.approx([-0.293255, 0.615836], abs=1e-5),
        pytest.approx([0.322581, 0.322581], abs=1e-5),
    ]


def test_the_nodes_above_a_class_are_told_the_nearest_first() -> None:
    """0 is above 1, which is above 2; 3 is above 2 too, and no node."""
    tables: dict[str, NDArray[Any]] = {
        "parents": np.array([0, 1, 3], np.uint32),
        "parent_starts": np.array([0, 0, 1, 3, 3], np.uint32),
        "node_synsets": np.array([0, 1, 2], np.uint32),
        "classes": np.array([2, 1, 0], np.uint16),
    }
    assert nodes_above(tables) == [[1, 0], [0], []]


def test_a_question_is_cut_to_its_strongest_classes() -> None:
    weights = np.array([0.0, 0.3, -0.5, 0.1, 0.2], np.float32)
    rows, values = strongest(weights, 3)
    assert rows.tolist() == [1, 2, 4]
    assert values.tolist() == pytest.approx([0.3, -0.5, 0.2])
    assert strongest(weights)[0].tolist() == [1, 2, 3, 4]
    assert len(strongest(np.arange(1, 1001, dtype=np.float32))[0]) == 200


def test_neighbours_that_agree_are_believed() -> None:
    own = np.array([0.6, 0.4, 0.0], np.float32)
    near = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
    # (0.3 of the own) + 0.7 * (1 * first + 0.0625 * second) / 1.0625, where 0.0625 is 0.5 to the fourth
    mixed = smoothed(own, near, np.array([1.0, 0.5], np.float32))
    assert mixed.tolist() == pytest.approx([0.18, 0.12 + 0.7 * 0.941176, 0.7 * 0.058824], abs=1e-5)
    assert smoothed(own, near[:0], np.zeros(0, np.float32)).tolist() == pytest.approx(own.tolist())


def test_ten_neighbours_are_heard_and_none_that_looks_the_opposite() -> None:
    own = np.array([0.6, 0.4], np.float32)
    near = np.array([[1.0, 0.0]] * 10 + [[0.0, 1.0]], np.float32)
    assert smoothed(own, near, np.ones(11, np.float32)).tolist() == pytest.approx([0.88, 0.12])
    opposite = smoothed(own, near[9:], np.array([1.0, -1.0], np.float32))
    assert opposite.tolist() == pytest.approx([0.88, 0.12])
    assert smoothed(own, near[:2], np.array([-0.5, 0.0], np.float32)).tolist() == pytest.approx([0.6, 0.4])


def test_neighbours_may_count_otherwise_for_each_class() -> None:
    mixed = smoothed(
        np.array([0.5, 0.5], np.float32),
        np.array([[1.0, 1.0]], np.float32),
        np.ones(1, np.float32),
        np.array([0.2, 0.6], np.float32),
    )
    assert mixed.tolist() == pytest.approx([0.6, 0.8])


def test_only_probable_classes_are_stored() -> None:
    rows, values = sparse(np.array([0.0005, 0.001, 0.0011, 0.9], np.float32))
    assert rows.tolist() == [2, 3]
    assert values.tolist() == pytest.approx([0.0011, 0.9])
