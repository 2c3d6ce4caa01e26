"""Whether a process still runs that left its mark, in a file's name or with a collection."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_tokens: set[str] = set()
"""Tell this process's own marks from those of an earlier one: in a container, that had the same id."""


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
    """A token that makes a mark of this process unique, beside its id."""
    token = secrets.token_hex(4)
    _tokens.add(token)
    return token


def forget(token: str) -> None:
    """Treat a mark with this token as left by a process that has ended."""
    _tokens.discard(token)


def is_running(pid: int, token: str) -> bool:
    """Whether the process that left a mark within this `pid_scope` may still run."""
    if pid == os.getpid():
        return token in _tokens
    if sys.platform == "win32":  # os.kill would end that process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
