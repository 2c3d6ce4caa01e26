"""Scenarios that change what they ask, which a snapshot cannot: each returns what it was answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from ingest.errors import CollectionNotFound, StoreError
from ingest.records import Pending
from ingest.stores import SEMANTIC, VISUAL, Filter, Point, SparseVector
from tests.ingest.worlds import (
    SERVER_URL,
    Result,
    Scenario,
    World,
    make_facts,
    make_id,
    make_payload,
    make_points,
    make_vectors,
    outcome,
)

WRITING: list[Scenario] = []


def writing(function: Scenario) -> Scenario:
    WRITING.append(function)
    return function


@writing
def nothing_in_it(world: World) -> Result:
    collection = world.collection()
    assert collection.labels() == {}
    assert list(collection.scroll()) == []
    assert collection.search(VISUAL, make_vectors(1)[VISUAL], 3) == []
    return collection.count()


@writing
def replacing_payloads(world: World) -> Result:
    collection = world.filled(10)
    before = collection.retrieve([make_id(3), make_id(4)], [VISUAL, SEMANTIC])
    changed = {make_id(n): make_payload(f"new/{n}.jpg", "new", camera="Leica M3", taken_at=7) for n in (3, 4)}
    collection.set_payloads(changed)
    assert collection.count() == 10
    assert collection.labels()["new"] == 2
    found = [collection.count(Filter(camera="leica")), collection.count(Filter(after=7, before=8, under="new"))]
    assert found == [2, 2]
    after = collection.retrieve([make_id(3), make_id(4)], [VISUAL, SEMANTIC])
    assert {id: point.payload for id, point in after.items()} == changed
    for id, point in after.items():
        np.testing.assert_array_equal(point.vectors[VISUAL], before[id].vectors[VISUAL])
    collection.set_payloads({})
    with pytest.raises(ValueError, match="not JSON"):
        collection.set_payloads({make_id(3): {"a": float("nan")}})
    return after, collection.search(SEMANTIC, make_vectors(3)[SEMANTIC], 2)


@writing
def upserting_replaces_whole_points(world: World) -> Result:
    collection = world.filled(5)
    new = Point(make_id(3), make_vectors(33), {"path": "new.jpg"})
    collection.upsert([new])
    collection.upsert([])
    found = collection.retrieve([make_id(3)], [VISUAL])
    assert dict(found[make_id(3)].payload) == {"path": "new.jpg"}
    assert collection.search(VISUAL, make_vectors(33)[VISUAL], 1)[0].id == make_id(3)
    twice = [Point(make_id(4), make_vectors(i), {"path": f"{i}"}) for i in (1, 2)]
    collection.upsert(twice)
    last = collection.retrieve([make_id(4)], [VISUAL])
    assert last[make_id(4)].payload["path"] == "2"
    assert collection.count() == 5
    return found, last


@writing
def setting_one_vector(world: World) -> Result:
    collection = world.filled(10)
    ids = [make_id(i) for i in (2, 5)]
    matrix = np.stack([make_vectors(seed)[SEMANTIC] for seed in (52, 55)])
    before = collection.retrieve(ids, [VISUAL])
    collection.set_vectors(SEMANTIC, ids, matrix)
    collection.set_vectors(SEMANTIC, [], np.empty((0, 8), np.float32))
    after = collection.retrieve(ids, [VISUAL, SEMANTIC])
    for id in ids:
        np.testing.assert_array_equal(before[id].vectors[VISUAL], after[id].vectors[VISUAL])
        assert before[id].payload == after[id].payload
    found = collection.search(SEMANTIC, matrix[1], 10)
    assert found[0].id == ids[1]
    return after, found


@writing
def deleting(world: World) -> Result:
    collection = world.filled(12)
    gone = [make_id(i) for i in (1, 6, 999)]
    collection.delete(gone)
    collection.delete([])
    collection.delete(gone)
    found = collection.search(VISUAL, make_vectors(1)[VISUAL], 12)
    assert not {hit.id for hit in found} & set(gone)
    assert collection.count() == 10
    everything = list(collection.scroll())
    collection.upsert(make_points(2))
    assert collection.count() == 11
    return found, everything, collection.labels(), collection.retrieve(gone)


def bad_points() -> Mapping[str, Point]:
    good = make_vectors(1)
    return {
        "nan": Point(make_id(90), {**good, VISUAL: np.full(24, np.nan, np.float32)}, {}),
        "infinite": Point(make_id(90), {**good, SEMANTIC: np.full(8, np.inf, np.float32)}, {}),
        "zero": Point(make_id(90), {**good, SEMANTIC: np.zeros(8, np.float32)}, {}),
        "too narrow": Point(make_id(90), {**good, SEMANTIC: np.ones(7, np.float32)}, {}),
        "too deep": Point(make_id(90), {**good, SEMANTIC: np.ones((1, 8), np.float32)}, {}),
        "a vector missing": Point(make_id(90), {VISUAL: good[VISUAL]}, {}),
        "an unknown vector": Point(make_id(90), {**good, "smell": np.ones(3, np.float32)}, {}),
        "a payload of nan": Point(make_id(90), good, {"width": float("nan")}),
    }


@writing
def bad_points_are_refused_whole(world: World) -> Result:
    collection = world.filled(5)
    outcomes = {}
    for title, bad in bad_points().items():
        fresh = Point(make_id(91), make_vectors(1), {})
        outcomes[title] = outcome(lambda bad=bad, fresh=fresh: collection.upsert([fresh, bad, fresh]))
    assert set(outcomes.values()) == {"ValueError"}
    assert collection.count() == 5
    return outcomes, list(collection.scroll((VISUAL, SEMANTIC)))


@writing
def bad_new_vectors_are_refused_whole(world: World) -> Result:
    collection = world.filled(5)
    ids = [make_id(0), make_id(1)]
    good = np.ones((2, 8), np.float32)
    nan = good.copy()
    nan[1, 3] = np.nan
    zero = good.copy()
    zero[1] = 0
    calls = {
        "nan": lambda: collection.set_vectors(SEMANTIC, ids, nan),
        "zero": lambda: collection.set_vectors(SEMANTIC, ids, zero),
        "too wide": lambda: collection.set_vectors(SEMANTIC, ids, np.ones((2, 9), np.float32)),
        "too few": lambda: collection.set_vectors(SEMANTIC, ids, good[:1]),
        "unknown name": lambda: collection.set_vectors("smell", ids, good),
    }
    outcomes = {title: outcome(call) for title, call in calls.items()}
    assert set(outcomes.values()) == {"ValueError"}
    return outcomes, collection.retrieve(ids, [SEMANTIC])


@writing
def payloads_come_back_as_they_were(world: World) -> Result:
    payload = {
        "path": "Fotos/ñ 芝士 🧀.jpg",
        "label": None,
        "folders": [],
        "mtime_ns": 1_700_000_000_123_456_789,
        "visual_norm": 0.1,
        "flag": True,
        "nested": {"list": [1, 2.5, None, "x", {"deep": False}]},
        "empty": "",
    }
    with world.collection() as collection:
        collection.upsert([Point(make_id(1), make_vectors(1), payload)])
        found = collection.retrieve([make_id(1)])[make_id(1)].payload
    assert found == payload
    assert isinstance(found["mtime_ns"], int)
    return found


@writing
def many_wide_points_at_once(world: World) -> Result:
    """More than one request to a server."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 4096)).astype(np.float32)
    collection = world.collection(vectors={VISUAL: 4096})
    collection.upsert([Point(make_id(i), {VISUAL: row}, {"i": i}) for i, row in enumerate(vectors)])
    ids = [make_id(i) for i in range(60)]
    collection.set_vectors(VISUAL, ids, vectors[::-1].copy())
    assert collection.search(VISUAL, vectors[0], 1)[0].payload == {"i": 59}
    assert [len(page) for page in collection.scroll((VISUAL,))] == [60]
    assert list(collection.retrieve(ids[::-1], (VISUAL,))) == ids[::-1]
    collection.delete(ids[:50])
    return collection.search(VISUAL, vectors[3], 60), collection.count()


