"""A snapshot beside the live store it came from: building, size, recall, queries, memory.

    python benchmarks/snapshot.py [PICTURES=30000] [WIDTH=4096]

Fills an embedded store that is thrown away with made-up pictures, a mixture of some hundred clusters, WIDTH + 300
numbers each. Cold: a new process, and every file out of the page cache first. Anonymous memory is the processes'
own; the rest of the resident set is mapped files, which the system takes back when it needs room.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from ingest.collection import PROJECTION_FILE, ensure_tags
from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point, Store, Vector
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore
from ingest.stores.snapshot.annoy import AnnoyIndexFile, exact_neighbours, recall, sample_rows
from model.pair import STANDARD
from model.projections import unit
from model.words import open_words, words_dir
from model.words.conversion import convert

SCRIPTS = Path(sys.executable).parent
CLUSTERS = 300
WORD_WIDTH = 300
WORD_COUNT = 20_000
BATCH = 500
WARM_QUERIES = 200
COLD_QUERIES = 15
POLL_SECONDS = 0.02
NAME = "made-up"


def main(pictures: int, width: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        root = Path(place)
        os.environ["WORDSIGHT_STORE"], os.environ["WORDSIGHT_CACHE"] = str(root / "store"), str(root / "cache")
        os.chdir(root)  # questions name pictures by their path in the dataset
        live = EmbeddedStore(root / "store")
        started = time.monotonic()
        fill(live, pictures, width)
        print(f"{pictures} pictures, {width} + {WORD_WIDTH} wide, written in {time.monotonic() - started:.0f} s")
        seconds, anonymous, resident = watched([SCRIPTS / "ingest", "export", "snapshot"])
        print(f"export: {seconds:.0f} s, peak {resident} MB resident, {anonymous} MB of it its own")
        snapshot = SnapshotStore(root / "snapshot")
        tell_spaces(snapshot, pictures * (width + WORD_WIDTH) * 4, live.summary(NAME).size or 0)
        tell_warm({"live": live, "snapshot": snapshot}, width)
        tell_processes(root)
        seconds, anonymous, resident = watched([SCRIPTS / "ingest", "verify", "snapshot", "--against-collection", NAME])
        print(f"verify --against-collection: {seconds:.0f} s, peak {resident} MB, {anonymous} MB of it its own")


def fill(store: Store, pictures: int, width: int) -> None:
    random = np.random.default_rng(0)
    sha256 = "0" * 64
    names = [f"word{i}" for i in range(WORD_COUNT)]
    vectors = random.standard_normal((WORD_COUNT, WORD_WIDTH)).astype(np.float32)
    convert([(names, vectors)], STANDARD.words, WORD_WIDTH, sha256, words_dir(STANDARD.words, sha256))
    ensure_tags(store, open_words(STANDARD.words, sha256), names)
    widths = {VISUAL: width, SEMANTIC: WORD_WIDTH}
    metadata = CollectionMetadata(
        "pictures", widths, STANDARD.words, sha256, STANDARD.encoder, sha256, "conse", root="/made-up"
    )
    centres = {name: random.standard_normal((CLUSTERS, size)).astype(np.float32) for name, size in widths.items()}
    with store.create(NAME, metadata) as collection:
        collection.write_file(PROJECTION_FILE, b"made up")
        for start in range(0, pictures, BATCH):
            clusters = random.integers(CLUSTERS, size=min(BATCH, pictures - start))
            rows = {name: near(centres[name][clusters], random) for name in widths}
            points = []
            for i, cluster in enumerate(clusters):
                picture = Picture(path_of(cluster, start + i), f"{start + i:064x}", 640, 480, 100_000, 1, 1.0)
                points.append(Point(picture.id, {name: rows[name][i] for name in widths}, picture.to_payload()))
            collection.upsert(points)


def near(centres: Vector, random: np.random.Generator) -> Vector:
    """As far from their centres as these are from the origin: cosines of about 0.5 within a cluster."""
    return unit(centres + random.standard_normal(centres.shape).astype(np.float32))


def path_of(cluster: int, number: int) -> str:
    return f"cluster{cluster}/{number}.jpg"


def tell_spaces(snapshot: SnapshotStore, raw: int, live_bytes: int) -> None:
    files = snapshot.manifest.files
    total = sum(file["bytes"] for file in files.values())
    print(f"size: snapshot {total >> 20} MB, live store {live_bytes >> 20} MB, raw vectors {raw >> 20} MB")
    for name, info in snapshot.manifest.indexes.items():
        over = files[info.file]["bytes"] / (4 * info.width * info.items)
        index = AnnoyIndexFile(snapshot.checked(info.file), info)
        others = sample_rows(info.items, info.seed + 1)
        truth = exact_neighbours(index.vectors, others)
        fresh = recall(lambda vector, count, index=index: index.nearest(vector, count)[0], index.vectors, others, truth)
        print(
            f"  {name}: {info.items} x {info.width}, {info.trees} trees, search_k {info.search_k}, recall@10 "
            f"{info.recall:.3f} ({fresh:.3f} on others than it was tuned to), file {over:.3f} of its raw vectors"
        )
        index.close()


def tell_warm(stores: dict[str, Store], width: int) -> None:
    """Searches in a process that has it open already."""
    random = np.random.default_rng(1)
    for using, size in ((VISUAL, width), (SEMANTIC, WORD_WIDTH)):
        for what, store in stores.items():
            with store.open(NAME) as collection:
                stored = next(iter(collection.scroll([using], page=WARM_QUERIES)))
                asked = near(np.stack([point.vectors[using] for point in stored]) * size**0.5, random)
                taken = [timed(lambda row: collection.search(using, row, 10), row) for row in asked]  # noqa: B023
            print(f"  warm search, {using:<8} {what:<8} {spread(taken[10:], 1000)} ms")


def timed(call: object, *args: object) -> float:
    started = time.perf_counter()
    call(*args)  # type: ignore[operator]
    return time.perf_counter() - started


def tell_processes(root: Path) -> None:
    """Whole commands: cold, then warm."""
    with EmbeddedStore(root / "store").open(NAME) as collection:
        path = next(iter(collection.scroll(page=1)))[0].payload["path"]
    for question in (["similar", path], ["text", "word7", "word9"]):
        for what, options in (("live", []), ("snapshot", ["--snapshot", "snapshot"])):
            command = [SCRIPTS / "query", *question, *options]
            watched(command)  # the first takes checksums
            for state in ("cold", "warm"):
                runs = [run_once(command, root, cold=state == "cold") for _ in range(COLD_QUERIES)]
                memory = max(run[1] for run in runs), max(run[2] for run in runs)
                print(
                    f"  {state} process, {question[0]:<8} {what:<8} {spread([run[0] for run in runs], 1)} s, "
                    f"peak {memory[1]} MB, {memory[0]} MB of it its own"
                )


def run_once(command: list[str | Path], root: Path, *, cold: bool) -> tuple[float, int, int]:
    if cold:
        for path in (path for path in root.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                os.fsync(file.fileno())  # a page that is not written yet is not dropped
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    seconds, anonymous, resident = watched(command)
    return seconds, anonymous, resident


def spread(taken: list[float], scale: float) -> str:
    ordered = sorted(taken)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {scale * statistics.median(ordered):.2f}, p95 {scale * late:.2f}"


def watched(command: list[str | Path]) -> tuple[float, int, int]:
    """Seconds, and the peaks in MB of what the process and its children hold: anonymous, and resident in all."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    anonymous = resident = 0
    while process.poll() is None:
        statuses = [read_status(pid) for pid in family(process.pid)]
        anonymous = max(anonymous, sum(status.get("RssAnon", 0) for status in statuses))
        resident = max(resident, sum(status.get("VmRSS", 0) for status in statuses))
        time.sleep(POLL_SECONDS if time.perf_counter() - started > 1 else POLL_SECONDS / 10)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {process.stderr and process.stderr.read()!r}")
    return seconds, anonymous >> 10, resident >> 10


def family(pid: int) -> Iterator[int]:
    """A process and those it started."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


def read_status(pid: int) -> dict[str, int]:
    """Kilobytes by name, of Linux's /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) for name, value, _ in pairs}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30_000, int(sys.argv[2]) if len(sys.argv) > 2 else 4096)
