"""What `query duplicates` takes in a large collection of made-up pictures, none of which is another's copy.

    python benchmarks/many_duplicates.py FOLDER [--size 100000] [--width 1280] [--unsigned]

Vectors are those of `benchmarks/scale.py`; signatures are blends of two of FOLDER's pictures, each rolled and mirrored
by chance, so that they look alike as often as photographs do. No file is there: a pair that signatures do not refute
counts, and costs one failed look. Told: seconds of each part, pairs, memory, and bytes on disk with signatures and
without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from scale import NAME, WORD_WIDTH, made_up

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from model.pictures import SIGNATURE_SIDE, LeftOut, open_picture, scan, signature_of
from query.asking import find_duplicates
from query.asking.judging import Judge


def signatures(folder: Path, size: int) -> Iterator[bytes]:
    files = [file.path.read_bytes() for file in scan(folder, LeftOut())]
    read = b"".join(signature_of(open_picture(data, shown_at=384)) for data in files)
    greys = np.frombuffer(read, np.uint8).reshape(len(files), SIGNATURE_SIDE, SIGNATURE_SIDE).astype(np.float32)
    rng = np.random.default_rng(0)
    for _ in range(size):
        one, other = (
            np.roll(greys[rng.integers(len(greys))], rng.integers(SIGNATURE_SIDE, size=2), (0, 1)) for _ in range(2)
        )
        yield (0.7 * one + 0.3 * other[:, :: rng.choice([-1, 1])]).astype(np.uint8).tobytes()


def write(store: EmbeddedStore, folder: Path, size: int, width: int, *, signed: bool) -> None:
    metadata = CollectionMetadata(
        "pictures", {VISUAL: width, SEMANTIC: WORD_WIDTH}, "w", "0", "e", "0", "conse", root="/made-up"
    )
    made = signatures(folder, size)
    number = 0
    with store.create(NAME, metadata) as collection:
        for visual, semantic in made_up(width, size):
            points = []
            for seen, meant in zip(visual, semantic, strict=True):
                signature = next(made) if signed else b""
                path = f"{number % 100}/{number}.jpg"
                picture = Picture(path, f"{number:064x}", 640, 480, 100_000, 1, 1.0, signature=signature)
                points.append(Point(picture.id, {VISUAL: seen, SEMANTIC: meant}, picture.to_payload()))
                number += 1
            collection.upsert(points)


def watched(told: dict[str, float]) -> None:
    """Count what the judge is asked."""
    refute, judge = Judge.may_be_same, Judge.same_as

    def may_be_same(self: Judge, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        began = time.process_time()
        passed = refute(self, ones, others)
        told["signatures_processor_s"] = told.get("signatures_processor_s", 0) + time.process_time() - began
        told["pairs"] = told.get("pairs", 0) + len(ones)
        told["passed"] = told.get("passed", 0) + int(passed.sum())
        return passed

    def same_as(self: Judge, first: int, others: list[int]) -> list[int]:
        began = time.process_time()
        found = judge(self, first, others)
        told["pixels_processor_s"] = told.get("pixels_processor_s", 0) + time.process_time() - began
        return found

    Judge.may_be_same, Judge.same_as = may_be_same, same_as  # type: ignore[method-assign]


def main(folder: Path, size: int, width: int, *, signed: bool) -> None:
    told: dict[str, float] = {}
    watched(told)
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        store = EmbeddedStore(Path(place))
        write(store, folder, size, width, signed=signed)
        told["disk_mb"] = (store.summary(NAME).size or 0) / 1e6
        with store.open(NAME) as collection:
            began = time.perf_counter()
            for _ in collection.scroll([VISUAL], page=256):
                pass
            told["reading_s"] = time.perf_counter() - began
            began, before = time.perf_counter(), time.process_time()
            groups = find_duplicates(collection)
            told["duplicates_s"] = time.perf_counter() - began
            told["duplicates_processor_s"] = time.process_time() - before
    told["groups"] = len(groups)
    memory = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    told["resident_mb"], told["own_mb"] = (int(memory[name].split()[0]) >> 10 for name in ("VmHWM", "RssAnon"))
    print(json.dumps({"pictures": size, "width": width} | {name: round(value, 2) for name, value in told.items()}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--size", type=int, default=100_000)
    arguments.add_argument("--width", type=int, default=1280)
    arguments.add_argument("--unsigned", action="store_true", help="as an earlier version wrote it")
    given = arguments.parse_args()
    main(given.folder, given.size, given.width, signed=not given.unsigned)
