"""Processes that leave marks of themselves, in names of files or with a collection: whether one still runs."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_tokens: set[str] = set()
"""By which this process knows its own marks: in a container, the one killed before had the same id."""


@cache
def pid_scope() -> str:
    """In 8 hex digits, where the number of this process counts: one start of one machine, and one container on it.

    Containers may share a folder and have the same host name, and they number their processes alike.
    """
    parts = [os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")]
    with suppress(OSError):  # not Linux: machines are told apart by their names
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def new_token() -> str:
    """For a mark of this process, beside its id."""
    token = secrets.token_hex(4)
    _tokens.add(token)
    return token


def forget(token: str) -> None:
    """From now on a mark with it is of no process that runs."""
    _tokens.discard(token)


def is_running(pid: int, token: str) -> bool:
    """Whether the process that left a mark within this `pid_scope` may still run."""
    if pid == os.getpid():
        return token in _tokens
    if sys.platform == "win32":  # os.kill would end that process, not ask for it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
