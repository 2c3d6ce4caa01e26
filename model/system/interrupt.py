"""Ctrl-C, handled once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_once() -> Iterator[None]:
    """The first Ctrl-C ends what is inside, as always; further ones are ignored while it shuts down in good order.

    A second one would end the shutting down: threads in the middle of a picture, a record half written.
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
        if signal.getsignal(signal.SIGINT) is interrupt:  # else the whole process is ending
            signal.signal(signal.SIGINT, before)
