"""Questions as weights on classes: what is meant, what counts against, and what stands out of what pictures show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.records import CollectionMetadata, Picture
from ingest.stores import CLASSES, VISUAL, Collection, Filter, Point, SparseVector
from ingest.stores.embedded import EmbeddedStore
from query.asking import QueryVector
from query.asking.background import Backgrounds
from query.asking.class_query import all_sparse, as_sparse, class_query
from query.asking.cutoff import Cutoff, evidence_floor
from query.asking.expression import Term
from query.asking.ranking import Ranking

METADATA = CollectionMetadata("pictures", {VISUAL: 2}, "made-up", "0" * 64, sparse=(CLASSES,))
SHOWN = {1: {0: 0.9}, 2: {0: 0.3, 1: 0.6}, 3: {1: 0.7}, 4: {0: 0.2, 2: 0.5}, 5: {2: 0.8}}
"""Of five pictures, by the number that is their id, the classes that they show."""


def weights(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with EmbeddedStore(tmp_path).create("made", METADATA) as made:
        for number, shown in SHOWN.items():
            picture = Picture(f"a/{number}.jpg", f"{number:064}", 1, 1, 1, 1, 1.0)
            classes = SparseVector(np.array(list(shown), np.uint32), weights(*shown.values()))
            made.upsert([Point(UUID(int=number), {VISUAL: weights(1, 0)}, picture.to_payload(), {CLASSES: classes})])
        yield made


def found(ranking: Ranking, query: QueryVector, limit: int = 9) -> list[tuple[int, float]]:
    return [(hit.id.int, hit.score) for hit in ranking.best({CLASSES: query}, limit)]


def made_up(weighs: dict[str, NDArray[np.float32]]) -> SimpleNamespace:
    """A class space in which words are nouns, and phrases are not."""
    nouns = SimpleNamespace(find=lambda text: None if " " in text else text)
    return SimpleNamespace(weigh=lambda text, _: weighs[text], nouns=nouns)


def means(query: QueryVector) -> list[float]:
    assert query.meant is not None
    return [round(float(number), 4) for number in query.meant]


def test_terms_are_added_by_their_weights_and_what_is_subtracted_counts_against() -> None:
    space: Any = made_up({"crab": weights(1, 0.5), "sea": weights(0, 1)})
    words: Any = SimpleNamespace(embed=None)
    both = class_query([Term("crab"), Term("sea", 2.0)], words, space, None)
    assert (both.vector.tolist(), both.positive.tolist(), both.negative) == ([1, 2.5], [1, 2.5], None)
    without = class_query([Term("crab"), Term("sea", -2.0)], words, space, None)
    assert without.vector.tolist() == [1, -1.5]
    assert without.positive.tolist() == [1, 0.5]
    assert without.negative is not None
    assert without.negative.tolist() == [0, 2]
    assert means(both) == [1, 1]
    assert means(without) == [1, 1]  # what is subtracted says nothing of what is wanted


def test_a_noun_means_its_classes_wholly_from_a_quarter_on_and_a_phrase_each_by_its_weight() -> None:
    weighs = {"crab": weights(0.8, 0.2, 0.1, 0), "long legs": weights(0.1, 0.2, 0.8, 0)}
    space: Any = made_up(weighs)
    words: Any = SimpleNamespace(embed=None)
    noun, phrase = (class_query([Term(text)], words, space, None) for text in weighs)
    assert means(noun) == [1, 1, 0.5, 0]
    assert means(phrase) == [0.1, 0.2, 0.8, 0]
    assert means(class_query([Term(text) for text in weighs], words, space, None)) == [1, 1, 0.8, 0]


def test_pictures_are_ranked_by_what_they_show_of_what_is_asked_for(collection: Collection) -> None:
    ranking = Ranking(collection, Filter())
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0))) == [(1, 0.9), (2, 0.6), (3, 0.35), (4, 0.2)]
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0)), 2) == [(1, 0.9), (2, 0.6)]


def test_what_scores_less_than_nothing_is_no_answer(collection: Collection) -> None:
    """4 shows more of what is subtracted than of what is wanted; 5 that alone."""
    query = QueryVector(weights(1, 0, -0.6), weights(1, 0, 0), weights(0, 0, 0.6))
    assert found(Ranking(collection, Filter()), query) == [(1, 0.9), (2, 0.3)]


def test_what_probably_shows_one_of_the_classes_meant_stands_out_in_the_order_of_the_question(
    collection: Collection,
) -> None:
    """2 and 3 show the second class as probably as 1 shows the first: they do where it is meant as much."""
    ranking = Ranking(collection, Filter(), Cutoff({CLASSES: 0.65}, scores={CLASSES: 0.1}))
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0), weights(1, 1, 0))) == [(1, 0.9), (2, 0.6), (3, 0.35)]
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0), weights(1, 0.2, 0))) == [(1, 0.9)]
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0), weights(1, 1, 0)), 2) == [(1, 0.9), (2, 0.6)]


def test_what_scores_far_below_the_best_does_not_stand_out_whatever_it_shows(collection: Collection) -> None:
    query = QueryVector.at(weights(1, 0.5, 0), weights(1, 1, 0))
    assert found(Ranking(collection, Filter(), Cutoff({CLASSES: 0.65}, scores={CLASSES: 0.4})), query) == [
        (1, 0.9),
        (2, 0.6),
    ]


def test_what_is_subtracted_moves_nothing_over_the_bar(collection: Collection) -> None:
    query = QueryVector(weights(1, -0.4, 0), weights(1, 0, 0), weights(0, 0.4, 0), weights(1, 0, 0))
    cutoff = Cutoff({CLASSES: 0.25}, scores={CLASSES: 0.3})
    assert found(Ranking(collection, Filter(), cutoff), query) == [(1, 0.9), (2, 0.06)]


@pytest.mark.parametrize(
    ("best", "expected"),
    [([0.9, 0.8, 0.8, 0.8, 0.7], 0.24), ([0.5, 0.4], 0.2), ([0.7, 0.7], 0.21), ([], 0.2)],
)
def test_three_tenths_of_the_best_and_a_fifth_at_least_stand_out(best: list[float], expected: float) -> None:
    assert evidence_floor(best) == pytest.approx(expected)


def test_the_bar_is_set_by_the_five_that_show_most_of_what_is_wanted(collection: Collection) -> None:
    backgrounds = Backgrounds(collection, lambda: nullcontext(collection))
    wanted, meant = weights(1, 0.5, 0), weights(1, 1, 0.5)
    # 0.9, 0.9, 0.7, 0.45 and 0.4: three tenths of their mean, 0.67; by score 0.9, 0.6, 0.35 and 0.2: 0.5125
    alone = backgrounds.cutoff({CLASSES: QueryVector.at(wanted, meant)})
    assert alone.floors == {CLASSES: pytest.approx(0.201)}
    assert alone.scores == {CLASSES: pytest.approx(0.15375)}
    less = backgrounds.cutoff({CLASSES: QueryVector(weights(1, 0.5, -1), wanted, weights(0, 0, 1), meant)})
    assert (less.floors, less.scores) == (alone.floors, alone.scores)
    assert less.subtracts


def test_a_word_for_four_hundred_classes_is_searched_by_all_of_them() -> None:
    assert len(all_sparse(np.ones(400, np.float32)).indices) == 400
    assert len(as_sparse(np.ones(400, np.float32)).indices) == 200
