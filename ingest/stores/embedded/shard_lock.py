"""Locks of an embedded collection, which one process at a time can load, readers included.

Three lock files, which the system releases when their process ends, however it ends::

    shard.lock    held by the process that has the shard loaded, from before it loads it until after it has closed it
    queue.lock    held by the process that is next. Others wait for this one, so that a process which has just
                  released the shard and wants it again does not overtake it; and the holder sees that another waits
    writer.lock   held by the one writer for its whole run

The engine locks too, but too late: a load that it refuses has already repaired files under the hands of the process
that has them (21 of 24 flushes failed after that, and no load worked any more). So no process may try a load that
will be refused.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO

import portalocker

from ingest.errors import CollectionNotFound, StoreError, StoreInUse

POLL_SECONDS = 0.02
SHARD_LOCK = "shard.lock"
QUEUE_LOCK = "queue.lock"
WRITER_LOCK = "writer.lock"


def lock_shard(folder: Path, name: str, wait: float) -> IO[str]:
    """The right to load the shard, until the file returned is closed.

    Raises:
        StoreInUse: other processes had it for all of ``wait`` seconds.
        CollectionNotFound: the collection was dropped meanwhile.
        StoreError: the folder cannot be written to.
    """
    deadline = time.monotonic() + wait
    shard = _open_lock(folder, name, SHARD_LOCK)
    try:
        with _open_lock(folder, name, QUEUE_LOCK) as queue:
            if not (_lock_until(queue, deadline) and _lock_until(shard, deadline)):
                raise StoreInUse(
                    f"collection {name!r} is in use by another process, for over {wait:.0f} s: try again later"
                )
        if not _is_at(shard, folder / SHARD_LOCK):
            raise gone(folder, name)
    except BaseException:
        shard.close()
        raise
    return shard


def is_awaited(folder: Path, name: str) -> bool:
    """Whether another process waits for the shard.

    Raises:
        CollectionNotFound: the folder was moved or removed.
    """
    with _open_lock(folder, name, QUEUE_LOCK) as queue:
        return not _try_lock(queue)


def lock_writer(folder: Path, name: str) -> IO[str]:
    """The writer's lock, held until the file returned is closed.

    Raises:
        StoreInUse: another process writes this collection.
        StoreError: the folder cannot be written to.
    """
    file = _open_lock(folder, name, WRITER_LOCK)
    if not _try_lock(file):
        file.close()
        raise StoreInUse(f"collection {name!r} is being written by another process: wait until that ends")
    return file


def check_not_moved(folder: Path, name: str, writer: IO[str]) -> None:
    """Nothing may be written under the old name of a folder that was moved: it would look like a collection.

    Raises:
        CollectionNotFound: ``writer``, the writer's lock, is not in ``folder`` any more.
    """
    if not _is_at(writer, folder / WRITER_LOCK):
        raise gone(folder, name)


def _open_lock(folder: Path, name: str, lock: str) -> IO[str]:
    try:
        return (folder / lock).open("a")
    except FileNotFoundError:
        raise gone(folder, name) from None
    except OSError as error:
        raise StoreError(
            f"cannot write in {folder}: {error.strerror}; collection {name!r} needs that even to be read: "
            "copy the store to a disk you may write to"
        ) from error


def gone(folder: Path, name: str) -> CollectionNotFound:
    """The error for a collection that was there when it was opened."""
    return CollectionNotFound(
        f"collection {name!r} is no longer in {folder}, it was dropped or moved meanwhile: "
        "--store names the new place of a store"
    )


def _lock_until(file: IO[str], deadline: float) -> bool:
    while not _try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _try_lock(file: IO[str]) -> bool:
    """Whether the lock was free, and so is ours until the file is closed."""
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        return False
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one of that name: a lock on a removed file keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
