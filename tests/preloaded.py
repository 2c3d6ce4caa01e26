"""Processes that have imported what every command imports: half of what a short command costs is importing.

Each command still is a process of its own, forked before anything was asked of it, so that none sees what another did.
What a command imports, and how its script starts it, is for the tests that start it themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ENTRIES = {
    "ingest": ("ingest.__main__", "main"),
    "query": ("query.__main__", "main"),
    "model": ("ingest.__main__", "model"),
}
"""Where the console scripts of pyproject.toml begin."""

SECONDS = 240

_preloaded = multiprocessing.get_context("forkserver")
_preloaded.set_forkserver_preload(
    ["ingest.__main__", "query.__main__", "ingest.cli", "query.cli", "model.cli", "qdrant_edge", "onnxruntime"]
)


class Left(NamedTuple):
    """A command's exit status, negative for the signal that ended it, and its streams."""

    status: int
    out: bytes
    err: bytes


def run_preloaded(name: str, args: list[str], stdin: bytes, cwd: Path) -> Left:
    """Run the command in a process forked from one that has its modules; ``TimeoutError`` where it does not end."""
    with tempfile.TemporaryDirectory() as folder:
        streams = tuple(Path(folder, stream) for stream in ("stdin", "stdout", "stderr"))
        streams[0].write_bytes(stdin)
        process = _preloaded.Process(target=_enter, args=(name, args, cwd, dict(os.environ), streams))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{name} {args} did not end in {SECONDS} seconds")
        return Left(process.exitcode, streams[1].read_bytes(), streams[2].read_bytes())


def _enter(name: str, args: list[str], cwd: Path, env: dict[str, str], streams: tuple[Path, ...]) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0)  # noqa: SIM115 - of the process, as long as it lives
    sys.argv = [name, *args]
    module, function = ENTRIES[name]
    getattr(import_module(module), function)()
