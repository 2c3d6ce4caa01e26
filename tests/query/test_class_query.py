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
from query.asking.class_query import class_query
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


def test_terms_are_added_by_their_weights_and_what_is_subtracted_counts_against() -> None:
    space: Any = SimpleNamespace(weigh=lambda text, _: {"crab": weights(1, 0.5), "sea": weights(0, 1)}[text])
    words: Any = SimpleNamespace(embed=None)
    both = class_query([Term("crab"), Term("sea", 2.0)], words, space, None)
    assert (both.vector.tolist(), both.positive.tolist(), both.negative) == ([1, 2.5], [1, 2.5], None)
    without = class_query([Term("crab"), Term("sea", -2.0)], words, space, None)
    assert without.vector.tolist() == [1, -1.5]
    assert without.positive.tolist() == [1, 0.5]
    assert without.negative is not None
    assert without.negative.tolist() == [0, 2]


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
    """A class of half the weight is meant as much: 2 and 3 show it as probably as 1 shows the other."""
    ranking = Ranking(collection, Filter(), Cutoff({CLASSES: 0.65}))
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0))) == [(1, 0.9), (2, 0.6), (3, 0.35)]
    assert found(ranking, QueryVector.at(weights(1, 0.1, 0))) == [(1, 0.9)]
    assert found(ranking, QueryVector.at(weights(1, 0.5, 0)), 2) == [(1, 0.9), (2, 0.6)]


def test_what_is_subtracted_moves_nothing_over_the_bar(collection: Collection) -> None:
    query = QueryVector(weights(1, -0.4, 0), weights(1, 0, 0), weights(0, 0.4, 0))
    assert found(Ranking(collection, Filter(), Cutoff({CLASSES: 0.25})), query) == [(1, 0.9), (2, 0.06)]


@pytest.mark.parametrize(
    ("best", "expected"),
    [([0.9, 0.8, 0.7, 0.6, 0.5], 0.28), ([0.3, 0.2], 0.1), ([0.26, 0.26], 0.104), ([], 0.1)],
)
def test_four_tenths_of_the_best_and_a_tenth_at_least_stand_out(best: list[float], expected: float) -> None:
    assert evidence_floor(best) == pytest.approx(expected)


def test_the_bar_is_set_by_the_five_that_show_most_of_what_is_wanted(collection: Collection) -> None:
    backgrounds = Backgrounds(collection, lambda: nullcontext(collection))
    wanted = weights(1, 0.5, 0)
    # 0.9, 0.9, 0.7 and 0.2 of four pictures: two fifths of their mean, 0.675
    assert backgrounds.cutoff({CLASSES: QueryVector.at(wanted)}).floors == {CLASSES: pytest.approx(0.27)}
    less = backgrounds.cutoff({CLASSES: QueryVector(weights(1, 0.5, -1), wanted, weights(0, 0, 1))})
    assert less.floors == {CLASSES: pytest.approx(0.27)}
    assert less.subtracts
