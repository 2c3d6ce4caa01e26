"""Taking turns at an embedded collection, which one process at a time can hold, readers included.

Whoever waits holds a shared lock on ``turn.lock``; a writer looks there and steps aside. The engine's own
lock decides who has the shard; this file only tells that somebody would like to. ``writer.lock`` is held
by the one writer for its whole run. All three vanish with their process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import portalocker

from model.errors import StoreInUse

POLL_SECONDS = 0.02
READER_WAIT_SECONDS = 10.0
WRITER_WAIT_SECONDS = 60.0
STEP_ASIDE_SECONDS = 5.0
"""A writer lets readers go first for this long, then competes with them, so that it is never starved."""

Opened = TypeVar("Opened")


class BusyError(Exception):
    """Another process holds the shard."""


def open_in_turn(open_shard: Callable[[], Opened], folder: Path, name: str, wait: float) -> Opened:
    """Open, waiting up to ``wait`` seconds for whoever has it.

    Raises:
        StoreInUse: it was held for longer.
    """
    try:
        return open_shard()
    except BusyError:
        pass
    deadline = time.monotonic() + wait
    with _waiting(folder):
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            try:
                return open_shard()
            except BusyError:
                continue
    raise StoreInUse(f"collection {name!r} is in use by another process, for over {wait:.0f} s: try again later")


@contextmanager
def _waiting(folder: Path) -> Iterator[None]:
    with (folder / "turn.lock").open("a") as file:
        portalocker.lock(file, portalocker.LOCK_SH)
        try:
            yield
        finally:
            portalocker.unlock(file)


def somebody_waits(folder: Path) -> bool:
    """Whether another process would like the shard."""
    with (folder / "turn.lock").open("a") as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            return True
        portalocker.unlock(file)
        return False


def let_others_go_first(folder: Path) -> None:
    """Return when nobody waits any more, or after a few seconds."""
    deadline = time.monotonic() + STEP_ASIDE_SECONDS
    while somebody_waits(folder) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def become_writer(folder: Path, name: str) -> IO[str]:
    """The writer's lock, held until the file returned is closed.

    Raises:
        StoreInUse: another process writes this collection.
    """
    file = (folder / "writer.lock").open("a")
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        file.close()
        raise StoreInUse(f"collection {name!r} is being written by another process: wait until that ends") from None
    return file
