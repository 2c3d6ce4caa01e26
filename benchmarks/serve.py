"""What the HTTP API costs: warm questions, pictures it has not seen, 50 at once, beside an ingest, and memory.

    python benchmarks/serve.py FOLDER [REQUESTS]

Ingests the folder with the bundled pair into a store that is thrown away, starts the installed `query serve`, and
asks it over the loopback. Medians and the 95th of a hundred; every status is checked.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from PIL import Image

SCRIPTS = Path(sys.executable).parent
WORDS = "ocean boat dog helicopter piano chair flower crab wheel guitar camera music".split()  # noqa: SIM905
JPEG = {"Content-Type": "image/jpeg"}
IN_FLIGHT = 50
WARM_UP = 5


def main(folder: Path, requests: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        subprocess.run([SCRIPTS / "ingest", "run", folder, "--offline", "--collection", "bench"], check=True)
        server = subprocess.Popen([SCRIPTS / "query", "serve", "--port", "0"], stderr=subprocess.PIPE)
        try:
            told = server.stderr.readline().decode() if server.stderr else ""
            address = re.findall(r"http://\S+/", told)
            if not address:
                sys.exit(f"it did not start: {told}")
            with httpx.Client(base_url=address[0], timeout=60) as client:
                measure(client, server.pid, folder, requests)
        finally:
            server.terminate()
            server.wait()


def measure(client: httpx.Client, server: int, folder: Path, requests: int) -> None:
    pictures = itertools.cycle(unseen(folder))
    words = itertools.cycle(WORDS)
    ids = [one["id"] for one in client.get("/api/v1/pictures", params={"limit": 100}).json()["results"]]
    stored = itertools.cycle(ids)
    print(f"{client.get('/api/v1/collections').json()[0]['pictures']} pictures; load {os.getloadavg()[0]:.1f}")
    kinds: dict[str, Callable[[], httpx.Response]] = {
        "health": lambda: client.get("/api/v1/health"),
        "text": lambda: client.get("/api/v1/text", params={"q": next(words)}),
        "text, 48 that stand out": lambda: client.get(
            "/api/v1/text", params={"q": next(words), "limit": 48, "min_score": "auto"}
        ),
        "similar, stored": lambda: client.get("/api/v1/similar", params={"id": next(stored)}),
        "similar, unseen": lambda: client.post("/api/v1/similar", content=next(pictures), headers=JPEG),
        "tags, unseen": lambda: client.post("/api/v1/tags", content=next(pictures), headers=JPEG),
        "words": lambda: client.get("/api/v1/words", params={"q": next(words)}),
        "thumbnail, new": lambda: client.get(f"/api/v1/pictures/{next(stored)}/thumbnail"),
        "thumbnail, again": lambda: client.get(f"/api/v1/pictures/{ids[0]}/thumbnail"),
    }
    memory = resident(server)
    for name, ask in kinds.items():
        tell(name, timed(ask, requests))
    print(f"memory {memory:.0f} MB after the start, {resident(server):.0f} MB after one at a time")
    for name in ("text", "similar, unseen"):
        started = time.perf_counter()
        times, failed = at_once(kinds[name], 10 * IN_FLIGHT)
        rate = len(times) / (time.perf_counter() - started)
        tell(f"{name}, {IN_FLIGHT} in flight", times, f"{rate:.0f}/s, {failed} of {len(times)} failed")
    print(f"memory {resident(server):.0f} MB after {IN_FLIGHT} in flight")
    beside_ingest(kinds["text"], folder)


def unseen(folder: Path) -> list[bytes]:
    """Crops of a hundred of the pictures: nothing the collection has."""
    found = []
    for path in sorted(folder.rglob("*.jpg"))[::12][:100]:
        image = Image.open(path).convert("RGB")
        file = io.BytesIO()
        image.crop((image.width // 10, image.height // 10, image.width, image.height)).save(file, "JPEG")
        found.append(file.getvalue())
    return found


def timed(ask: Callable[[], httpx.Response], requests: int) -> list[float]:
    times = []
    for _ in range(WARM_UP + requests):
        started = time.perf_counter()
        ask().raise_for_status()
        times.append(time.perf_counter() - started)
    return times[WARM_UP:]


def at_once(ask: Callable[[], httpx.Response], requests: int) -> tuple[list[float], int]:
    """The times of ``requests`` asked by `IN_FLIGHT` threads, and how many failed."""
    left = itertools.repeat(None, requests)
    times: list[float] = []
    failed: list[int] = []

    def work() -> None:
        for _ in left:  # one for all threads: each turn is taken once
            started = time.perf_counter()
            answer = ask()
            times.append(time.perf_counter() - started)
            if answer.status_code != 200:
                failed.append(answer.status_code)

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(failed)


def beside_ingest(ask: Callable[[], httpx.Response], folder: Path) -> None:
    """Ask while every picture of the collection is projected anew, the hardest an ingest uses the store."""
    command = [SCRIPTS / "ingest", "run", folder, "--offline", "--collection", "bench", "--projection", "conse"]
    started = time.perf_counter()
    ingest = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    times = []
    while ingest.poll() is None:
        before = time.perf_counter()
        ask().raise_for_status()
        times.append(time.perf_counter() - before)
    took = time.perf_counter() - started
    tell("text, beside an ingest", times, f"slowest {max(times) * 1000:.0f} ms, {len(times)} answers in {took:.0f} s")


def tell(name: str, times: list[float], more: str = "") -> None:
    ranked = sorted(times)
    p95 = ranked[int(0.95 * (len(ranked) - 1))]
    print(f"{name:<32} p50 {statistics.median(times) * 1000:7.1f} ms   p95 {p95 * 1000:7.1f} ms   {more}", flush=True)


def resident(process: int) -> float:
    """What a process has in memory, MB; files it has mapped and touched count."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100)
