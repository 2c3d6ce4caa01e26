"""What a query costs as a whole process, beside `import torch`; medians of several runs each, taken in turn.

    python benchmarks/cold_start.py FOLDER [RUNS=7] [PICTURES]

Ingests the folder with the bundled pair into a store that is thrown away first. With PICTURES, so many are made of its
pictures, with a search graph, and they are asked.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from many import multiply

from ingest.pipeline.search_graph import build_search_graph
from ingest.stores.embedded import EmbeddedStore

SCRIPTS = Path(sys.executable).parent


def main(folder: Path, runs: int, pictures: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        subprocess.run([SCRIPTS / "ingest", "run", folder, "--offline", "--collection", "few"], check=True)
        if pictures:
            store = EmbeddedStore(Path(os.environ["WORDSIGHT_STORE"]))
            multiply(store, "few", "many", pictures)
            with store.open("many", write=True) as collection:
                build_search_graph(collection)
            os.environ["WORDSIGHT_COLLECTION"] = "many"
        indexed = next(path for path in sorted(folder.rglob("*.jpg")))
        unseen = Path(place) / "unseen.jpg"
        unseen.write_bytes(indexed.read_bytes())
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "query --help": [SCRIPTS / "query", "--help"],
            "query text, a known word": [SCRIPTS / "query", "text", "ocean"],
            "query text, a sentence": [SCRIPTS / "query", "text", "a bird that cannot fly"],
            "query similar, indexed": [SCRIPTS / "query", "similar", indexed],
            "query similar, unseen": [SCRIPTS / "query", "similar", unseen],
            "query tags, unseen": [SCRIPTS / "query", "tags", unseen],
            "query words": [SCRIPTS / "query", "words", "ocean"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):  # the first warms the page cache
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times[name].append(time.perf_counter() - started)
    torch = statistics.median(times["import torch"][1:])
    for name, taken in times.items():
        median = statistics.median(taken[1:])
        spread = f"{min(taken[1:]):.3f}-{max(taken[1:]):.3f}"
        print(f"{name:<24} {median:6.3f} s   {spread}   {median / torch:.2f} of import torch")


if __name__ == "__main__":
    numbers = [*map(int, sys.argv[2:]), *(7, 0)[len(sys.argv) - 2 :]]
    main(Path(sys.argv[1]), *numbers)
