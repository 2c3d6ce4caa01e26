"""The stores answer alike: every scenario runs on each, and the results are compared with the embedded store's.

The stand-in for a server is the client's local mode. With QDRANT_URL set (and QDRANT_API_KEY where the server
wants one) a real server is compared too. Scenarios that only read run on snapshots as well: one that is searched
whole, and one that is not.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient

from ingest import forest
from ingest.embedded import EmbeddedStore
from ingest.facts import Facts
from ingest.server import ServerStore, connect
from ingest.snapshot import SnapshotStore
from ingest.store import SEMANTIC, VISUAL, Collection, Filter, Hit, Point, Store, Vector
from model.errors import CollectionNotFound, StoreError
from tests.snapshots import make_payload, make_snapshot

# Read now: conftest takes these away from every test.
SERVER_URL = os.environ.get("QDRANT_URL", "")
SERVER_KEY = os.environ.get("QDRANT_API_KEY")

WIDTHS = {VISUAL: 24, SEMANTIC: 8}
SCORE_TOLERANCE = 2e-6
LABELS = ("cat", "dog", None, "Käse 芝士", "cat", "a/b")

Result = Any
Scenario = Callable[["World"], Result]
SCENARIOS: list[Scenario] = []
READING: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """One that changes what it asks, which a snapshot cannot."""
    SCENARIOS.append(function)
    return function


def reading(function: Scenario) -> Scenario:
    """One that only reads what `World.holding` gives it."""
    READING.append(function)
    return scenario(function)


class World:
    """One store, with collection names that nobody else uses on it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._suffix = f" test-{uuid4()}"
        self._open: list[Collection] = []

    def name(self, name: str) -> str:
        return name + self._suffix

    def told(self, text: str) -> str:
        return text.replace(self._suffix, "").replace(self.store.where, "STORE")

    def names(self) -> list[str]:
        return [self.told(name) for name in self.store.names() if self._suffix in name]

    def collection(self, name: str = "a", **facts: Any) -> Collection:
        self._open.append(self.store.create(self.name(name), make_facts(**facts)))
        return self._open[-1]

    def holding(self, points: Sequence[Point]) -> Collection:
        """A collection of these."""
        collection = self.collection()
        collection.upsert(points)
        return collection

    def filled(self, count: int = 60) -> Collection:
        return self.holding(make_points(count))

    def clean(self) -> None:
        for collection in self._open:
            collection.close()
        for name in self.names():
            self.store.drop(self.name(name))


class SnapshotWorld(World):
    """Snapshots, each exported from an embedded collection of what it shall hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[SnapshotStore] = []

    def holding(self, points: Sequence[Point]) -> Collection:
        self.made.append(make_snapshot(self._folder / str(len(self.made)), make_facts(), points, target=1.0))
        return self.made[-1].open("pictures")


def make_facts(**changes: Any) -> Facts:
    facts = Facts(kind="pictures", vectors=WIDTHS, words="glove", words_sha256="00", trained=("cat", "dog"))
    return dataclasses.replace(facts, **changes)


def make_id(number: int) -> UUID:
    """Ids whose order is not that of the numbers."""
    return UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128)


def make_vectors(seed: int, scale: float = 1.0) -> dict[str, Vector]:
    random = np.random.default_rng(seed)
    return {name: (scale * random.standard_normal(width)).astype(np.float32) for name, width in WIDTHS.items()}


def make_points(count: int) -> list[Point]:
    points = []
    for number in range(count):
        path = f"{'top' if number % 3 else 'other'}/sub{number % 4}/{number}.jpg"
        payload = make_payload(path, LABELS[number % len(LABELS)])
        points.append(Point(make_id(number), make_vectors(number, scale=0.1 + number), payload))
    return points


def outcome(call: Callable[[], object]) -> str:
    """The kind of error a call ends with, or that it ends well."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error).__name__
    return "no error"


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
def opposite_and_zero_vectors(world: World) -> Result:
    vectors = make_vectors(1)
    opposite = {name: -vector for name, vector in vectors.items()}
    zero = {name: np.zeros_like(vector) for name, vector in vectors.items()}
    payloads = [point.payload for point in make_points(3)]
    points = [Point(make_id(i), v, payloads[i]) for i, v in enumerate((vectors, opposite, zero))]
    collection = world.holding(points)
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
    assert expected.items() <= counts.items()
    combined = {hit.payload["path"] for hit in found["all at once"]}
    points = [point for i, point in enumerate(make_points(60)) if i not in (1, 4)]
    wanted_paths = [p.payload["path"] for p in points if p.payload["label"] in ("cat", "dog")]
    assert combined == {path for path in wanted_paths if path.startswith("top/")}
    return found, counts


