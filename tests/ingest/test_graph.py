"""The search graph of a large collection: its answers, what comes after it, and a kill while it is built."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.cli import app as ingest
from ingest.pipeline import search_graph
from ingest.pipeline.search_graph import build_search_graph
from ingest.records import CollectionMetadata, Picture
from ingest.report import status_rows
from ingest.stores import SEMANTIC, VISUAL, Collection, Filter, Point, hnsw
from ingest.stores.embedded import EmbeddedStore, graph
from ingest.stores.embedded.shard import SHARD
from model.projections import unit
from tests.commands import asked as asked_of
from tests.local_qdrant import local_qdrant
from tests.waiting import wait_until

WIDTHS = {VISUAL: 256, SEMANTIC: 50}
COUNT = 3000
METADATA = CollectionMetadata(
    "pictures", WIDTHS, "glove-6b-50d", "0" * 64, "efficientnet-lite0", "0" * 64, "conse", root="/made-up"
)

BUILD = """
import sys
from pathlib import Path
from typing import Any
from ingest.stores import hnsw
from ingest.stores.embedded.store import EmbeddedStore
hnsw.GRAPH_FROM = 1000
with EmbeddedStore(Path(sys.argv[1])).open("many", write=True) as collection:
    collection.index()
"""


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw, "GRAPH_FROM", 1000)


def points(numbers: range, seed: int = 0) -> list[Point]:
    """Clusters of pictures; the same number and seed are the same picture."""
    centres = {name: np.random.default_rng(7).standard_normal((40, width)) for name, width in WIDTHS.items()}
    made = []
    for number in numbers:
        random = np.random.default_rng((number, seed))
        path = f"{'even' if number % 2 == 0 else 'odd'}/{number}.jpg"
        picture = Picture(path, f"{number:064x}", 640, 480, 1000, 1, 1.0)
        vectors = {
            name: unit((centre[number % 40] + random.standard_normal(width)).astype(np.float32)[None])[0]
            for (name, width), centre in zip(WIDTHS.items(), centres.values(), strict=True)
        }
        made.append(Point(picture.id, vectors, picture.to_payload()))
    return made


def recall(collection: Collection, asked: list[Point]) -> float:
    found = 0
    for point in asked:
        for using in WIDTHS:
            exact = collection.search(using, point.vectors[using], 10, exact=True)
            near = collection.search(using, point.vectors[using], 10)
            found += len({hit.id for hit in exact} & {hit.id for hit in near})
    return found / (len(asked) * len(WIDTHS) * 10)


def make(store: EmbeddedStore) -> None:
    with store.create("many", METADATA) as collection:
        collection.upsert(points(range(COUNT)))


def left_over(store: EmbeddedStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.name.endswith(".tmp")]


def test_a_graph_answers_as_a_full_comparison_and_what_comes_later_is_found(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    make(store)
    assert store.summary("many").graph == 0
    asked = points(range(0, COUNT, 100), seed=1)
    with store.open("many", write=True) as collection:
        collection.index()
        assert recall(collection, asked) >= 0.99
        changed, gone, new = points(range(10), seed=5), points(range(10, 20)), points(range(COUNT, COUNT + 10))
        collection.upsert([*changed, *new])
        collection.delete([point.id for point in gone])
        for point in [*changed, *new]:
            assert collection.search(VISUAL, point.vectors[VISUAL], 1)[0].id == point.id
        for point in gone:
            assert collection.search(VISUAL, point.vectors[VISUAL], 1)[0].id != point.id
        collection.index()  # so little is not worth another
    assert store.summary("many").graph == COUNT
    assert not left_over(store)
    with store.open("many") as collection:
        assert collection.count() == COUNT
        assert recall(collection, asked) >= 0.99
        found = collection.search(VISUAL, asked[0].vectors[VISUAL], 700, Filter(labels=("odd",)))
        assert len(found) == 700
        assert {hit.payload["label"] for hit in found} == {"odd"}
        assert len(collection.search(SEMANTIC, asked[0].vectors[SEMANTIC], COUNT + 5)) == COUNT
        old = {hit.id: hit.payload["path"] for hit in collection.search(VISUAL, asked[1].vectors[VISUAL], 50)}
        assert all(
            Picture.from_payload(point.payload).path == old[id] for id, point in collection.retrieve([*old]).items()
        )


def test_the_graph_is_built_anew_where_much_was_written_or_deleted(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    make(store)
    with store.open("many", write=True) as collection:
        collection.index()
        collection.upsert(points(range(1100), seed=2))  # as many points as before
        collection.index()
    with store.open("many", write=True) as collection:
        assert store.summary("many").graph == COUNT
        before = (store.root / "collections/many" / SHARD).stat().st_ino
        collection.delete([point.id for point in points(range(1000))])
        collection.index()
        assert (store.root / "collections/many" / SHARD).stat().st_ino != before
        assert collection.count() == COUNT - 1000
    assert store.summary("many").graph == COUNT - 1000
    with store.open("many") as collection:
        assert recall(collection, points(range(1000, COUNT, 100), seed=1)) >= 0.99


def scattered(count: int) -> list[Point]:
    """Pictures that have nothing in common: a graph leads to few of their neighbours."""
    random = np.random.default_rng(3)
    made = []
    for number in range(count):
        picture = Picture(f"{number}.jpg", f"{number:064x}", 640, 480, 1000, 1, 1.0)
        vectors = {
            name: unit(random.standard_normal((1, width)).astype(np.float32))[0] for name, width in WIDTHS.items()
        }
        made.append(Point(picture.id, vectors, picture.to_payload()))
    return made


def test_it_is_searched_as_widely_as_its_recall_needs_and_status_says_how_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "FULL_SCAN_KB", 1)
    monkeypatch.setattr(graph, "LINKS", 8)
    monkeypatch.setattr(graph, "BUILD_WIDTH", 16)
    monkeypatch.setattr(graph, "run_in_child_process", lambda _, build, *given, **more: build(*given, **more))
    monkeypatch.setattr(hnsw, "SEARCH_WIDTH", 1)
    monkeypatch.setattr(search_graph, "WIDTHS", (1, 2000, 4000))
    store = EmbeddedStore(tmp_path)
    with store.create("many", METADATA) as collection:
        collection.upsert(scattered(COUNT))
        build_search_graph(collection)
    metadata = store.metadata("many")
    assert metadata.search_width == 2000
    assert {*metadata.recall} == {VISUAL, SEMANTIC}
    assert min(metadata.recall.values()) >= 0.99
    (row,) = status_rows(store)
    assert (row["search_width"], row["recall"]) == (2000, dict(metadata.recall))
    with store.open("many", write=True) as collection:
        asked = scattered(200)
        assert recall(collection, asked) >= 0.99
        collection.save(replace(collection.metadata, search_width=0))
        assert recall(collection, asked) < 0.99
    said = asked_of(ingest, "status", "--store", tmp_path).out
    assert f"graph (HNSW) over {COUNT} pictures, recall@10 visual " in said


def codes(store: EmbeddedStore) -> list[Path]:
    return list((store.root / "collections/many" / SHARD).rglob("*quantized*"))


def test_codes_are_followed_where_said_and_neither_answers_nor_scores_change(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    make(store)
    asked = points(range(0, COUNT, 100), seed=1)
    with store.open("many", write=True) as collection:
        collection.index()
        assert (store.summary("many").quantized, codes(store)) == (False, [])
        collection.index(True)
        assert store.summary("many").quantized
        assert codes(store)
        assert recall(collection, asked) >= 0.99
        for point in asked:
            vector = point.vectors[VISUAL]
            exact = {hit.id: hit.score for hit in collection.search(VISUAL, vector, 50, exact=True)}
            near = {hit.id: hit.score for hit in collection.search(VISUAL, vector, 10)}
            assert [exact[id] for id in near] == pytest.approx(list(near.values()), abs=2e-6)
        collection.upsert(points(range(1100), seed=2))
        collection.index()  # anew, as it was
        assert codes(store)
        collection.index(False)
        assert (store.summary("many").quantized, codes(store)) == (False, [])
        assert collection.count() == COUNT
    with store.open("many") as collection:
        assert recall(collection, asked) >= 0.99


def test_codes_come_by_size_where_the_vectors_would_fill_half_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not hnsw.wants_codes(10_000, 4096)
    assert hnsw.wants_codes(10**10, 4096)
    bytes_of_vectors = 4 * WIDTHS[VISUAL] * COUNT
    system = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 2 * bytes_of_vectors - 2}
    monkeypatch.setattr(hnsw.os, "sysconf", system.__getitem__, raising=False)
    store = EmbeddedStore(tmp_path)
    make(store)
    with store.open("many", write=True) as collection:
        collection.index()
    assert store.summary("many").quantized


def test_asked_while_it_is_built_and_killed_then_whole_and_built_by_the_next_run(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    make(store)
    building = subprocess.Popen([sys.executable, "-c", BUILD, tmp_path])
    folder = tmp_path / "collections/many"
    wait_until(lambda: building.poll() is not None or any(folder.glob(".shard.*")))
    assert building.poll() is None
    point = points(range(1))[0]
    with store.open("many") as collection:
        assert collection.search(VISUAL, point.vectors[VISUAL], 1)[0].id == point.id
    os.kill(building.pid, signal.SIGKILL)
    building.wait()
    assert store.summary("many").graph == 0
    with store.open("many", write=True) as collection:
        assert collection.count() == COUNT
        assert collection.search(VISUAL, point.vectors[VISUAL], 1)[0].id == point.id
        collection.index()
    assert store.summary("many").graph == COUNT
    assert not left_over(store)


def test_a_server_is_told_to_build_one_and_asked_exactly_where_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    from qdrant_client import models

    from ingest.stores.server import collection as server
    from ingest.stores.server.store import ServerStore

    changes: list[dict[str, models.VectorParamsDiff]] = []
    asked: list[dict[str, Any]] = []
    client = local_qdrant()
    update, query = client.update_collection, client.query_points

    def watch_update(name: str, **options: object) -> bool:
        if "vectors_config" in options:
            changes.append(options["vectors_config"])  # type: ignore[arg-type]
        return update(name, **options)  # type: ignore[arg-type]

    def watch_query(*args: object, **options: object) -> object:
        asked.append(options["search_params"])  # type: ignore[arg-type]
        return query(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "update_collection", watch_update)
    monkeypatch.setattr(client, "query_points", watch_query)
    monkeypatch.setattr(server, "GRAPH_FROM", 100)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0)
    monkeypatch.setattr(server, "has_graph", lambda _: bool(changes))  # which local mode never has
    store = ServerStore(client, "memory")
    with store.create("many", METADATA) as collection:
        collection.upsert(points(range(100)))
        collection.index()
        assert changes == []
        collection.upsert(points(range(100, 120)))
        collection.index()
        assert [{name: diff.hnsw_config.m for name, diff in each.items()} for each in changes] == [
            {VISUAL: 24, SEMANTIC: 24}
        ]
        assert changes[0][VISUAL].quantization_config is None
        collection.index(True)
        assert changes[1][VISUAL].quantization_config.scalar.type == "int8"  # type: ignore[union-attr]
        assert changes[1][SEMANTIC].quantization_config is None
        row = points(range(1))[0].vectors[VISUAL]
        collection.search(VISUAL, row, 10)
        collection.search(VISUAL, row, 10, Filter(labels=("even",)))
        collection.search(VISUAL, row, 10, Filter(under="even"))
        collection.search(VISUAL, row, 2000)
        collection.search(VISUAL, row, 10, exact=True)
    assert [params["exact"] for params in asked] == [False, True, True, True, True]
    assert asked[0]["hnsw_ef"] >= 10
    assert [params["quantization"].get("rescore") for params in asked] == [True, *[None] * 4]
    store.close()


def test_a_build_that_dies_leaves_the_collection_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.errors import StoreError

    store = EmbeddedStore(tmp_path)
    make(store)

    def die(*_: object, **__: object) -> None:
        raise StoreError("it was killed")

    monkeypatch.setattr(graph, "run_in_child_process", die)
    with store.open("many", write=True) as collection:
        with pytest.raises(StoreError, match="killed"):
            collection.index()
        assert collection.count() == COUNT
    assert not left_over(store)
    assert store.summary("many").graph == 0
