"""Names of files and labels as text that can be shown."""

from __future__ import annotations

import os
from collections.abc import Sequence


def shown(name: str) -> str:
    """A file name as text that any terminal and any store accepts: bytes that are not UTF-8 become U+FFFD."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:  # text that was stored, and a locale that has no such letters
        raw = name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def first_of(names: Sequence[str], most: int) -> str:
    """The first ``most`` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def one_line(name: str) -> str:
    """A name that cannot break the line or steer the terminal: control characters and raw bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown(name))
