"""A decoding process: it is handed open files, one at a time, and gives back pixels or the reason why there are none.

It must not know who asks. What it sends is plain bytes, which nobody has to believe.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

from model.errors import PictureError, PictureNoMemory
from model.pictures import MAX_FILE_BYTES, decoding_cost, is_still_name, open_framed, still_in, thumbnail
from model.system.blocks import give_large_blocks_back
from model.system.disk import in_mb
from query.web.decoding.job import ERRORS, Job

MOST_SCANS = 64
"""Of a JPEG: encoders write up to a dozen. Each goes over all of its pixels."""

PATIENCE = 3
"""A picture may take so many times its processor seconds by the clock: on a machine with much to do, nobody's fault."""

LARGER = "larger"
"""The answer of a process that needs more memory than it was given."""


def work(connection: Connection) -> None:
    """Until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    give_large_blocks_back()
    own = _data_bytes()
    with suppress(EOFError, ConnectionError):
        while True:
            job, memory, seconds = connection.recv()
            handle = recv_handle(connection)
            with os.fdopen(handle, "rb") as file, _at_most(own + memory if own else 0, seconds):
                parts = _answer(job, memory, seconds * PATIENCE, file.fileno())
            for part in parts:
                connection.send_bytes(part)


def _answer(job: Job, memory: int, seconds: float, handle: int) -> list[bytes]:
    try:
        return _decode(job, memory, time.monotonic() + seconds, handle)
    except (MemoryError, PictureNoMemory):
        return [json.dumps({"error": LARGER, "message": "", "parts": 0}).encode()]
    except PictureError as error:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
        return [json.dumps({"error": kind, "message": str(error), "parts": 0}).encode()]


def _decode(job: Job, memory: int, deadline: float, handle: int) -> list[bytes]:
    data = _read(handle, job.name, deadline)
    name = "picture" if is_still_name(job.name) else job.name
    needed = decoding_cost(data, shown_at=job.small, framing=job.framing)
    if needed.memory > memory:
        size = {"width": needed.width, "height": needed.height}
        return [json.dumps({"error": LARGER, "message": "", "parts": 0, **size}).encode()]
    if needed.scans > MOST_SCANS:
        raise PictureError(
            f"a JPEG of {needed.scans} scans, of which no more than {MOST_SCANS} are decoded: save it anew"
        )
    told: dict[str, object] = {}
    parts = []
    if job.framing is not None:
        framed = open_framed(data, job.framing, name=name, max_megapixels=job.max_megapixels, deadline=deadline)
        told = {
            "views": len(framed.pixels),
            "width": framed.width,
            "height": framed.height,
            "damaged": framed.damaged,
            "frame": framed.frame,
        }
        parts += [framed.pixels.tobytes(), framed.signature]
    if job.small:
        parts.append(thumbnail(data, longest=job.small, max_megapixels=job.max_megapixels, deadline=deadline))
    return [json.dumps({"error": "", "message": "", "parts": len(parts), **told}).encode(), *parts]


def _read(handle: int, name: str, deadline: float) -> bytes:
    """An image file: the file itself, or what stands for a video or a raw file."""
    size = os.fstat(handle).st_size
    if size > MAX_FILE_BYTES:
        raise PictureError(f"a file of {in_mb(size)}: no picture needs as much")
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        return still_in(file, name, deadline)


def _data_bytes() -> int:
    """Of memory that this process has written to or may write to; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData")), 0)


@contextmanager
def _at_most(memory: int, seconds: float) -> Iterator[None]:
    """So much memory and time of a processor, where the system can see to that; elsewhere what headers tell has to do.

    Beyond the memory, allocations fail; beyond the time, the system ends the process (SIGXCPU).
    """
    if sys.platform == "win32":
        yield
        return
    import resource

    limits = {resource.RLIMIT_CPU: math.ceil(time.process_time() + seconds)}
    if memory:
        limits[resource.RLIMIT_DATA] = memory
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, most in limits.items():
        hard = before[kind][1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        for kind, (soft, hard) in before.items():
            resource.setrlimit(kind, (soft, hard))
