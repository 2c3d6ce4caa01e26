"""A shard of Qdrant's engine that processes share: loaded under its lock, and closed for others who wait.

It must not know what the shard holds. The engine's habits this is written around (DESIGN.md, "The store"): one
process at a time may have a shard loaded, readers included, and a full disk kills the process that loads it.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import IO

import qdrant_edge as edge

from ingest.errors import StoreError, StoreInUse
from ingest.stores.embedded.checking import SHARD
from ingest.stores.embedded.engine import edge_errors, sweep_engine_files
from ingest.stores.embedded.shard_lock import is_awaited, lock_shard
from model.errors import DiskFull
from model.system.atomic import remove, replace_dir, settle
from model.system.disk import need_space

READER_WAIT_SECONDS = 10.0
WRITER_WAIT_SECONDS = 60.0

YIELD_SECONDS = 0.05
"""How often a shard between two calls is checked for others who wait."""

HOLD_SECONDS = 0.25
"""A shared reader keeps what it has loaded at least so long while calls come: loading costs as much."""

KILLED_SECONDS = 0.2
"""A killed process is gone by then."""


class Access(Enum):
    """Who opens a shard. ``READ``: keeps it loaded until it is closed. ``SHARED``: reads for long, and closes it for
    others between two calls. ``WRITE``: the only writer, which closes it for others as well.
    """

    READ = auto()
    SHARED = auto()
    WRITE = auto()

    @property
    def wait(self) -> float:
        """Seconds until waiting for the shard is given up."""
        return WRITER_WAIT_SECONDS if self is Access.WRITE else READER_WAIT_SECONDS


class Shard:
    """One shard, loaded by the first call and after each time it was released; threads may share it.

    Args:
        before_load: called each time before the engine loads it, under its lock; what it raises ends the call.
        on_load: the same with the engine's shard, once it is loaded.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        access: Access,
        before_load: Callable[[], None],
        on_load: Callable[[edge.EdgeShard], None],
    ) -> None:
        self.path = folder / SHARD
        self._folder = folder
        self._name = name
        self._access = access
        self._before_load = before_load
        self._on_load = on_load
        self._mutex = threading.RLock()
        self._loaded: edge.EdgeShard | None = None
        self._loaded_at = 0.0
        self._lock: IO[str] | None = None
        self._is_closed = False
        self._closing = threading.Event()
        self._yielding: threading.Thread | None = None

    @contextmanager
    def opened(self, create: edge.EdgeConfig | None = None) -> Iterator[edge.EdgeShard]:
        """The engine's shard, loaded where it is not, and kept from others while the block runs.

        Args:
            create: make it anew with this configuration, in place of what is there.

        Raises:
            StoreInUse: others had it for too long.
            ValueError: it was closed.
            StoreError: as `edge_errors` says.
        """
        deadline = time.monotonic() + self._access.wait
        if not self._mutex.acquire(timeout=self._access.wait):  # another thread waits for the lock, as long in vain
            raise StoreInUse(
                f"collection {self._name!r} is in use by another process, for over {self._access.wait:.0f} s"
            )
        try:
            if self._is_closed:
                raise ValueError(f"collection {self._name!r} is closed")
            if self._must_yield():
                self.release()
            shard = self._loaded or self._load(create, deadline - time.monotonic())
            with edge_errors(self._folder, self._name):
                yield shard
        finally:
            self._mutex.release()

    def _must_yield(self) -> bool:
        """Whether to release it before the next call: where calls come without a pause, the thread finds none."""
        if self._loaded is None or self._access is Access.READ:
            return False
        had_long = self._access is Access.WRITE or time.monotonic() - self._loaded_at > HOLD_SECONDS
        return had_long and is_awaited(self._folder, self._name)

    def _load(self, create: edge.EdgeConfig | None, wait: float) -> edge.EdgeShard:
        self._lock = lock_shard(self._folder, self._name, wait)
        try:
            settle(self.path)
            need_space(self._folder, 0)  # the engine dies of a full disk while it loads, too
            if create is None:
                with edge_errors(self._folder, self._name):
                    self._before_load()
            try:
                self._loaded = shard = self._engine_shard(create)
            except StoreInUse:  # the system releases our lock of a process killed just now first, then the engine's
                time.sleep(KILLED_SECONDS)
                self._loaded = shard = self._engine_shard(create)
            self._on_load(shard)
        except BaseException:
            self.release()
            raise
        self._loaded_at = time.monotonic()
        if self._yielding is None and self._access is not Access.READ:
            self._yielding = threading.Thread(target=self._keep_yielding, name="yield-lock", daemon=True)
            self._yielding.start()
        return shard

    def _engine_shard(self, create: edge.EdgeConfig | None) -> edge.EdgeShard:
        with edge_errors(self._folder, self._name):
            if create is not None:
                remove(self.path)  # of a run that was killed while it made or dropped this one
                return edge.EdgeShard.create(str(self.path), create)
            if self._access is Access.WRITE:
                sweep_engine_files(self.path)
            return edge.EdgeShard.load(str(self.path))

    def _keep_yielding(self) -> None:
        """Between two calls, which may be far apart, release the shard for others who wait."""
        while not self._closing.wait(YIELD_SECONDS):
            with suppress(StoreError, DiskFull):  # the next call meets it too, and raises it
                wanted = self._loaded is not None and is_awaited(self._folder, self._name)
                if wanted and self._mutex.acquire(timeout=YIELD_SECONDS):
                    try:
                        self.release()
                    finally:
                        self._mutex.release()

    @contextmanager
    def closed(self) -> Iterator[Path]:
        """Its folder, while no process has it loaded."""
        with self._mutex:
            self.release()
            with lock_shard(self._folder, self._name, self._access.wait):
                settle(self.path)
                yield self.path

    def yield_lock(self) -> None:
        """Release it if another process waits."""
        with self._mutex:
            if self._loaded is not None and is_awaited(self._folder, self._name):
                self.release()

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """A copy of the closed shard's folder, which takes the shard's place when the block ends without an error.

        Other processes read the shard meanwhile; this one must hold the writer's lock.
        """
        wait = self._access.wait
        with self._mutex, ExitStack() as until_replaced, replace_dir(self.path) as copy:
            self.release()
            with lock_shard(self._folder, self._name, wait):
                shutil.copytree(self.path, copy, dirs_exist_ok=True)
            yield copy
            until_replaced.enter_context(lock_shard(self._folder, self._name, wait))

    def release(self) -> None:
        """Close the engine's shard, and let other processes load it. Only between calls, or inside one's own."""
        try:
            if self._loaded is not None:
                with edge_errors(self._folder, self._name):
                    self._loaded.close()
        finally:
            self._loaded = None
            if self._lock is not None:
                self._lock.close()

    def close(self) -> None:
        """Release it for good; safe to call twice."""
        self._closing.set()
        if self._yielding is not None:
            self._yielding.join()
        with self._mutex:
            self._is_closed = True
            self.release()
