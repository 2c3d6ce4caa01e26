"""Collections of synthetic pictures, written through the store: what size does to writing, opening and asking.

    python benchmarks/scale.py [--width 4096] [--words 300] [--sizes 3000,30000,100000] [--quantize]

Pictures are made up, image-like: 300 clusters, low-rank variation within each, ReLU for the visual vector. For each
size, in processes of their own: cost of writing (with building the graph and measuring its recall, where there is one),
size on disk, then the check before the engine loads (by the seal, and of a store without one), opening and the first
search, warm searches in both spaces, recall@10 against a full comparison, and memory. Ratios to the first size are told
at the end. 100,000 pictures 4096 wide need 6 GB of disk for the while.
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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ingest.pipeline.search_graph import build_search_graph
from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point, Vector
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.embedded.checking import check_shard
from ingest.stores.embedded.record import Record, read_record
from model.projections import unit

CLUSTERS = 300
RANK = 64
BATCH = 64
QUERIES = 200
CHECKS = 21
RECALL_QUERIES = 60
NAME = "made-up"
TIE = 2e-6


def main(width: int, words: int, sizes: list[int], quantize: bool) -> None:
    told: dict[int, dict[str, float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
            told[size] = {}
            for what in ("write", "ask"):
                told[size] |= part(what, place, width, words, size, quantize)
            print(json.dumps({"pictures": size, "width": width, "words": words, **told[size]}), flush=True)
    first = told[sizes[0]]
    for size in sizes[1:]:
        ratios = {name: round(told[size][name] / first[name], 2) for name in first if name.endswith(("_ms", "_us"))}
        print(f"{size} pictures against {sizes[0]}: {ratios}")


def part(what: str, place: str, width: int, words: int, size: int, quantize: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", what, "--place", place, "--width", str(width), "--sizes", str(size)]
    command += ["--words", str(words)]
    command += ["--quantize"] * quantize
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def made_up(width: int, words: int, size: int, seed: int = 0) -> Iterator[tuple[Vector, Vector]]:
    """Batches of visual and semantic vectors."""
    fixed, random = np.random.default_rng(0), np.random.default_rng((1, seed))
    centres = fixed.standard_normal((CLUSTERS, RANK)).astype(np.float32)
    spread = fixed.standard_normal((RANK, width)).astype(np.float32) / 8
    meanings = fixed.standard_normal((CLUSTERS, words)).astype(np.float32)
    for start in range(0, size, BATCH):
        cluster = random.integers(CLUSTERS, size=min(BATCH, size - start))
        inner = centres[cluster] + 0.8 * random.standard_normal((len(cluster), RANK), np.float32)
        visual = np.maximum(inner @ spread + 0.3 * random.standard_normal((len(cluster), width), np.float32), 0)
        yield visual, unit(meanings[cluster] + 0.7 * random.standard_normal((len(cluster), words), np.float32))


def write(place: Path, width: int, words: int, size: int, quantize: bool) -> dict[str, float]:
    metadata = CollectionMetadata(
        "pictures", {VISUAL: width, SEMANTIC: words}, "w", "0", "e", "0", "conse", root="/made-up"
    )
    store, number, taken, cpu = EmbeddedStore(place), 0, 0.0, 0.0
    with store.create(NAME, metadata) as collection:
        for visual, semantic in made_up(width, words, size):
            points = []
            for seen, meant in zip(visual, semantic, strict=True):
                picture = Picture(f"{number % 100}/{number}.jpg", f"{number:064x}", 640, 480, 100_000, 1, 1.0)
                points.append(Point(picture.id, {VISUAL: seen, SEMANTIC: meant}, picture.to_payload()))
                number += 1
            started, before = time.perf_counter(), time.process_time()
            collection.upsert(points)
            taken += time.perf_counter() - started
            cpu += time.process_time() - before
        own = time.process_time()
        started = time.perf_counter()
        build_search_graph(collection, quantize)
        built = time.perf_counter() - started
    apart = os.times()
    summary = store.summary(NAME)
    each = 1e6 / size
    return {
        "upsert_us": taken * each,
        "upsert_processor_us": cpu * each,
        "graph_s": built,
        "graph_processor_s": apart.children_user + apart.children_system + time.process_time() - own,
        "upsert_and_graph_us": (taken + built) * each,
        "disk_mb": (summary.size or 0) >> 20,
        "graph": summary.graph,
        "search_width": summary.metadata.search_width,
        **{f"measured_{space}_recall": found for space, found in summary.metadata.recall.items()},
    }


def ask(place: Path, width: int, words: int, size: int, _: bool) -> dict[str, float]:
    batches = made_up(width, words, min(2 * QUERIES, size), seed=1)  # near the same centres, other pictures
    visual, semantic = (np.concatenate(rows)[:QUERIES] for rows in zip(*batches, strict=True))
    told = checked(place / "collections" / NAME)
    started = time.perf_counter()
    with EmbeddedStore(place).open(NAME) as collection:
        told["open_ms"] = 1000 * (time.perf_counter() - started)
        collection.search(VISUAL, visual[0], 10)
        told["open_and_first_search_ms"] = 1000 * (time.perf_counter() - started)
        for using, asked in ((VISUAL, visual), (SEMANTIC, semantic)):
            for _turn in range(2):  # the first time round fetches pages
                taken = []
                for row in asked:
                    started = time.perf_counter()
                    collection.search(using, row, 10)
                    taken.append(1000 * (time.perf_counter() - started))
            told[f"{using}_p50_ms"] = statistics.median(taken)
            told[f"{using}_p95_ms"] = statistics.quantiles(taken, n=20)[-1]
            told[f"{using}_recall"] = recall(collection, using, asked[:RECALL_QUERIES])
    memory = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    told["resident_mb"], told["own_mb"] = (int(memory[name].split()[0]) >> 10 for name in ("VmHWM", "RssAnon"))
    return {name: round(value, 3) for name, value in told.items()}


def checked(folder: Path) -> dict[str, float]:
    """Of what is looked at before each load: the first time in a process, and the median of later ones."""
    sealed = Record.from_json(read_record(folder), NAME)
    told = {}
    for name, record in (("check", sealed), ("check_without_seal", replace(sealed, seal=None))):
        taken = []
        for _ in range(CHECKS):
            started = time.perf_counter()
            check_shard(folder, NAME, record)
            taken.append(1000 * (time.perf_counter() - started))
        told[f"{name}_first_ms"], told[f"{name}_ms"] = taken[0], statistics.median(taken[1:])
    return told


def recall(collection: object, using: str, asked: Vector) -> float:
    found = 0
    for row in asked:
        exact = collection.search(using, row, 10, exact=True)  # type: ignore[attr-defined]
        near = collection.search(using, row, 10)  # type: ignore[attr-defined]
        found += sum(hit.score >= exact[-1].score - TIE for hit in near)
    return found / (10 * len(asked))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--width", type=int, default=4096)
    arguments.add_argument("--words", type=int, default=300, help="width of the semantic vectors")
    arguments.add_argument("--sizes", default="3000,30000,100000")
    arguments.add_argument("--quantize", action="store_true", help="int8 codes of the visual vectors")
    arguments.add_argument("--part", default="", help=argparse.SUPPRESS)
    arguments.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    if given.part:
        run = {"write": write, "ask": ask}[given.part]
        print(json.dumps(run(given.place, given.width, given.words, sizes[0], given.quantize)))
    else:
        main(given.width, given.words, sizes, given.quantize)
