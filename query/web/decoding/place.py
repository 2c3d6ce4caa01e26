"""One decoding process, seen from the server: started when it is needed, killed when it does not answer.

It must not know which picture is next.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle
from typing import IO, Any

import numpy as np

from model.pictures import Framed
from query.web.decoding.job import ERRORS, Decoded, Job
from query.web.decoding.worker import LARGER, PATIENCE, work

GRACE_SECONDS = 1.0
"""A decoder notices by itself, most often, that its time is over; after that it is killed."""

START_SECONDS = 60.0
"""For the first answer of a new process, which imports what it needs, on a machine that has much to do."""

MOST_PART_BYTES = 64 << 20
METHOD = "spawn" if sys.platform == "win32" else "forkserver"

_processes: Any = multiprocessing.get_context(METHOD)
if METHOD == "forkserver":
    _processes.set_forkserver_preload(["query.web.decoding.worker", "PIL.Image", "tifffile"])


class Larger(Exception):  # noqa: N818 - not an error yet: there may be a larger place
    """The picture needs more memory than it was given. ``width``, ``height``: 0 where only decoding showed it."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.width, self.height = width, height


class Vanished(Exception):  # noqa: N818
    """The process is gone: it was slow and was killed, or its decoder ended it."""

    def __init__(self, *, is_slow: bool) -> None:
        super().__init__()
        self.is_slow = is_slow


class Place:
    """A process to decode in. One thread uses it."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._is_new = True

    def decode(self, job: Job, file: IO[bytes], memory: int, seconds: float) -> Decoded:
        """What ``job`` wants of a file.

        Raises:
            Larger, Vanished: see there.
            PictureError: the decoder's reason.
        """
        connection = self._started()
        wait = seconds * PATIENCE + GRACE_SECONDS + (START_SECONDS if self._is_new else 0)
        try:
            connection.send((job, memory, seconds))
            send_handle(connection, file.fileno(), self._process.pid)  # type: ignore[union-attr]
            if not connection.poll(wait):
                self.end()
                raise Vanished(is_slow=True)
            told = json.loads(connection.recv_bytes(MOST_PART_BYTES))
            parts = [connection.recv_bytes(MOST_PART_BYTES) for _ in range(int(told["parts"]))]
        except (OSError, EOFError, ValueError, KeyError):
            raise Vanished(is_slow=self._end_of_time()) from None
        self._is_new = False
        return _decoded(job, told, parts)

    def _end_of_time(self) -> bool:
        """End the process; whether the system had ended it already because its time was over."""
        process = self._process
        if process:
            process.join(GRACE_SECONDS)
        is_over = process is not None and process.exitcode == -getattr(signal, "SIGXCPU", 0)
        self.end()
        return is_over

    def end(self) -> None:
        """Kill the process, if there is one; another is started when it is needed."""
        if self._process:
            self._process.kill()
            self._process.join()
        if self._connection:
            self._connection.close()
        self._process = self._connection = None
        self._is_new = True

    def _started(self) -> Connection:
        if self._connection is None or self._process is None or not self._process.is_alive():
            self.end()
            ours, theirs = _processes.Pipe()
            self._process = _processes.Process(target=work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            self._connection = ours
        return self._connection


def _decoded(job: Job, told: dict[str, Any], parts: list[bytes]) -> Decoded:
    error = told["error"]
    if error == LARGER:
        raise Larger(int(told.get("width", 0)), int(told.get("height", 0)))
    if error:
        raise ERRORS[error](str(told["message"]))
    framed = None
    if job.framing is not None:
        side = job.framing.crop
        pixels = np.frombuffer(parts[0], np.uint8).reshape(int(told["views"]), side, side, 3)
        framed = Framed(
            pixels,
            int(told["width"]),
            int(told["height"]),
            str(told["damaged"]),
            int(told["frame"]),
            parts[1],
        )
    return Decoded(parts[-1] if job.small else b"", framed)
