"""Where pictures wait to be decoded, and the processes that decode them: who is next, with how much memory, how long.

It must not know what is decoded for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import IO

from model.errors import PictureNoMemory, PictureTooSlow, WordsightError
from query.web.decoding.job import DEFAULT_MEMORY_MB, Decoded, Job
from query.web.decoding.place import Larger, Place, Vanished

DECODE_SECONDS = 10.0
"""Of a processor. A photograph takes a tenth of one; a large one on a slow machine one or two."""

MOST_PLACES = min(4, 1 + (os.cpu_count() or 1))
"""One more than cores, since neither those who look nor those who send may have them all."""

MOST_WAITING = 128
"""Of each kind. A browser asks for six pictures at a time."""

SHARE_OF_SMALL = 4
"""One in so many parts of the memory is for any picture, and all but one for a large one, of which there is one at
a time: so ordinary pictures go on beside it."""


class Busy(WordsightError):  # noqa: N818 - as in `model.errors`
    """So many pictures wait that another one would wait too long."""


class Use(Enum):
    """What a picture is decoded for. Neither can take all places from the other."""

    LOOK = "look"
    ASK = "ask"


@dataclass(eq=False, slots=True)
class _Task:
    """``client``: whose. ``number``: the order in which they came."""

    use: Use
    job: Job
    file: IO[bytes]
    client: str
    number: int
    is_large: bool = False
    future: Future[Decoded] = field(default_factory=Future)


class Bench:
    """Decodes pictures for many clients at once, in turns: whoever has least decoded now is next.

    Args:
        memory: bytes for all pictures decoded at once, beside what the processes need themselves.
        seconds: of a processor, for a picture; by the clock it may take three times as long.
    """

    def __init__(
        self, memory: int = DEFAULT_MEMORY_MB << 20, seconds: float = DECODE_SECONDS, places: int = MOST_PLACES
    ) -> None:
        self.seconds = seconds
        self._memory = memory
        self._most = max(2, places)
        self._waiting: list[_Task] = []
        self._running: list[_Task] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._run, args=(Place(),), daemon=True, name=f"decoding {number}")
            for number in range(self._most)
        ]
        for thread in self._threads:
            thread.start()

    async def decode(self, use: Use, job: Job, file: IO[bytes], client: str = "") -> Decoded:
        """Decode the picture in ``file``, which is closed then.

        Raises:
            Busy: too many wait, or the server ends.
            PictureError: as `open_picture`; PictureTooSlow and PictureNoMemory by the limits of this bench.
        """
        task = _Task(use, job, file, client, next(self._numbers))
        with self._changed:
            if self._is_closed or sum(one.use is use for one in self._waiting) >= MOST_WAITING:
                file.close()
                raise Busy("too many pictures wait to be decoded: try again in a moment")
            self._waiting.append(task)
            self._changed.notify()
        return await asyncio.wrap_future(task.future)

    @property
    def waiting(self) -> int:
        """Pictures that wait for their turn."""
        return len(self._waiting)

    @property
    def at_work(self) -> int:
        """Pictures being decoded."""
        return len(self._running)

    def close(self) -> None:
        """End the processes; what waits is refused. It does not wait for what is being decoded."""
        with self._changed:
            self._is_closed = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for task in waiting:
            task.file.close()
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(Busy("the server is ending"))

    def _room(self, task: _Task) -> int:
        small = self._memory // SHARE_OF_SMALL
        return self._memory - small if task.is_large else small

    def _run(self, place: Place) -> None:
        while task := self._take():
            try:
                self._do(place, task)
            finally:
                with self._changed:
                    self._running.remove(task)
                    self._changed.notify_all()
        place.end()

    def _take(self) -> _Task | None:
        with self._changed:
            while not self._is_closed:
                if task := min(self._ready(), key=self._order, default=None):
                    self._waiting.remove(task)
                    self._running.append(task)
                    return task
                self._changed.wait()
        return None

    def _ready(self) -> Iterator[_Task]:
        """Those that could be decoded now, beside what is."""
        used = sum(self._room(task) for task in self._running)
        by_use = Counter(task.use for task in self._running)
        large = any(task.is_large for task in self._running)
        for task in self._waiting:
            has_place = by_use[task.use] < self._most - 1
            if has_place and not (large and task.is_large) and used + self._room(task) <= self._memory:
                yield task

    def _order(self, task: _Task) -> tuple[int, int]:
        """Whoever has least on the bench comes first, and then whoever waited longest."""
        return sum(one.client == task.client for one in self._running), task.number

    def _do(self, place: Place, task: _Task) -> None:
        decoded: Decoded | None = None
        error: Exception | None = None
        try:
            if not task.future.cancelled():
                decoded = place.decode(task.job, task.file, self._room(task), self.seconds)
        except Larger as larger:
            if not task.is_large and self._wait_as_large(task):
                return
            error = PictureNoMemory(self._too_large(task, larger))
        except Vanished as vanished:
            error = PictureTooSlow(f"not decoded within {self.seconds:.0f} s: send a smaller copy")
            if not vanished.is_slow:
                error = PictureNoMemory("its decoder gave up: send the picture in another format")
        except Exception as told:  # noqa: BLE001 - whoever waits for the picture is told
            error = told
        task.file.close()
        if not task.future.set_running_or_notify_cancel():
            return
        if error:
            task.future.set_exception(error)
        elif decoded:
            task.future.set_result(decoded)

    def _wait_as_large(self, task: _Task) -> bool:
        """False where the bench is closed."""
        with self._changed:
            if not self._is_closed:
                task.is_large = True
                self._waiting.append(task)
            return not self._is_closed

    def _too_large(self, task: _Task, larger: Larger) -> str:
        what = f"{larger.width} x {larger.height} pixels need" if larger.width else "it needs"
        return (
            f"{what} more memory than the {self._room(task) >> 20} MB that one picture gets here: "
            "a smaller copy will do; the server's --decode-memory sets this"
        )