@writing
def files(world: World) -> Result:
    big = np.random.default_rng(0).bytes(3 * 2**20 + 17)
    name = world.name("a")
    with world.collection() as collection:
        missing = collection.read_file("none.bin")
        collection.write_file("big.bin", big)
        collection.write_file("same.bin", big)
        collection.write_file("empty.bin", b"")
        first = collection.read_file("big.bin") == big
        collection.write_file("big.bin", b"small\x00\xff")
        collection.write_file("big.bin", b"small\x00\xff")
    with world.store.open(name) as collection:
        found = [collection.read_file(file) for file in ("big.bin", "empty.bin", "none.bin")]
        assert collection.read_file("same.bin") == big
    assert first
    assert missing is None
    assert found == [b"small\x00\xff", b"", None]
    assert world.names() == ["a"]
    world.store.drop(name)
    with world.collection() as collection:
        assert collection.read_file("same.bin") is None
    return found


@writing
def metadata(world: World) -> Result:
    made = make_facts(encoder="vgg16", root="/photos", pending=Pending.SWITCHING, created="2026-01-01T00:00:00Z")
    name = world.name("a")
    with world.store.create(name, made) as collection:
        first = collection.metadata
        collection.write_file("f", b"1")
        changed = dataclasses.replace(made, pending=Pending.NOTHING, projection="procrustes", files={"f": "00"})
        collection.save(changed)
        assert collection.metadata == changed
    with world.store.open(name) as collection:
        again = collection.metadata
        assert collection.read_file("f") == b"1"
    assert first == made
    assert again == world.store.metadata(name) == changed
    with world.store.open(name, write=True) as collection:
        collection.save(dataclasses.replace(changed, files={}))
    assert world.store.metadata(name).files == {}
    return first, again, world.store.metadata(name)