@reading
def labels(world: World) -> Result:
    found = world.filled(60).labels()
    assert list(found.items()) == [("cat", 20), ("Käse 芝士", 10), ("a/b", 10), ("dog", 10)]
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


@scenario
def nothing_in_it(world: World) -> Result:
    collection = world.collection()
    assert collection.labels() == {}
    assert list(collection.scroll()) == []
    assert collection.search(VISUAL, make_vectors(1)[VISUAL], 3) == []
    return collection.count()


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


@scenario
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


@scenario
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


@scenario
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
        "too narrow": Point(make_id(90), {**good, SEMANTIC: np.ones(7, np.float32)}, {}),
        "too deep": Point(make_id(90), {**good, SEMANTIC: np.ones((1, 8), np.float32)}, {}),
        "a vector missing": Point(make_id(90), {VISUAL: good[VISUAL]}, {}),
        "an unknown vector": Point(make_id(90), {**good, "smell": np.ones(3, np.float32)}, {}),
        "a payload of nan": Point(make_id(90), good, {"width": float("nan")}),
    }


@scenario
def bad_points_are_refused_whole(world: World) -> Result:
    collection = world.filled(5)
    told = {}
    for title, bad in bad_points().items():
        fresh = Point(make_id(91), make_vectors(1), {})
        told[title] = outcome(lambda bad=bad, fresh=fresh: collection.upsert([fresh, bad, fresh]))
    assert set(told.values()) == {"ValueError"}
    assert collection.count() == 5
    return told, list(collection.scroll((VISUAL, SEMANTIC)))


@scenario
def bad_new_vectors_are_refused_whole(world: World) -> Result:
    collection = world.filled(5)
    ids = [make_id(0), make_id(1)]
    good = np.ones((2, 8), np.float32)
    nan = good.copy()
    nan[1, 3] = np.nan
    calls = {
        "nan": lambda: collection.set_vectors(SEMANTIC, ids, nan),
        "too wide": lambda: collection.set_vectors(SEMANTIC, ids, np.ones((2, 9), np.float32)),
        "too few": lambda: collection.set_vectors(SEMANTIC, ids, good[:1]),
        "unknown name": lambda: collection.set_vectors("smell", ids, good),
    }
    told = {title: outcome(call) for title, call in calls.items()}
    assert set(told.values()) == {"ValueError"}
    return told, collection.retrieve(ids, [SEMANTIC])


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
    told = {title: outcome(call) for title, call in calls.items()}
    assert set(told.values()) == {"ValueError"}
    return told


@scenario
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


@scenario
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


@scenario
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


@scenario
def facts(world: World) -> Result:
    made = make_facts(encoder="vgg16", root="/photos", pending="semantic", created="2026-01-01T00:00:00Z")
    name = world.name("a")
    with world.store.create(name, made) as collection:
        first = collection.facts
        collection.write_file("f", b"1")
        changed = dataclasses.replace(made, pending="", projection="procrustes", files={"f": "00"})
        collection.save(changed)
        assert collection.facts == changed
    with world.store.open(name) as collection:
        again = collection.facts
        assert collection.read_file("f") == b"1"
    assert first == made
    assert again == world.store.facts(name) == changed
    with world.store.open(name, write=True) as collection:
        collection.save(dataclasses.replace(changed, files={}))
    assert world.store.facts(name).files == {}
    return first, again, world.store.facts(name)


