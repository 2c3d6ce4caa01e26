"""Work done ahead of who wants it, in one thread. It must not know what is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_ahead() -> Iterator[Callable[..., Future[Any]]]:
    """One thread that works ahead; whoever stops early does not wait for it."""
    thread = ThreadPoolExecutor(1, "page")
    try:
        yield thread.submit
    finally:
        thread.shutdown(wait=False, cancel_futures=True)
