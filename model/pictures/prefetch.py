"""Work done ahead in threads and handed on in order, where no single piece can hold up the rest for ever.

A thread cannot be stopped from outside, neither in a read from a disk that does not answer nor in a decoder
that has met a hostile file. One that takes too long is given up: its piece counts as late, another thread takes
its place, and the process ends without waiting for it. It keeps its memory, and its core if it computes, until
then; so only a few may be given up before the whole is.

Child processes could be stopped, and would survive a decoder that crashes. They cost every run the start of an
interpreter a core and every picture a copy through a pipe, for what all but a few files never need.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from model.errors import DatasetError

GIVEN_UP_EACH = 4
"""Threads given up at most for each one at work: a disk that is gone is noticed after as many limits."""

CLOSING_SECONDS = 1.0
"""What is waited at the end for threads in the middle of something."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Task(Generic[Item, Result]):
    """One piece of work. ``began``: `time.monotonic` when a thread took it up."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.thread: threading.Thread | None = None
        self.began: float | None = None
        self.ended = threading.Event()
        self.given_up = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class _Crew(Generic[Item, Result]):
    """Threads at work on tasks, each replaced when it is given up."""

    def __init__(self, work: Callable[[Item], Result], threads: int) -> None:
        self._work = work
        self._tasks: SimpleQueue[_Task[Item, Result] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._most = GIVEN_UP_EACH * threads
        self._given_up = 0
        self._threads: list[threading.Thread] = []
        for _ in range(threads):
            self._add_thread()

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while task := self._tasks.get():
            task.thread, task.began = threading.current_thread(), time.monotonic()
            try:
                task.result = self._work(task.item)
            except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
                task.error = error
            with self._lock:
                task.ended.set()
                if task.given_up:
                    self._given_up -= 1
                    return

    def submit(self, item: Item) -> _Task[Item, Result]:
        task: _Task[Item, Result] = _Task(item)
        self._tasks.put(task)
        return task

    def wait(self, task: _Task[Item, Result], limit: float) -> bool:
        """Whether it ended within ``limit`` seconds of its beginning; else it is given up."""
        while not task.ended.wait(_left(task, limit)):
            if task.began is not None and not _left(task, limit):
                return not self._give_up(task, limit)
        return True

    def _give_up(self, task: _Task[Item, Result], limit: float) -> bool:
        with self._lock:
            if task.ended.is_set() or task.thread is None:
                return False
            task.given_up = True
            self._threads.remove(task.thread)
            self._given_up += 1
        if self._given_up > self._most:
            raise DatasetError(
                f"{self._given_up} files took too long, the last of them {limit:.0f} s: is their disk still there? "
                "What was acknowledged stays, run the same command again"
            )
        self._add_thread()
        return True

    def close(self, patience: float) -> None:
        """Begin nothing more, and wait for what was begun, ``patience`` seconds at most."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX))


def _left(task: _Task[Item, Result], limit: float) -> float:
    """Seconds; all of ``limit`` where it has not begun."""
    return limit if task.began is None else max(0.0, task.began + limit - time.monotonic())


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    ahead: int,
    limit: Callable[[Item], float] | None = None,
    late: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """``work(item)`` of every item, in their order, up to ``ahead`` of them done in advance in threads.

    Args:
        limit: the seconds an item may take from its beginning; beyond, ``late(item)`` stands for its result.
            `threading.TIMEOUT_MAX` is no limit. Without one, what was begun is also waited for at the end.

    Raises:
        DatasetError: too many items are late; those before it were handed on.
    """
    crew = _Crew(work, threads)
    pending: deque[_Task[Item, Result]] = deque()

    def result_of(task: _Task[Item, Result]) -> Result:
        if not crew.wait(task, limit(task.item) if limit else threading.TIMEOUT_MAX) and late:
            return late(task.item)
        if task.error is not None:
            raise task.error
        return task.result  # type: ignore[return-value]  # ended without an error

    try:
        for item in items:
            pending.append(crew.submit(item))
            if len(pending) > ahead:
                yield result_of(pending.popleft())
        while pending:
            yield result_of(pending.popleft())
    finally:
        crew.close(CLOSING_SECONDS if limit else threading.TIMEOUT_MAX)
