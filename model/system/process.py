"""Processes that leave marks of themselves, in names of files or with a collection: whether one still runs."""

from __future__ import annotations

import os
import secrets
import sys

_tokens: set[str] = set()
"""By which this process knows its own marks: in a container, the one killed before had the same id."""


def new_token() -> str:
    """For a mark of this process, beside its id."""
    token = secrets.token_hex(4)
    _tokens.add(token)
    return token


def forget(token: str) -> None:
    """From now on a mark with it is of no process that runs."""
    _tokens.discard(token)


def is_running(pid: int, token: str) -> bool:
    """Whether the process of this machine that left a mark may still run."""
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
