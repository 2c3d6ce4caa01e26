"""Taking turns at an embedded collection, which one process at a time can hold, readers included.

Three lock files, which all vanish with their process::

    shard.lock    held by whoever has the shard loaded, from before it loads until after it has closed it
    turn.lock     held by whoever is next. The others wait for this one, so that nobody who has just let go
                  and comes again overtakes it; and a writer sees by it that somebody waits
    writer.lock   held by the one writer for its whole run

The engine locks too, but last: a load that it refuses has first repaired the files, under the hands of the
process that has them (21 of 24 flushes failed then, and no load worked any more). So nobody may load in vain.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO

import portalocker

from ingest.errors import CollectionNotFound, StoreError, StoreInUse

POLL_SECONDS = 0.02
READER_WAIT_SECONDS = 10.0
WRITER_WAIT_SECONDS = 60.0


def take_turn(folder: Path, name: str, wait: float) -> IO[str]:
    """The right to load the shard, until the file returned is closed.

    Raises:
        StoreInUse: others had it for all of ``wait`` seconds.
        CollectionNotFound: the collection was dropped meanwhile.
        StoreError: the folder cannot be written to.
    """
    deadline = time.monotonic() + wait
    shard = _open_lock(folder, name, "shard.lock")
    try:
        with _open_lock(folder, name, "turn.lock") as turn:
            if not (_lock_until(turn, deadline) and _lock_until(shard, deadline)):
                raise StoreInUse(
                    f"collection {name!r} is in use by another process, for over {wait:.0f} s: try again later"
                )
        if not _is_at(shard, folder / "shard.lock"):
            raise _gone(folder, name)
    except BaseException:
        shard.close()
        raise
    return shard


def somebody_waits(folder: Path, name: str) -> bool:
    """Whether another process would like the shard.

    Raises:
        CollectionNotFound: the folder was moved or removed.
    """
    with _open_lock(folder, name, "turn.lock") as turn:
        return not _is_locked(turn)


def need_place(folder: Path, name: str, writer: IO[str]) -> None:
    """Nothing may be written under the old name of a folder that was moved: it would look like a collection.

    Raises:
        CollectionNotFound: ``writer``, the writer's lock, is not in ``folder`` any more.
    """
    if not _is_at(writer, folder / "writer.lock"):
        raise _gone(folder, name)


def become_writer(folder: Path, name: str) -> IO[str]:
    """The writer's lock, held until the file returned is closed.

    Raises:
        StoreInUse: another process writes this collection.
        StoreError: the folder cannot be written to.
    """
    file = _open_lock(folder, name, "writer.lock")
    if not _is_locked(file):
        file.close()
        raise StoreInUse(f"collection {name!r} is being written by another process: wait until that ends")
    return file


def _open_lock(folder: Path, name: str, lock: str) -> IO[str]:
    try:
        return (folder / lock).open("a")
    except FileNotFoundError:
        raise _gone(folder, name) from None
    except OSError as error:
        raise StoreError(
            f"cannot write in {folder}: {error.strerror}; collection {name!r} needs that even to be read: "
            "copy the store to a disk you may write to"
        ) from error


def _gone(folder: Path, name: str) -> CollectionNotFound:
    return CollectionNotFound(
        f"collection {name!r} is no longer in {folder}, it was dropped or moved meanwhile: "
        "--store names the new place of a store"
    )


def _lock_until(file: IO[str], deadline: float) -> bool:
    while not _is_locked(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _is_locked(file: IO[str]) -> bool:
    """Whether the lock could be had, and so is ours until the file is closed."""
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        return False
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one of that name: a lock on a removed one keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
