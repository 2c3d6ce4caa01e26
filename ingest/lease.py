"""One run at a time on a server's collection: a mark in its metadata says who writes it, and is renewed while it does.

The server itself takes any number of writers. But a run holds the collection's projection from its beginning: one that
goes on while another changes it would add vectors of the old kind.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from model.errors import StoreError, StoreInUse

RENEW_SECONDS = 60.0
LAPSED_SECONDS = 300.0
"""A mark from another machine that is older counts for nothing: its run was killed, or its network is gone."""


@contextmanager
def lease(name: str, read: Callable[[], Mapping[str, Any] | None], write: Callable[[object], object]) -> Iterator[None]:
    """Hold the right to write collection ``name`` while the block runs.

    Args:
        read, write: the mark, kept with the collection; None is no mark.

    Raises:
        StoreInUse: another run holds it.
    """
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    _refuse_others(name, read(), mine)
    write({**mine, "at": time.time()})
    _refuse_others(name, read(), mine)  # of two that came at once, the one that wrote last has it
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(ended, mine, write), name="lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with suppress(StoreError):  # it lapses by itself
            write(None)


def _renew(ended: threading.Event, mine: Mapping[str, Any], write: Callable[[object], object]) -> None:
    while not ended.wait(RENEW_SECONDS):
        with suppress(StoreError):  # whoever writes next tells of it
            write({**mine, "at": time.time()})


def _refuse_others(name: str, held: Mapping[str, Any] | None, mine: Mapping[str, Any]) -> None:
    if held and held["token"] != mine["token"] and _holds(held, mine):
        raise StoreInUse(
            f"collection {name!r} is being written by another process, {held['pid']} on {held['host']}: "
            "wait until that ends"
        )


def _holds(held: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    if held["host"] != mine["host"]:
        return bool(time.time() - held["at"] < LAPSED_SECONDS)
    if held["pid"] == mine["pid"]:
        return True
    try:
        os.kill(held["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