@writing
def making_opening_and_dropping(world: World) -> Result:
    store = world.store
    with world.collection("b") as collection:
        collection.upsert(make_points(3))
        collection.write_file("f", b"1")
    world.collection("a").close()
    world.collection("w", kind="words").close()
    summary = store.summary(world.name("b"))
    assert (summary.name, summary.points, summary.metadata) == (world.name("b"), 3, make_facts())
    names, pictures = world.names(), [world.neutral(name) for name in store.collections() if "test-" in name]
    with store.open(world.name("b"), write=True) as collection:
        collection.upsert(make_points(4))
    with store.open(world.name("b")) as collection:
        count = collection.count()
    store.drop(world.name("b"))
    after = world.names()
    with world.collection("b") as collection:
        assert collection.count() == 0
        assert collection.search(VISUAL, make_vectors(1)[VISUAL], 3) == []
    assert names == ["a", "b", "w"]
    assert pictures == ["a", "b"]
    assert after == ["a", "w"]
    assert count == 4
    return names, pictures, after, store.summary(world.name("b")).points


@writing
def a_name_nothing_has(world: World) -> Result:
    world.collection("a").close()
    world.collection("b").close()
    missing = world.name("c")
    outcomes = {}
    for title, call in {
        "open": lambda: world.store.open(missing),
        "write": lambda: world.store.open(missing, write=True),
        "metadata": lambda: world.store.metadata(missing),
        "summary": lambda: world.store.summary(missing),
        "drop": lambda: world.store.drop(missing),
    }.items():
        with pytest.raises(CollectionNotFound) as raised:
            call()
        outcomes[title] = world.neutral(str(raised.value))
        assert world.name("a") in str(raised.value)
        assert world.name("b") in str(raised.value)
    return outcomes if not SERVER_URL else None  # a real server may hold others, and names them


@writing
def a_name_that_is_taken(world: World) -> Result:
    with world.filled(5) as collection:
        collection.write_file("f", b"1")
    with pytest.raises(StoreError, match="already"):
        world.collection("a", vectors={VISUAL: 3})
    with world.store.open(world.name("a")) as collection:
        assert collection.metadata == make_facts()
        return collection.count(), collection.read_file("f")


@writing
def sparse_vectors(world: World) -> Result:
    name = world.name("sparse")
    numbers = {1: ([2, 7], [0.5, 0.25]), 2: ([7], [0.75]), 3: ([900], [1.0])}
    points = [
        Point(make_id(number), make_vectors(number), make_payload(f"a/{number}.jpg", "cat"), {"classes": sparse(*both)})
        for number, both in numbers.items()
    ]
    with world.store.create(name, make_facts(sparse=("classes",))) as collection:
        collection.upsert(points)
        question = sparse([2, 7], [1.0, 2.0])
        found = collection.search_sparse("classes", question, 10)
        assert [(hit.id, hit.score) for hit in found] == [(make_id(2), 1.5), (make_id(1), 1.0)]
        assert [hit.id for hit in collection.search_sparse("classes", question, 1)] == [make_id(2)]
        assert [hit.id for hit in collection.search_sparse("classes", question, 10, min_score=1.2)] == [make_id(2)]
        collection.set_sparse("classes", {make_id(1): sparse([2], [9.0])})
        changed = collection.search_sparse("classes", question, 10, Filter(without=(make_id(2),)))
        assert [(hit.id, hit.score) for hit in changed] == [(make_id(1), 9.0)]
        stored = collection.retrieve([make_id(2)], ["classes", VISUAL])[make_id(2)]
        assert stored.sparse["classes"].indices.tolist() == [7]
        assert stored.sparse["classes"].values.tolist() == [0.75]
        assert set(stored.vectors) == {VISUAL}
        refused = [
            outcome(lambda: collection.upsert([dataclasses.replace(points[0], sparse={})])),
            outcome(lambda: collection.set_sparse("classes", {make_id(1): sparse([], [])})),
            outcome(lambda: collection.set_sparse("classes", {make_id(1): sparse([3, 2], [1.0, 1.0])})),
            outcome(lambda: collection.set_sparse("classes", {make_id(1): sparse([3], [float("nan")])})),
            outcome(lambda: collection.search_sparse("other", question, 1)),
        ]
        assert refused == ["ValueError"] * 5
    with world.store.open(name) as collection:
        again = collection.search_sparse("classes", question, 10)
    return found, changed, again


def sparse(indices: list[int], values: list[float]) -> SparseVector:
    return SparseVector(np.array(indices, np.uint32), np.array(values, np.float32))
