"""The commands with something happening at a counted moment: a kill, or a wait until the test lets them go on.

The moment is a call of one function of the product, so it is the same on every machine, however busy. The command
runs in a process of its own, by the entry point that is installed; there, that function is wrapped before it starts.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ENTRIES = {"ingest": "ingest.__main__:main", "query": "query.__main__:main", "model": "ingest.__main__:model"}
"""As pyproject.toml names them."""

PATIENCE_SECONDS = 250
"""For what must happen, and happens in a second on a quiet machine."""

UPSERT = "ingest.stores:Collection.upsert"
REPLACE = "os:replace"

DRIVER = """
import importlib, json, os, signal, sys, time

plan = json.loads(sys.argv[1])
sys.argv[:2] = [plan["program"]]

def find(name):
    module, _, path = name.partition(":")
    owner = importlib.import_module(module)
    *outer, last = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, last

def wrap(name, before, after):
    owner, last = find(name)
    real = getattr(owner, last)
    def wrapped(*args, **kwargs):
        before()
        result = real(*args, **kwargs)
        after(*args)
        return result
    setattr(owner, last, wrapped)

def acknowledge(collection, points, *_):
    with open(plan["acknowledged"], "a") as file:
        file.writelines(json.dumps([collection.name, point.payload.get("path")]) + chr(10) for point in points)

calls = {"before": 0, "after": 0}

def counted(when):
    def call(*_):
        calls[when] += 1
        if (when, calls[when]) != (plan["when"], plan["number"]):
            return
        if not plan["wait"]:
            os.kill(os.getpid(), signal.SIGKILL)
        open(plan["wait"] + ".reached", "w").close()
        while not os.path.exists(plan["wait"] + ".go"):
            time.sleep(0.01)
    return call

exec(plan["first"])
if plan["acknowledged"]:
    wrap("ingest.stores:Collection.upsert", lambda: None, acknowledge)
if plan["call"]:
    wrap(plan["call"], counted("before"), counted("after"))
module, _, function = plan["entry"].partition(":")
getattr(importlib.import_module(module), function)()
"""


@dataclass(frozen=True)
class Moment:
    """Before or after the ``number``-th call of a function, named ``module:name`` or ``module:Class.name``."""

    call: str
    when: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.call.rpartition(':')[2]} {self.number}"


def _started(
    words: Sequence[str | Path],
    moment: Moment,
    env: dict[str, str] | None,
    *,
    wait: Path | None = None,
    acknowledged: Path | None = None,
    first: str = "",
) -> subprocess.Popen[str]:
    program, *arguments = map(str, words)
    plan = {
        **asdict(moment),
        "program": program,
        "entry": ENTRIES[program],
        "wait": str(wait or ""),
        "acknowledged": str(acknowledged or ""),
        "first": first,
    }
    command = [sys.executable, "-c", DRIVER, json.dumps(plan), *arguments]
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    env = {**os.environ, **(env or {}), "PYTHONPATH": paths}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)


def acknowledging(words: Sequence[str | Path], env: dict[str, str], acknowledged: Path) -> subprocess.Popen[str]:
    """A command that was started, and writes a line into ``acknowledged`` for every point whose upsert returned."""
    return _started(words, Moment("", ""), env, acknowledged=acknowledged)


def killed(
    words: Sequence[str | Path],
    moment: Moment,
    env: dict[str, str] | None = None,
    *,
    acknowledged: Path | None = None,
    first: str = "",
) -> None:
    """Run a command that is killed at ``moment``; it fails where the command ends before.

    Args:
        acknowledged: a file that gets a line for every point whose upsert returned: collection and path.
        first: Python that runs before the command, in its process.
    """
    process = _started(words, moment, env, acknowledged=acknowledged, first=first)
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert process.returncode == -signal.SIGKILL, f"not reached: {moment}; status {process.returncode}\n{said}"


class Held:
    """A command that waits at ``moment`` until it is let go; it ends with the ``with``.

    Args:
        place: a folder for the files by which test and command tell each other where they are.
    """

    def __init__(
        self, words: Sequence[str | Path], moment: Moment, place: Path, env: dict[str, str] | None = None
    ) -> None:
        self._gate = place / f"held-{len(list(place.glob('held-*')))}"
        self.process = _started(words, moment, env, wait=self._gate)
        self.said = ""

    def __enter__(self) -> Held:
        try:
            wait_until(Path(f"{self._gate}.reached").exists, self.process)
        except BaseException:
            self._end()
            raise
        return self

    def go_on(self) -> None:
        Path(f"{self._gate}.go").touch()

    def end(self) -> int:
        """Wait for its end; returns its exit status. ``said`` then is what it wrote to stderr."""
        self.said = self.process.communicate(timeout=PATIENCE_SECONDS)[1]
        assert "Traceback" not in self.said, self.said
        return self.process.returncode

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return when ``condition()`` is true; fails where the process ends before, or after a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def acknowledged_in(file: Path, collection: str) -> list[str]:
    """The paths whose upsert returned, in their order."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [path for name, path in rows if name == collection]
