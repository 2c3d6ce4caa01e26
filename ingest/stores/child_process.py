"""Work in a process of its own: what holds the GIL for minutes, or may be killed by a full disk (SIGBUS)."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from ingest.errors import StoreError
from model.errors import DiskFull

Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1


def run_in_child_process(
    what: str, work: Callable[..., Result], *args: Any, on_progress: Callable[[int], None]
) -> Result:
    """``work(*args, on_progress=...)`` in another process, which ends with this one however that ends.

    Args:
        what: is being built, for the message.
        work: a function of a module; its result and arguments are pickled.
        on_progress: called here with what ``work`` calls its own ``on_progress`` with.

    Raises:
        OSError, StoreError: raised there.
        StoreError: it was killed.
    """
    context = multiprocessing.get_context("spawn")  # a forked child could not use the engine
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work, args), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            kind, content = receiver.recv()
            if kind == "done":
                result: Result = content
                return result
            if kind == "failed":
                raise content
            on_progress(content)
    except EOFError:
        process.join()
        raise StoreError(
            f"building {what} ended with status {process.exitcode}: is the disk full, or memory short? "
            "What was there before is as it was"
        ) from None
    finally:
        process.kill()
        process.join()
        receiver.close()


def _work(sender: Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """In the other process: sends how far it is, then the result, or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    _end_with_parent()
    try:
        sender.send(("done", work(*args, on_progress=lambda amount: sender.send(("more", amount)))))
    except OSError as error:
        sender.send(("failed", OSError(error.errno, error.strerror) if error.errno else OSError(str(error))))
    except (StoreError, DiskFull) as error:
        sender.send(("failed", error))


def _end_with_parent() -> None:
    """A parent that is killed cannot end this process, which would go on filling the disk."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":  # no thread of this process runs while the engine has the GIL
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
