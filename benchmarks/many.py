"""A collection of very many pictures, made of a small one: for benchmarks that ask, and do not look at files.

python benchmarks/many.py STORE COLLECTION NEW [PICTURES=100000]
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture, stable_id
from ingest.stores import Point, SparseVector
from ingest.stores.embedded import EmbeddedStore
from model.pictures import PhotoMetadata

BATCH = 1000


def multiply(store: EmbeddedStore, source: str, target: str, pictures: int) -> None:
    """Another collection of so many pictures, each near one of a collection, taken over twenty years."""
    with store.open(source) as few:
        points = [point for part in few.scroll([*few.metadata.vectors, *few.metadata.sparse]) for point in part]
        metadata, files = few.metadata, {name: few.read_file(name) for name in few.kept_files()}
    begun = time.perf_counter()
    with store.create(target, metadata) as many:
        for name, data in files.items():
            many.write_file(name, data or b"")
        copies = copies_of(points, pictures)
        while batch := list(islice(copies, BATCH)):
            many.upsert(batch)
        print(f"{many.count()} pictures written in {time.perf_counter() - begun:.0f} s")


def copies_of(points: list[Point], pictures: int) -> Iterator[Point]:
    rng = np.random.default_rng(0)
    first = datetime(2004, 1, 1)
    for number in range(pictures):
        one = points[number % len(points)]
        taken = (first + timedelta(hours=number * 20 * 8760 / pictures)).isoformat()
        there = Picture.from_payload(one.payload)
        path = f"{number // 1000:04}/{number:06} {Path(there.path).name}"
        picture = replace(there, path=path, photo=PhotoMetadata(taken=taken), sha256=stable_id(path).hex * 2)
        dense = {name: near(vector, rng) for name, vector in one.vectors.items()}
        sparse = {name: SparseVector(said.indices, varied(said.values, rng)) for name, said in one.sparse.items()}
        yield Point(stable_id(path), dense, picture.to_payload(), sparse)


def near(vector: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another picture of the same: thousands that are equal would all have to be had, to put them in order."""
    noisy = vector + rng.normal(0, 0.5 / math.sqrt(len(vector)), len(vector)).astype(np.float32)
    return noisy / np.float32(np.linalg.norm(noisy))


def varied(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    other = values * rng.uniform(0.5, 1.5, len(values)).astype(np.float32)
    return other * np.float32(values.sum() / other.sum())


if __name__ == "__main__":
    folder, source, target, *number = sys.argv[1:]
    multiply(EmbeddedStore(Path(folder)), source, target, int(number[0]) if number else 100_000)
