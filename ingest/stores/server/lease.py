"""One run at a time on a server's collection: a mark in its metadata says who writes it, and is renewed while it does.

The server itself takes any number of writers. But a run holds the collection's projection from its beginning: one that
goes on while another changes it would add vectors of the old kind.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ingest.errors import StoreError, StoreInUse
from model.system.events import note
from model.system.process import forget, is_running, new_token, pid_scope

RENEW_SECONDS = 60.0
LAPSED_SECONDS = 300.0
"""A mark that is older counts for nothing: its run was killed, or its network is gone."""

SETTLE_SECONDS = 0.2
"""Longer than between looking for a mark and setting one: after it, of two that came at once both see who was last."""


@contextmanager
def lease(name: str, read: Callable[[], Mapping[str, Any] | None], write: Callable[[object], object]) -> Iterator[None]:
    """Hold the right to write collection ``name`` while the block runs.

    Args:
        read, write: the mark, kept with the collection; None is no mark.

    Raises:
        StoreInUse: another run holds it.
    """
    token = new_token()
    mine = {"host": socket.gethostname(), "scope": pid_scope(), "pid": os.getpid(), "token": token}
    _refuse_others(name, read(), mine)
    write({**mine, "at": time.time()})
    time.sleep(SETTLE_SECONDS)
    _refuse_others(name, read(), mine)  # of two that came at once, the one that wrote last has it
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(ended, mine, read, write), name="lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        forget(token)
        with suppress(StoreError):  # it lapses by itself
            if _is(read(), mine):
                write(None)


def _renew(
    ended: threading.Event,
    mine: Mapping[str, Any],
    read: Callable[[], Mapping[str, Any] | None],
    write: Callable[[object], object],
) -> None:
    while not ended.wait(RENEW_SECONDS):
        with suppress(StoreError):  # the next write meets it too, and raises it
            if not _is(read(), mine):  # this machine slept, and another run has it now
                note("another run has taken over this collection: end this one, and run it again later")
                return
            write({**mine, "at": time.time()})


def _is(held: Mapping[str, Any] | None, mine: Mapping[str, Any]) -> bool:
    return held is not None and held["token"] == mine["token"]


def _refuse_others(name: str, held: Mapping[str, Any] | None, mine: Mapping[str, Any]) -> None:
    if held and held["token"] != mine["token"] and _holds(held, mine):
        raise StoreInUse(
            f"collection {name!r} is being written by another process, {held['pid']} on {held['host']}: "
            "wait until that ends"
        )


def _holds(held: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    if abs(time.time() - held["at"]) >= LAPSED_SECONDS:
        return False
    is_foreign = held.get("scope", mine["scope"]) != mine["scope"] or held["host"] != mine["host"]
    return is_foreign or is_running(held["pid"], held["token"])
