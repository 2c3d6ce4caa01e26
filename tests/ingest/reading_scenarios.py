"""Scenarios that only read what `World.holding` gives them: each returns what it was answered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ingest.records import labels_of
from ingest.stores import SEMANTIC, VISUAL, Filter, Near, Point
from model.pictures import wall_seconds
from tests.ingest.worlds import (
    SCORE_TOLERANCE,
    WIDTHS,
    Result,
    Scenario,
    World,
    make_id,
    make_points,
    make_vectors,
    outcome,
)

READING: list[Scenario] = []


def reading(function: Scenario) -> Scenario:
    READING.append(function)
    return function


@reading
def nearest_points(world: World) -> Result:
    collection = world.filled()
    found = [collection.search(name, make_vectors(seed)[name], 10) for name in WIDTHS for seed in range(100, 110)]
    stored = make_vectors(7)
    best = [collection.search(name, stored[name], 1)[0] for name in WIDTHS]
    assert [hit.id for hit in best] == [make_id(7)] * 2
    assert [hit.score for hit in best] == pytest.approx([1.0, 1.0], abs=SCORE_TOLERANCE)
    return found, best


@reading
def length_of_a_query_does_not_matter(world: World) -> Result:
    collection = world.filled()
    query = make_vectors(100)[VISUAL]
    found = [collection.search(VISUAL, scale * query, 5) for scale in np.float32([1e-3, 1, 1e3])]
    assert [[hit.id for hit in hits] for hits in found] == [[hit.id for hit in found[0]]] * 3
    return found


@reading
def limits(world: World) -> Result:
    collection = world.filled(20)
    query = make_vectors(100)[VISUAL]
    found = [collection.search(VISUAL, query, limit) for limit in (-1, 0, 1, 20, 21, 1000)]
    assert [len(hits) for hits in found] == [0, 0, 1, 20, 20, 20]
    return found


@reading
def equal_scores_are_in_the_order_of_ids(world: World) -> Result:
    same = make_vectors(1)
    points = make_points(20)
    twins = [dataclasses.replace(point, vectors=same) for point in points[:12]]
    collection = world.holding(twins + points[12:])
    found = [collection.search(name, same[name], limit) for name in WIDTHS for limit in (1, 5, 12, 15)]
    ids = sorted(point.id for point in twins)
    assert [hit.id for hit in found[3]][:12] == ids
    assert [hit.id for hit in found[1]] == ids[:5]
    return found


@reading
def more_equal_scores_at_the_cut_than_any_margin(world: World) -> Result:
    same = make_vectors(1)
    twins = [dataclasses.replace(point, vectors=same) for point in make_points(100)]
    collection = world.holding([*twins, Point(make_id(100), make_vectors(2), make_points(101)[100].payload)])
    ids = sorted(make_id(number) for number in range(100))
    found = [[hit.id for hit in collection.search(SEMANTIC, same[SEMANTIC], limit)] for limit in (1, 5, 90, 101)]
    assert found == [ids[:1], ids[:5], ids[:90], [*ids, make_id(100)]]
    return found


@reading
def the_edge_of_a_threshold(world: World) -> Result:
    collection = world.filled(30)
    query = make_vectors(100)[SEMANTIC]
    every = collection.search(SEMANTIC, query, 30)
    edge = every[4].score
    at, above = (collection.search(SEMANTIC, query, 30, min_score=score) for score in (edge, edge + 1e-6))
    assert at[-1].score == edge
    assert (len(at), len(above)) == (5, 4)
    assert collection.search(SEMANTIC, make_vectors(3)[SEMANTIC], 30, min_score=1.0)[0].id == make_id(3)
    return at, above, collection.search(SEMANTIC, query, 30, min_score=1.0)


@reading
def opposite_and_orthogonal_vectors(world: World) -> Result:
    vectors = make_vectors(1)
    opposite = {name: -vector for name, vector in vectors.items()}
    orthogonal = {name: vector[::-1] * ([1, -1] * (len(vector) // 2)) for name, vector in vectors.items()}
    payloads = [point.payload for point in make_points(3)]
    three = (vectors, opposite, {name: vector.astype(np.float32) for name, vector in orthogonal.items()})
    collection = world.holding([Point(make_id(i), v, payloads[i]) for i, v in enumerate(three)])
    found = [collection.search(name, vectors[name], 10, min_score=-1.0) for name in WIDTHS]
    assert [round(hit.score, 5) for hit in found[0]] == [1.0, 0.0, -1.0]
    return found, collection.retrieve([make_id(2)], [VISUAL])


FILTERS = {
    "none": Filter(),
    "one label": Filter(labels=("cat",)),
    "any of two labels": Filter(labels=("dog", "Käse 芝士")),
    "a label nothing has": Filter(labels=("cow",)),
    "a label with a slash": Filter(labels=("a/b",)),
    "a folder": Filter(under="top"),
    "a folder below": Filter(under="top/sub2"),
    "no path of a folder": Filter(under="to"),
    "not these": Filter(without=(make_id(1), make_id(2), make_id(999))),
    "words of names": Filter(named=(("TOP",), ("sub2", "sub3"))),
    "no part of a word": Filter(named=(("sub",),)),
    "words that stand apart": Filter(named=(("sub1 13",),)),
    "a spelling in two parts": Filter(named=(("13.jpg/top", "12, jpg"),)),
    "a keyword": Filter(labels=("garden",)),
    "a label or a keyword": Filter(labels=("dog",)),
    "since a day": Filter(after=wall_seconds("1971-01-01")),
    "before a day": Filter(before=wall_seconds("1969-02-01")),
    "between two days": Filter(after=wall_seconds("1969-02-01"), before=wall_seconds("1970-02-01")),
    "at the very second": Filter(after=0, before=1),
    "of any date": Filter(after=wall_seconds("0001-01-01")),
    "a camera in any case": Filter(camera="nikon"),
    "all words of a camera": Filter(camera="12 iPhone"),
    "no part of a camera's word": Filter(camera="phone"),
    "near Vienna": Filter(near=Near(48.2, 16.4, 10)),
    "with Linz in it": Filter(near=Near(48.2082, 16.3738, 156)),
    "without Linz in it": Filter(near=Near(48.2082, 16.3738, 150)),
    "over the date line": Filter(near=Near(-33.8567, -179.5, 2900)),
    "everywhere": Filter(near=Near(0, 0, 20038)),
    "one day, one camera, one place": Filter(
        after=wall_seconds("1968-02-01"),
        before=wall_seconds("1971-02-01"),
        camera="canon",
        near=Near(48, 16, 200),
        under="other",
    ),
    "all at once": Filter(labels=("cat", "dog"), under="top", without=(make_id(1), make_id(4))),
}


@reading
def filters(world: World) -> Result:
    collection = world.filled()
    query = make_vectors(100)[VISUAL]
    found = {title: collection.search(VISUAL, query, 100, wanted) for title, wanted in FILTERS.items()}
    counts = {title: collection.count(wanted) for title, wanted in FILTERS.items()}
    assert counts == {title: len(hits) for title, hits in found.items()}
    expected = {"none": 60, "one label": 20, "a folder": 40, "no path of a folder": 0, "not these": 58}
    expected |= {"words of names": 20, "no part of a word": 0}
    expected |= {"words that stand apart": 1, "a spelling in two parts": 2}
    expected |= {"a keyword": 8, "a label or a keyword": 16}
    expected |= {"since a day": 19, "before a day": 11, "between two days": 9, "at the very second": 1}
    expected |= {"of any date": 48, "a camera in any case": 12, "all words of a camera": 12}
    expected |= {"no part of a camera's word": 0, "near Vienna": 12, "with Linz in it": 24, "without Linz in it": 12}
    expected |= {"over the date line": 12, "everywhere": 36, "one day, one camera, one place": 2}
    assert expected.items() <= counts.items()
    combined = {hit.payload["path"] for hit in found["all at once"]}
    points = [point for i, point in enumerate(make_points(60)) if i not in (1, 4)]
    wanted = {"cat", "dog"}
    wanted_paths = [p.payload["path"] for p in points if wanted.intersection(labels_of(p.payload))]
    assert combined == {path for path in wanted_paths if path.startswith("top/")}
    return found, counts


@reading
def labels(world: World) -> Result:
    found = world.filled(60).labels()
    assert list(found.items()) == [("cat", 20), ("dog", 16), ("Käse 芝士", 10), ("a/b", 10), ("garden", 8)]
    return list(found.items())


@reading
def folders(world: World) -> Result:
    found = world.filled(60).folders()
    paths = [point.payload["path"] for point in make_points(60)]
    assert list(found) == sorted(found)
    assert found == {folder: sum(path.startswith(f"{folder}/") for path in paths) for folder in found}
    assert len(found) == 10
    return list(found.items())


@reading
def scrolling_under_a_filter(world: World) -> Result:
    collection = world.filled(60)
    found = list(collection.scroll(page=7, filter=Filter(labels=("cat",), under="top")))
    wanted = [p.id for p in make_points(60) if p.payload["label"] == "cat" and p.payload["path"].startswith("top/")]
    assert [point.id for page in found for point in page] == sorted(wanted)
    return found


@reading
def scrolling(world: World) -> Result:
    collection = world.filled(30)
    pages = {
        (size, vectors): list(collection.scroll(vectors, page=size))
        for size in (1, 7, 10, 30, 1000)
        for vectors in ((), (VISUAL,), (VISUAL, SEMANTIC))
    }
    ids = sorted(make_id(number) for number in range(30))
    for (size, vectors), found in pages.items():
        assert [len(page) for page in found] == [size] * (30 // size) + ([30 % size] if 30 % size else [])
        assert [point.id for page in found for point in page] == ids
        assert all(point.vectors.keys() == set(vectors) for page in found for point in page)
    return pages


@reading
def retrieving(world: World) -> Result:
    collection = world.filled(10)
    asked = [make_id(i) for i in (7, 3, 999, 3, 0)]
    found = [collection.retrieve(asked, vectors) for vectors in ((), (SEMANTIC,), (VISUAL, SEMANTIC))]
    assert [list(points) for points in found] == [[make_id(i) for i in (7, 3, 0)]] * 3
    assert all(id == point.id for points in found for id, point in points.items())
    assert found[0][make_id(7)].vectors == {}
    stored = make_vectors(7)[SEMANTIC]
    np.testing.assert_allclose(
        found[1][make_id(7)].vectors[SEMANTIC], stored / np.linalg.norm(stored), atol=SCORE_TOLERANCE
    )
    assert collection.retrieve([]) == {}
    return found


@reading
def bad_queries_are_refused(world: World) -> Result:
    collection = world.filled(5)
    calls = {
        "nan": lambda: collection.search(SEMANTIC, np.full(8, np.nan, np.float32), 3),
        "infinite": lambda: collection.search(SEMANTIC, np.full(8, -np.inf, np.float32), 3),
        "too wide": lambda: collection.search(SEMANTIC, np.ones(24, np.float32), 3),
        "zero": lambda: collection.search(SEMANTIC, np.zeros(8, np.float32), 3),
        "unknown name": lambda: collection.search("smell", np.ones(8, np.float32), 3),
    }
    outcomes = {title: outcome(call) for title, call in calls.items()}
    assert set(outcomes.values()) == {"ValueError"}
    return outcomes
