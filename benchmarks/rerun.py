"""How fast a re-run passes over files that have not changed.

    python benchmarks/rerun.py [FILES=10000] [RUNS=5]

The files are copies of one tiny picture in folders of a hundred; the first run encodes it once and stores a point
for each. Shown: a whole `ingest run` process, and in one process the scan with the comparison alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

SCRIPTS = Path(sys.executable).parent
PER_FOLDER = 100


def main(files: int, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        folder = Path(place) / "pictures"
        for i in range(files):
            path = folder / f"{i // PER_FOLDER:04}" / f"{i:06}.png"
            if i % PER_FOLDER == 0:
                path.parent.mkdir(parents=True)
            if i == 0:
                Image.new("RGB", (8, 8), "red").save(path)
                content = path.read_bytes()
            path.write_bytes(content)
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        words = [SCRIPTS / "ingest", "run", folder, "--offline", "--projection", "conse"]
        started = time.perf_counter()
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        print(f"first run, {files} files of one content: {time.perf_counter() - started:.1f} s")
        whole, inside = [], []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
            whole.append(time.perf_counter() - started)
            inside.append(compare(folder))
        for what, taken in (("the whole process", whole), ("scan and comparison", inside)):
            median = statistics.median(taken)
            print(
                f"re-run, {what}: {median:.2f} s, {files / median:.0f} files/s ({min(taken):.2f} - {max(taken):.2f} s)"
            )


def compare(folder: Path) -> float:
    """What `run_folder` does of a re-run that is not start-up: scan, read what is stored, compare."""
    from ingest.collection import Options
    from ingest.pipeline import Report
    from ingest.pipeline.run import bring_up_to_date, open_run
    from ingest.stores.embedded import EmbeddedStore
    from model.pictures import LeftOut, scan

    store = EmbeddedStore(Path(os.environ["WORDSIGHT_STORE"]))
    name = next(iter(store.collections()))
    with open_run(store, folder.resolve(), Options(), Report(name)) as run:
        started = time.perf_counter()
        bring_up_to_date(run, list(scan(folder.resolve(), LeftOut())))
        return time.perf_counter() - started


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], *("10000", "5")[len(sys.argv) - 1 :]]))
