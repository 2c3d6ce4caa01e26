"""What nobody foresaw: one sentence and a file to report, instead of a traceback and a status that says something else.

Python ends a program with 1 then, which here means that nothing was found.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from model.entry import INTERNAL_FAULT
from model.system.cache import cache_dir
from model.system.clock import now
from model.system.disk import FULL
from model.system.terminal import note

FAILURE = 2

LOG_FILE = "fault.log"
"""In the cache folder; the last fault alone."""

MOST_SAID = 200
"""Letters of what the exception says."""


def report_fault(error: BaseException) -> int:
    """Say in one sentence what happened, where the details are and how to report them; returns the exit status.

    Too little memory and a full disk are no fault of the program.
    """
    if isinstance(error, MemoryError):
        note("error: not enough memory: close other programs and run the same command again")
        return FAILURE
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" of {error.filename}" if error.filename else ""
        note(f"error: no space left on the disk{where}: make room and run the same command again")
        return FAILURE
    said = " ".join(str(error).split())[:MOST_SAID]
    what = type(error).__name__ + (f": {said}" if said else "")
    log = _write(error)
    where = (
        f"please report it with the file {log}, which says what was asked and where it failed"
        if log
        else "no file could be written about it; please report it with the command that you gave"
    )
    note(f"error: a fault in wordsight itself ({what}): {where}")
    return INTERNAL_FAULT


def _write(error: BaseException) -> Path | None:
    from model import __version__

    lines = [
        f"wordsight {__version__}, Python {platform.python_version()}, {platform.platform()}, {now()}",
        f"command: {' '.join(map(repr, sys.argv))}",
        "",
        *traceback.format_exception(error),
    ]
    text = "\n".join(lines)
    for folder in (cache_dir, lambda: Path(tempfile.mkdtemp(prefix="wordsight-"))):
        with suppress(Exception):  # the fault is to be told, whatever is wrong here as well
            place = folder()
            place.mkdir(parents=True, exist_ok=True)
            path = place / LOG_FILE
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return Path(os.path.abspath(path))
    return None
