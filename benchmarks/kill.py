"""Kill the commands with SIGKILL at random moments, and look whether anything is lost, doubled, wrong or left over.

    python benchmarks/kill.py [--kills 50] [--pictures 1000] [--others 20] [--seed 1]

Runs against a cache and stores of its own in a temporary folder; the first chain of kills begins with an empty
cache, so that making the encoder and the word vectors is met too. After each kill of `ingest run` every picture that it
had acknowledged must be there with its vector. Prints a row a command.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ingest.stores.embedded import EmbeddedStore
from model.projections import load_projection
from tests.commands import SCRIPTS
from tests.kills import (
    Vectors,
    alone_on_a_core,
    assert_equal,
    bad_files,
    begin_with,
    leftovers,
    opens_with_right_vectors,
    small_pictures,
    vectors_in,
)
from tests.staged import acknowledged_in, acknowledging

COLD_KILLS = 8
"""Kills while the cache is being made, which each time begins anew; then a run comes to its end."""

ROW = "{:<28} {:>6} {:>22} {:>10} {:>10}  {}\n"


def ran(words: Sequence[str | Path], env: dict[str, str]) -> float:
    """Run a command to its end; returns the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(_of(words), capture_output=True, text=True, env=env, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return time.monotonic() - started


def _of(words: Sequence[str | Path]) -> list[str]:
    return [str(SCRIPTS / words[0]), *map(str, words[1:])]


Start = Callable[[], "subprocess.Popen[str]"]


def starting(words: Sequence[str | Path], env: dict[str, str], acknowledged: Path | None = None) -> Start:
    """What starts a command; with ``acknowledged`` as `tests.staged.acknowledging`."""
    if acknowledged:
        return lambda: acknowledging(words, env, acknowledged)
    return lambda: subprocess.Popen(_of(words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)


def killed_after(start: Start, seconds: float) -> bool:
    """Start a command and kill it; whether it was still running then."""
    process = start()
    try:
        said = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, said
    return False


def kill_repeatedly(
    start: Start,
    *,
    times: int,
    whole: float,
    seed: int,
    look: Callable[[], object],
    begin: Callable[[], object],
) -> list[float]:
    """Kill a command ``times`` times, each run going on where the one before was killed.

    Args:
        whole: seconds that a run takes; moments lie between none and all of it, the early ones more often, since
            each run after a kill has less to do.
        look: called after each kill. begin: called at first, and when a run came to its end before its moment.

    Returns:
        The moments, in seconds.
    """
    rng = random.Random(seed)
    moments: list[float] = []
    begin()
    while len(moments) < times:
        moment = rng.triangular(0, whole, 0)
        if killed_after(start, moment):
            moments.append(moment)
            look()
        else:
            begin()
    return moments


class Bench:
    """A collection made without a kill, and what every kill is compared with."""

    def __init__(self, place: Path, pictures: int, seed: int) -> None:
        self.place, self.seed = place, seed
        self.folder = small_pictures(place / "photos", pictures, bad=3)
        self.cache = place / "cache"
        self.store = place / "right"
        self.run: list[str | Path] = ["ingest", "run", self.folder, "--offline"]
        ran([*self.run, "--projection", "conse"], self.env(place / "warming"))
        self.seconds = ran(self.run, self.env(self.store))
        self.right: Vectors = vectors_in(self.store, "photos")

    def env(self, store: Path, cache: Path | None = None) -> dict[str, str]:
        return alone_on_a_core(WORDSIGHT_STORE=str(store), WORDSIGHT_CACHE=str(cache or self.cache))

    def kill(
        self,
        what: str,
        start: Start,
        times: int,
        whole: float,
        look: Callable[[], object],
        begin: Callable[[], object],
    ) -> None:
        started = time.monotonic()
        moments = kill_repeatedly(start, times=times, whole=whole, seed=self.seed, look=look, begin=begin)
        spread = f"{min(moments):.2f} .. {max(moments):.2f}"
        took = f"{time.monotonic() - started:.0f}"
        sys.stdout.write(ROW.format(what, len(moments), spread, f"{whole:.1f}", took, "nothing lost or left over"))
        sys.stdout.flush()

    def ingest(self, times: int) -> None:
        store, cache, acknowledged = self.place / "store", self.place / "cold", self.place / "acknowledged"
        env = self.env(store, cache)
        tags = self.place / "warming"
        shutil.rmtree(tags / "collections/photos")
        states: list[int] = []

        def finish_and_begin() -> None:
            if store.exists():
                ran(self.run, env)
                assert_equal(vectors_in(store, "photos"), self.right)
                assert len(bad_files(store, "photos")) == 3
                assert leftovers(store, cache) == [], leftovers(store, cache)
            acknowledged.unlink(missing_ok=True)
            begin_with(store, tags if states else None)()

        def look() -> None:
            there = opens_with_right_vectors(store, self.right)
            promised = set(acknowledged_in(acknowledged, "photos"))
            assert promised <= there.keys(), f"acknowledged and not there: {sorted(promised - there.keys())[:3]}"
            states.append(len(promised))
            if len(states) == COLD_KILLS:
                ran(self.run, env)

        self.kill("ingest run", starting(self.run, env, acknowledged), times, self.seconds, look, finish_and_begin)
        finish_and_begin()
        sys.stdout.write(f"{sum(states)} acknowledged pictures looked for after {len(states)} kills: all were there\n")

    def projection(self, times: int) -> None:
        conse, store = self.place / "conse", self.place / "switched"
        change = [*self.run, "--projection", "conse"]
        begin_with(conse, self.store)()
        whole = ran(change, self.env(conse))
        kinds = {"best": self.right, "conse": vectors_in(conse, "photos")}
        begin = begin_with(store, self.store)

        def look() -> None:
            opens_with_right_vectors(store, self.right)
            ran(self.run, self.env(store))
            assert_equal(vectors_in(store, "photos"), kinds[EmbeddedStore(store).metadata("photos").projection])
            assert leftovers(store) == []
            begin()

        self.kill("ingest run --projection", starting(change, self.env(store)), times, whole, look, begin)
        anew = ["ingest", "reproject", "--projection", "conse"]
        self.kill("ingest reproject", starting(anew, self.env(store)), times, whole, look, begin)

    def export(self, times: int) -> None:
        snapshot = self.place / "out/s"
        env, words = self.env(self.store), ["ingest", "export", snapshot]
        whole = ran(words, env)

        def look() -> None:
            ran(["ingest", "verify", snapshot], env)

        self.kill("ingest export", starting(words, env), times, whole, look, lambda: None)
        ran(words, env)
        assert [path.name for path in snapshot.parent.iterdir()] == ["s"]

    def train(self, times: int) -> None:
        head = self.place / "head/head.safetensors"
        head.parent.mkdir()
        env, words = self.env(self.store), ["model", "train", self.folder, "--out", head, "--offline"]
        whole = ran(words, env)
        self.kill("model train", starting(words, env), times, whole, lambda: load_projection(head), lambda: None)
        ran(words, env)
        assert [path.name for path in head.parent.iterdir()] == ["head.safetensors"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--others", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), options.pictures, options.seed)
        sys.stdout.write(ROW.format("command", "kills", "moments (s)", "whole (s)", "took (s)", "found"))
        bench.ingest(options.kills)
        bench.projection(options.others)
        bench.export(options.others)
        bench.train(options.others)


if __name__ == "__main__":
    main()
