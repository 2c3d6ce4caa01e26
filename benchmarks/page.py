"""The page with very many pictures: how long until it shows some, how large it grows, how it scrolls.

    python benchmarks/page.py FOLDER [PICTURES=100000]

Ingests the folder with the bundled pair into a store that is thrown away, puts each of its pictures into a second
collection again and again, with dates over twenty years, and looks at that in a headless Chromium: at the beginning, at
places all over the list, at a month of the rail, and at the answers to a question. Times are by the clock.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.collection import PROJECTION_FILE
from ingest.records import Picture, stable_id
from ingest.stores import Point, SparseVector
from ingest.stores.embedded import EmbeddedStore
from model.pictures import PhotoMetadata
from tests.browser import Page, Screen, chromium
from tests.serving import serve

SCRIPTS = Path(sys.executable).parent
JUMPS = 30
BATCH = 1000
READY = (
    "return !document.querySelector('.grid[aria-busy]') && !!document.querySelector('.card') "
    "&& !document.querySelector('.card[data-waits]')"
)


def main(folder: Path, pictures: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = place
        subprocess.run([SCRIPTS / "ingest", "run", folder, "--offline", "--collection", "few"], check=True)
        multiply(EmbeddedStore(Path(place)), pictures)
        with serve() as served, chromium(Screen(1280, 800)) as page:
            look(page, f"{served.address}?collection=many", served.process.pid)


def multiply(store: EmbeddedStore, pictures: int) -> None:
    with store.open("few") as few:
        points = [point for part in few.scroll([*few.metadata.vectors, *few.metadata.sparse]) for point in part]
        metadata, projection = few.metadata, few.read_file(PROJECTION_FILE)
    begun = time.perf_counter()
    with store.create("many", metadata) as many:
        many.write_file(PROJECTION_FILE, projection or b"")
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


def look(page: Page, address: str, server: int) -> None:
    took = timed(page, lambda: page.driver.get(address))
    print(f"first pictures after {took:.2f} s (the list is made once)")
    print(f"again after {timed(page, lambda: page.driver.get(address)):.2f} s")
    height = page.run("return document.documentElement.scrollHeight")
    times, nodes = [], 0
    for jump in range(JUMPS):
        times.append(timed(page, lambda: page.run("scrollTo(0, arguments[0])", height * ((jump * 7) % JUMPS) / JUMPS)))  # noqa: B023
        nodes = max(nodes, page.run("return document.querySelectorAll('*').length"))
    print(f"{JUMPS} places of {height} pixels: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")
    print(f"at most {nodes} elements; {page.run('return performance.memory.usedJSHeapSize') / 1e6:.0f} MB of scripts")
    time.sleep(0.5)  # the page keeps the place a moment after
    kept = page.run("return scrollY")
    timed(page, page.driver.refresh)
    print(f"reloaded at {page.run('return scrollY')}, was at {kept}")
    rail = page.all(".rail button, .rail a")
    print(f"{len(rail)} places in the rail; one of them after {timed(page, rail[len(rail) // 2].click):.2f} s")
    print(f"a question after {timed(page, lambda: page.driver.get(address + '&q=animal')):.2f} s")
    status = Path(f"/proc/{server}/status").read_text()
    print(*[line for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))], sep="\n")


def timed(page: Page, does: object) -> float:
    begun = time.perf_counter()
    does()  # type: ignore[operator]
    page.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait(lambda: page.run(READY), "pictures")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
