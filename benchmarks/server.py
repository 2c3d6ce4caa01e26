"""A Qdrant server: what of its client's speed is left of writing, reading and re-projecting, and a cold question.

    python benchmarks/server.py [--points 4000] [--width 4096] [--words 300] [--rounds 3]
    python benchmarks/server.py --messages 64,256,1024
    python benchmarks/server.py --large COUNT [--classes]

QDRANT_BINARY names the server's binary, and PYTHONPATH this repository. Client and product take turns on one node, all
acknowledged: the client with four threads, each with a connection of its own over gRPC, and the product as a run
writes, 64 pictures at a time. ``--large``: what so many points take (time, disk, memory), recall@10 against a full
comparison, and how long a question takes, each told as soon as it is known; with the bundled pair's ``--width 1280
--words 384 --classes``, a million of them want 20 GB below TMPDIR for the while.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

from benchmarks.scale import made_up, recall
from ingest.records import CollectionMetadata, Picture
from ingest.stores import CLASSES, SEMANTIC, VISUAL, Collection, Point, SparseVector, batches
from ingest.stores.server import ServerStore
from model.class_space import sparse
from model.encoders import CLASSES as CLASSES_OF_PICTURES
from model.projections import softmax
from tests.nodes import Node, one_node, store_of

CLASS_SPREAD = 3.1
"""Of the logits of made-up classes: as of photographs, some 63 of 1,000 are probable enough to be stored."""

BATCH, CLIENT_BATCH, THREADS = 64, 256, 4
QUERIES, RECALL_QUERIES, LIMIT = 300, 50, 10
COLD = 7
TORCH = [sys.executable, "-c", "import torch"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--words", type=int, default=300, help="width of the semantic vectors")
    parser.add_argument("--classes", action="store_true", help="sparse vectors of 1,000 classes too, with --large")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", default="", help="write alone, so many pictures at a time, in turn")
    parser.add_argument("--large", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place, one_node(Path(place)) as node:
        widths = Widths(asked.width, asked.words)
        if asked.large:
            large(node, Path(place), asked.large, widths, with_classes=asked.classes)
        elif asked.messages:
            in_messages(node, [int(size) for size in asked.messages.split(",")], asked.points, widths, asked.rounds)
        else:
            beside_the_client(node, asked.points, widths, asked.rounds)


@dataclass(frozen=True)
class Widths:
    """Of the vectors of a picture."""

    visual: int
    semantic: int


def metadata(widths: Widths, sparse_names: tuple[str, ...] = ()) -> CollectionMetadata:
    vectors = {VISUAL: widths.visual, SEMANTIC: widths.semantic}
    return CollectionMetadata("pictures", vectors, "glove", "00", root="/photos", sparse=sparse_names)


def points(count: int, widths: Widths, seed: int = 0, *, with_classes: bool = False) -> Iterator[Point]:
    number = 0
    classes = np.random.default_rng(0).standard_normal((widths.semantic, CLASSES_OF_PICTURES)).astype(np.float32)
    for visuals, semantics in made_up(widths.visual, widths.semantic, count, seed):
        probable = softmax((CLASS_SPREAD * semantics @ classes).astype(np.float32)) if with_classes else semantics
        for visual, semantic, row in zip(visuals, semantics, probable, strict=True):
            picture = Picture(f"{number % 100}/{number}.jpg", f"{number:064x}", 640, 480, 100_000, 1, 1.0)
            shown = {CLASSES: SparseVector(*sparse(row))} if with_classes else {}
            yield Point(picture.id, {VISUAL: visual, SEMANTIC: semantic}, picture.to_payload(), shown)
            number += 1


def question_of(point: Point) -> SparseVector:
    """As a question in words asks for classes: for many, with weights that fall."""
    shown = point.sparse[CLASSES]
    return SparseVector(shown.indices, np.sqrt(shown.values))


def beside_the_client(node: Node, count: int, widths: Widths, rounds: int) -> None:
    made = list(points(count, widths))
    found: dict[str, list[float]] = {}
    with store_of(node) as store:
        for _ in range(rounds):
            for who, measure in (("client", by_client), ("product", by_product)):
                with store.create("b", metadata(widths)) as collection:
                    for what, seconds in measure(node, store, collection, made).items():
                        found.setdefault(f"{what} {who}", []).append(count / seconds)
                store.drop("b")
    rates = {name: round(statistics.median(each)) for name, each in found.items()}
    shares = {}
    for what in ("writing", "reading", "re-projecting"):
        both = zip(found[f"{what} product"], found[f"{what} client"], strict=True)
        shares[what] = round(statistics.median(ours / theirs for ours, theirs in both), 2)
    print(
        json.dumps({"points": count, "width": widths.visual, "points/s": rates, "product/client": shares, **cold(node)})
    )


def in_messages(node: Node, sizes: list[int], count: int, widths: Widths, rounds: int) -> None:
    made = list(points(count, widths))
    found: dict[int, list[float]] = {size: [] for size in sizes}
    with store_of(node) as store:
        for turn in range(rounds):
            for size in sizes if turn % 2 else reversed(sizes):
                with store.create("b", metadata(widths)) as collection, store.writing("b"):
                    found[size].append(count / timed(partial(write_in, collection, made, size)))
                store.drop("b")
    tell(points=count, width=widths.visual, **{f"by_{size}": round(statistics.median(found[size])) for size in sizes})


def write_in(collection: Collection, made: Iterable[Point], size: int) -> None:
    with collection.writing_ahead() as begin:
        for batch in batches(made, size):
            begin(partial(collection.upsert, batch), lambda: None)


def by_product(_: Node, store: ServerStore, collection: Collection, made: list[Point]) -> dict[str, float]:
    def read() -> None:
        assert sum(len(page) for page in collection.scroll([VISUAL])) == len(made)  # noqa: S101

    def project() -> None:
        with collection.writing_ahead() as begin:
            for batch in batches(made, CLIENT_BATCH):
                rows = np.stack([point.vectors[SEMANTIC] for point in batch])
                begin(partial(collection.set_vectors, SEMANTIC, [point.id for point in batch], rows), lambda: None)

    with store.writing(collection.name):
        writing = timed(partial(write_in, collection, made, BATCH))
        return {"writing": writing, "reading": timed(read), "re-projecting": timed(project)}


def by_client(node: Node, _: ServerStore, collection: Collection, made: list[Point]) -> dict[str, float]:
    clients = [node.client(grpc=True) for _ in range(THREADS)]
    name = collection.name

    def in_turn(send: Callable[[QdrantClient, list[Point]], object]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            sent = [
                threads.submit(send, clients[number % THREADS], batch)
                for number, batch in enumerate(batches(made, CLIENT_BATCH))
            ]
            for one in sent:
                one.result()

    def upsert(client: QdrantClient, batch: list[Point]) -> None:
        structs = [
            models.PointStruct(
                id=str(point.id),
                vector={name: vector.tolist() for name, vector in point.vectors.items()},
                payload=dict(point.payload),
            )
            for point in batch
        ]
        client.upsert(name, structs, wait=True)

    def project(client: QdrantClient, batch: list[Point]) -> None:
        new = [(str(point.id), {SEMANTIC: point.vectors[SEMANTIC].tolist()}) for point in batch]
        rows = [models.PointVectors(id=id, vector=vector) for id, vector in new]
        client.update_vectors(name, rows, wait=True)

    def read() -> None:
        offset, seen = None, 0
        while True:
            page, offset = clients[0].scroll(name, limit=CLIENT_BATCH, offset=offset, with_vectors=[VISUAL])
            seen += len(page)
            for record in page:
                if record.vector:  # what is recorded of the collection has none
                    np.asarray(record.vector[VISUAL], np.float32)  # type: ignore[call-overload]
            if offset is None:
                return

    times = {
        "writing": timed(lambda: in_turn(upsert)),
        "reading": timed(read),
        "re-projecting": timed(lambda: in_turn(project)),
    }
    for client in clients:
        client.close()
    return times


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def cold(node: Node) -> dict[str, float]:
    """A question of a new process, beside the import of torch; the collection asked is small."""
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        environment = {**os.environ, "WORDSIGHT_STORE": place, "NO_PROXY": "127.0.0.1"}
        place_of = ["--url", node.url, "--grpc-port", str(node.grpc_port)]
        ran = partial(subprocess.run, check=True, capture_output=True, env=environment)
        ran(["ingest", "sample", f"{place}/photos"])
        ran(["ingest", "run", f"{place}/photos", "--offline", *place_of])
        ask = ["query", "text", "coffee", *place_of]
        both = [(timed(partial(ran, ask)), timed(partial(ran, TORCH))) for _ in range(COLD)]
        ran(["ingest", "drop", "photos", "--yes", *place_of])
    question, torch = (statistics.median(times) for times in zip(*both, strict=True))
    share = statistics.median(one / other for one, other in both)
    return {"cold_s": round(question, 2), "torch_s": round(torch, 2), "cold/torch": round(share, 2)}


def large(node: Node, place: Path, count: int, widths: Widths, *, with_classes: bool) -> None:
    made = metadata(widths, (CLASSES,) if with_classes else ())
    with store_of(node) as store, store.create("b", made) as collection, store.writing("b"):
        every = points(count, widths, with_classes=with_classes)
        written = round(timed(partial(write_in, collection, every, BATCH)))
        tell(points=count, visual=widths.visual, semantic=widths.semantic, write_s=written)
        tell(disk_gb=disk_gb(place), graph_s=round(timed(collection.index)))
        tell(disk_gb=disk_gb(place), rss_gb=gb(node.resident_bytes()), own_gb=gb(node.own_bytes()))
        asked = list(points(QUERIES, widths, seed=1, with_classes=with_classes))  # near the same centres
        for space in (VISUAL, SEMANTIC):
            rows = [point.vectors[space] for point in asked]
            tell_times(space, [partial(collection.search, space, row, LIMIT) for row in rows])
            tell(**{f"{space}_recall": round(recall(collection, space, np.stack(rows[:RECALL_QUERIES])), 4)})
        if with_classes:
            tell_times(
                CLASSES, [partial(collection.search_sparse, CLASSES, question_of(point), LIMIT) for point in asked]
            )
        tell(rss_gb=gb(node.resident_bytes()), own_gb=gb(node.own_bytes()))


def tell(**figures: float) -> None:
    print(json.dumps(figures), flush=True)


def tell_times(what: str, questions: list[Callable[[], object]]) -> None:
    for _ in range(2):  # the first time round fetches pages
        times = [1000 * timed(question) for question in questions]
    p50, p99 = (round(float(np.quantile(times, share)), 1) for share in (0.5, 0.99))
    tell(**{f"{what}_p50_ms": p50, f"{what}_p99_ms": p99})


def gb(size: float) -> float:
    return round(size / 2**30, 2)


def disk_gb(place: Path) -> float:
    """Of what may vanish meanwhile."""
    return gb(1024 * int(subprocess.run(["du", "-sk", place], check=False, stdout=subprocess.PIPE).stdout.split()[0]))


if __name__ == "__main__":
    main()
