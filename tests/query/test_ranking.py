"""The order of the answers, on vectors of two numbers in a real store: ties, fusion, subtraction, literal scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Collection, Filter, Point
from ingest.stores.embedded import EmbeddedStore
from query.asking import QueryVector, ranking
from query.asking.cutoff import Cutoff
from query.asking.ranking import Ranking, depth_messages

METADATA = CollectionMetadata("pictures", {VISUAL: 2, SEMANTIC: 2}, "words", "0" * 64, root="/r")
TWINS = 60
"""Pictures that look and mean the same: more than the 16 that a store asks for beyond a limit."""


def at(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def point(number: int, visual: float, semantic: float) -> Point:
    """Its id is its number, so that the order of ids is known."""
    picture = Picture(f"a/{number}.jpg", f"{number:064}", 1, 1, 1, 1, 1.0)
    return Point(UUID(int=number), {VISUAL: at(visual), SEMANTIC: at(semantic)}, picture.to_payload())


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """Numbers 100 to 159: twins at 0 degrees, written the highest first. 1 and 2: near by one vector each."""
    with EmbeddedStore(tmp_path).create("made", METADATA) as made:
        made.upsert([point(number, 0, 0) for number in range(100 + TWINS - 1, 99, -1)])
        made.upsert([point(1, 10, 80), point(2, 80, 10)])
        yield made


EAST = QueryVector.at(at(0))
BOTH = {VISUAL: EAST, SEMANTIC: EAST}


def numbers(hits: list) -> list[int]:
    return [hit.id.int for hit in hits]


@pytest.mark.parametrize("queries", [{VISUAL: EAST}, {SEMANTIC: EAST}, BOTH], ids=["visual", "semantic", "both"])
def test_of_more_ties_than_the_margin_the_lowest_ids_come_first(collection: Collection, queries: dict) -> None:
    assert numbers(Ranking(collection, Filter()).best(queries, 3)) == [100, 101, 102]
    assert numbers(Ranking(collection, Filter()).best(queries, 60)) == list(range(100, 160))


def test_ties_at_the_depth_of_a_fusion_are_cut_by_ids(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both vectors must keep the same four of the sixty, or the fusion would show eight."""
    monkeypatch.setattr(ranking, "DEPTH", 4)
    hits = Ranking(collection, Filter()).best(BOTH, 50)
    assert numbers(hits) == [100, 101, 102, 103]
    assert [hit.score for hit in hits] == [0.032787, 0.032258, 0.031746, 0.03125]  # 2/61, 2/62, 2/63, 2/64


def test_what_is_near_by_one_vector_only_is_fused_with_one_rank(collection: Collection) -> None:
    queries = {VISUAL: QueryVector.at(at(80)), SEMANTIC: QueryVector.at(at(80))}
    hits = Ranking(collection, Filter()).best(queries, 3)
    # By looks 2 is first and 1 second, by meaning the other way round: a tie, decided by ids. The twins follow.
    assert numbers(hits) == [1, 2, 100]
    assert [hit.score for hit in hits] == [0.032522, 0.032522, 0.031746]  # 1/61 + 1/62 twice, 2/63


def test_a_score_and_a_filter_leave_out(collection: Collection) -> None:
    queries = {VISUAL: QueryVector.at(at(80))}
    kept = Ranking(collection, Filter()).best(queries, 9, min_score=0.3)
    assert (numbers(kept), [hit.score for hit in kept]) == ([2, 1], [1.0, 0.34202])  # the cosine of 70 degrees
    without = Ranking(collection, Filter(without=(UUID(int=2),)))
    assert numbers(without.best(queries, 1)) == [1]
    assert numbers(Ranking(collection, Filter(under="a")).best(queries, 1)) == [2]
    assert Ranking(collection, Filter(under="b")).best(queries, 1) == []


def test_what_is_nearer_to_what_is_subtracted_does_not_stand_out(collection: Collection) -> None:
    """Wanted: 45 degrees. 1 and the twins are within 50; the twins are nearer to what is subtracted, at 0."""
    moved = QueryVector(at(90), positive=at(45), negative=at(0))
    ranked = Ranking(collection, Filter(), Cutoff({VISUAL: 0.6}, subtracts=True))
    hits = ranked.best({VISUAL: moved}, 9)
    assert (numbers(hits), [hit.score for hit in hits]) == ([2], [0.984808])  # of the whole question, 10 degrees


def test_a_fusion_that_could_not_rank_all_pictures_says_so() -> None:
    assert depth_messages(BOTH, 1000) == ()
    assert depth_messages(BOTH, 1001) == ("only the 1000 nearest by each vector are fused",)
    assert depth_messages({VISUAL: EAST}, 5000) == ()
