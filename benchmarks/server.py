"""A Qdrant server: what of its client's speed is left of writing, reading and re-projecting, and a cold question.

    python benchmarks/server.py [--points 4000] [--width 4096] [--rounds 3] [--large COUNT]

QDRANT_BINARY names the server's binary, and PYTHONPATH this repository. Client and product take turns on one node, all
acknowledged: the client with four threads, each with a connection of its own over gRPC, and the product as a run
writes, 64 pictures at a time. ``--large``: what so many points take (time, disk, memory), recall@10 against a full
comparison, and how long a question takes.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

from benchmarks.scale import made_up, recall
from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Collection, Point, batches
from ingest.stores.server import ServerStore
from tests.nodes import Node, one_node, store_of

WORDS = 300
"""Numbers of a semantic vector: GloVe's of the standard pair."""

BATCH, CLIENT_BATCH, THREADS = 64, 256, 4
QUERIES, RECALL_QUERIES, LIMIT = 300, 50, 10
COLD = 7
TORCH = [sys.executable, "-c", "import torch"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place, one_node(Path(place)) as node:
        if asked.large:
            large(node, Path(place), asked.large, asked.width)
        else:
            beside_the_client(node, asked.points, asked.width, asked.rounds)


def metadata(width: int) -> CollectionMetadata:
    vectors = {VISUAL: width, SEMANTIC: WORDS}
    return CollectionMetadata(kind="pictures", vectors=vectors, words="glove", words_sha256="00", root="/photos")


def points(count: int, width: int, seed: int = 0) -> Iterator[Point]:
    number = 0
    for rows in made_up(width, WORDS, count, seed):
        for visual, semantic in zip(*rows, strict=True):
            picture = Picture(f"{number % 100}/{number}.jpg", f"{number:064x}", 640, 480, 100_000, 1, 1.0)
            yield Point(picture.id, {VISUAL: visual, SEMANTIC: semantic}, picture.to_payload())
            number += 1


def beside_the_client(node: Node, count: int, width: int, rounds: int) -> None:
    made = list(points(count, width))
    told: dict[str, list[float]] = {}
    with store_of(node) as store:
        for _ in range(rounds):
            for who, measure in (("client", by_client), ("product", by_product)):
                with store.create("b", metadata(width)) as collection:
                    for what, seconds in measure(node, store, collection, made).items():
                        told.setdefault(f"{what} {who}", []).append(count / seconds)
                store.drop("b")
    rates = {name: round(statistics.median(found)) for name, found in told.items()}
    shares = {}
    for what in ("writing", "reading", "re-projecting"):
        both = zip(told[f"{what} product"], told[f"{what} client"], strict=True)
        shares[what] = round(statistics.median(ours / theirs for ours, theirs in both), 2)
    print(json.dumps({"points": count, "width": width, "points/s": rates, "product/client": shares, **cold(node)}))


def by_product(_: Node, store: ServerStore, collection: Collection, made: list[Point]) -> dict[str, float]:
    def write() -> None:
        with collection.writing_ahead() as begin:
            for batch in batches(made, BATCH):
                begin(partial(collection.upsert, batch), lambda: None)

    def read() -> None:
        assert sum(len(page) for page in collection.scroll([VISUAL])) == len(made)  # noqa: S101

    def project() -> None:
        with collection.writing_ahead() as begin:
            for batch in batches(made, CLIENT_BATCH):
                rows = np.stack([point.vectors[SEMANTIC] for point in batch])
                begin(partial(collection.set_vectors, SEMANTIC, [point.id for point in batch], rows), lambda: None)

    with store.writing(collection.name):
        return {"writing": timed(write), "reading": timed(read), "re-projecting": timed(project)}


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


def large(node: Node, place: Path, count: int, width: int) -> None:
    with store_of(node) as store, store.create("b", metadata(width)) as collection, store.writing("b"):

        def write() -> None:
            with collection.writing_ahead() as begin:
                for batch in batches(points(count, width), BATCH):
                    begin(partial(collection.upsert, batch), lambda: None)

        told: dict[str, float] = {"points": count, "width": width, "write_s": round(timed(write))}
        told["graph_s"] = round(timed(collection.index))
        told["disk_gb"] = round(sum(f.stat().st_blocks * 512 for f in place.rglob("*") if f.is_file()) / 2**30, 1)
        told["rss_gb"] = round(node.resident_bytes() / 2**30, 1)
        told |= asked_of(collection, width)
        print(json.dumps(told))


def asked_of(collection: Collection, width: int) -> dict[str, float]:
    """Of other pictures near the same centres."""
    asked = list(points(QUERIES, width, seed=1))
    told: dict[str, float] = {}
    for space in (VISUAL, SEMANTIC):
        rows = [point.vectors[space] for point in asked]
        for _ in range(2):  # the first time round fetches pages
            times = [1000 * timed(partial(collection.search, space, row, LIMIT)) for row in rows]
        told[f"{space}_p50_ms"] = round(statistics.median(times), 1)
        told[f"{space}_p99_ms"] = round(float(np.quantile(times, 0.99)), 1)
        told[f"{space}_recall"] = round(recall(collection, space, np.stack(rows[:RECALL_QUERIES])), 4)
    return told


if __name__ == "__main__":
    main()
