"""Killing the installed commands at random moments, and looking at what they left."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ingest.collection import read_failures
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from tests import hostile
from tests.commands import SCRIPTS

Vectors = dict[str, dict[str, np.ndarray]]
"""The vectors of a collection by path and name."""

LEARNT = ("cat", "rocket")
EACH = 12


def alone_on_a_core(**more: str) -> dict[str, str]:
    """The environment of a command that leaves the other cores to the other tests."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def small_pictures(folder: Path, count: int, *, bad: int = 0) -> Path:
    """``count`` different pictures: two labels that a head can learn, the others below a year; and bad files."""
    for number in range(count):
        place = LEARNT[number // EACH] if number < EACH * len(LEARNT) else f"2019/{number % 7}"
        path = folder / place / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.picture(number, "jpg", (96, 72)))
    for number in range(bad):
        (folder / f"bad-{number}.png").write_bytes(b"no picture")
    return folder


def ran(words: Sequence[str | Path], env: dict[str, str]) -> float:
    """Run a command to its end; returns the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(_of(words), capture_output=True, text=True, env=env, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return time.monotonic() - started


def _of(words: Sequence[str | Path]) -> list[str]:
    return [str(SCRIPTS / words[0]), *map(str, words[1:])]


def killed_after(words: Sequence[str | Path], env: dict[str, str], seconds: float) -> bool:
    """Start a command and kill it; whether it was still running then."""
    process = subprocess.Popen(_of(words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
    try:
        told = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, told
    return False


def kill_repeatedly(
    words: Sequence[str | Path],
    env: dict[str, str],
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
        if killed_after(words, env, moment):
            moments.append(moment)
            look()
        else:
            begin()
    return moments


def vectors_in(store: Path, name: str) -> Vectors:
    """What a collection holds; fails where a picture is there twice."""
    found: Vectors = {}
    with EmbeddedStore(store).open(name) as collection:
        for page in collection.scroll([VISUAL, SEMANTIC]):
            for point in page:
                picture = Picture.from_payload(point.payload)
                assert picture.path not in found, f"{picture.path} is there twice"
                assert point.id == picture.id
                found[picture.path] = dict(point.vectors)
        assert len(found) == collection.count()
    return found


def opens_with_right_vectors(store: Path, right: Vectors) -> int:
    """Open every collection after a kill; whatever is there must be right. Returns how many pictures are there."""
    opened = EmbeddedStore(store)
    count = 0
    for name in opened.names():
        if opened.metadata(name).kind == "words":
            with opened.open(name) as words:
                words.count()
            continue
        there = vectors_in(store, name)
        count = len(there)
        for path, vectors in there.items():
            np.testing.assert_allclose(vectors[VISUAL], right[path][VISUAL], atol=1e-6, err_msg=path)
            assert np.isfinite(vectors[SEMANTIC]).all()
    return count


def assert_equal(found: Vectors, right: Vectors) -> None:
    """The same pictures with the same vectors."""
    assert found.keys() == right.keys()
    for path, vectors in right.items():
        for name, vector in vectors.items():
            np.testing.assert_allclose(found[path][name], vector, atol=1e-5, err_msg=f"{name} of {path}")


def bad_files(store: Path, name: str) -> set[str]:
    with EmbeddedStore(store).open(name) as collection:
        return set(read_failures(collection))


def leftovers(*folders: Path) -> list[Path]:
    """Files that only a command at work may have."""
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".tmp", ".part", ".wordsight-old") or ".next." in path.name
    ]


def begin_with(store: Path, original: Path | None) -> Callable[[], None]:
    """What makes ``store`` a copy of ``original``, or empty."""

    def begin() -> None:
        shutil.rmtree(store, ignore_errors=True)
        if original:
            shutil.copytree(original, store)

    return begin
