"""The page with very many pictures: how long until it shows some, how large it grows, how it scrolls.

    python benchmarks/page.py FOLDER [PICTURES=100000]

Ingests the folder with the bundled pair into a store that is thrown away, puts each of its pictures into a second
collection again and again, with dates over twenty years, and looks at that in a headless Chromium: at the beginning, at
places all over the list, at a month of the rail, and at the answers to a question. Times are by the clock.
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

from ingest.stores.embedded import EmbeddedStore
from tests.browser import Page, Screen, chromium
from tests.serving import serve

SCRIPTS = Path(sys.executable).parent
JUMPS = 30
READY = (
    "return !document.querySelector('.grid[aria-busy]') && !!document.querySelector('.card') "
    "&& !document.querySelector('.card[data-waits]')"
)


def main(folder: Path, pictures: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = place
        subprocess.run([SCRIPTS / "ingest", "run", folder, "--offline", "--collection", "few"], check=True)
        multiply(EmbeddedStore(Path(place)), "few", "many", pictures)
        with serve() as served, chromium(Screen(1280, 800)) as page:
            look(page, f"{served.address}?collection=many", served.process.pid)


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
