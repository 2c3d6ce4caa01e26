"""Ctrl-C, met once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_once() -> Iterator[None]:
    """The first Ctrl-C ends what is inside, as always; while that comes to its end in good order, others do nothing.

    A second one would end the ending: threads in the middle of a picture, a record half told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:  # else the whole process is coming to its end
            signal.signal(signal.SIGINT, before)