@scenario
def making_opening_and_dropping(world: World) -> Result:
    store = world.store
    with world.collection("b") as collection:
        collection.upsert(make_points(3))
        collection.write_file("f", b"1")
    world.collection("a").close()
    world.collection("w", kind="words").close()
    summary = store.summary(world.name("b"))
    assert (summary.name, summary.points, summary.facts) == (world.name("b"), 3, make_facts())
    names, pictures = world.names(), [world.told(name) for name in store.collections() if "test-" in name]
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


@scenario
def a_name_nothing_has(world: World) -> Result:
    world.collection("a").close()
    world.collection("b").close()
    missing = world.name("c")
    told = {}
    for title, call in {
        "open": lambda: world.store.open(missing),
        "write": lambda: world.store.open(missing, write=True),
        "facts": lambda: world.store.facts(missing),
        "summary": lambda: world.store.summary(missing),
        "drop": lambda: world.store.drop(missing),
    }.items():
        with pytest.raises(CollectionNotFound) as raised:
            call()
        told[title] = world.told(str(raised.value))
        assert world.name("a") in str(raised.value)
        assert world.name("b") in str(raised.value)
    return told if not SERVER_URL else None  # a real server may hold others, and names them


@scenario
def a_name_that_is_taken(world: World) -> Result:
    with world.filled(5) as collection:
        collection.write_file("f", b"1")
    with pytest.raises(StoreError, match="already"):
        world.collection("a", vectors={VISUAL: 3})
    with world.store.open(world.name("a")) as collection:
        assert collection.facts == make_facts()
        return collection.count(), collection.read_file("f")


def assert_congruent(left: Result, right: Result, where: str = "result") -> None:
    """Equal in all but the last digits of scores and vectors."""
    assert type(left) is type(right), where
    if isinstance(left, Hit | Point):
        for field in dataclasses.fields(left):
            inner = f"{where}.{field.name}"
            assert_congruent(getattr(left, field.name), getattr(right, field.name), inner)
    elif isinstance(left, Mapping):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_congruent(left[key], right[key], f"{where}[{key!r}]")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for index, pair in enumerate(zip(left, right, strict=True)):
            assert_congruent(*pair, f"{where}[{index}]")
    elif isinstance(left, np.ndarray):
        np.testing.assert_allclose(left, right, atol=SCORE_TOLERANCE, err_msg=where)
    elif isinstance(left, float):
        assert left == pytest.approx(right, abs=SCORE_TOLERANCE), where
    else:
        assert left == right, where


@contextmanager
def world_of(store: Store) -> Iterator[World]:
    world = World(store)
    try:
        yield world
    finally:
        world.clean()
        store.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[dict[str, World]]:
    stores: dict[str, Store] = {
        "embedded": EmbeddedStore(tmp_path / "s"),
        "memory": ServerStore(QdrantClient(":memory:"), "memory"),
    }
    if SERVER_URL:
        stores["server"] = connect(SERVER_URL, SERVER_KEY)
    with ExitStack() as stack:
        yield {name: stack.enter_context(world_of(store)) for name, store in stores.items()}


@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_stores_agree(run: Scenario, worlds: dict[str, World]) -> None:
    results = {name: run(world) for name, world in worlds.items()}
    expected = results.pop("embedded")
    for name, result in results.items():
        assert_congruent(expected, result, name)


@pytest.mark.parametrize("search", ["exhaustive", "approximate"])
@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_a_snapshot_agrees(run: Scenario, search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if run not in READING:
        pytest.skip("it writes, and a snapshot is read-only")
    if search == "approximate":
        monkeypatch.setattr(forest, "EXACT_NUMBERS", 0)
    with world_of(EmbeddedStore(tmp_path / "s")) as live:
        expected = run(live)
    carried = SnapshotWorld(tmp_path / "snapshots")
    result = run(carried)
    trees = [store.manifest.spaces[name].trees for store in carried.made for name in WIDTHS]
    assert trees
    assert all((count > 1) == (search == "approximate") for count in trees)
    assert_congruent(expected, result, f"snapshot, {search}")
