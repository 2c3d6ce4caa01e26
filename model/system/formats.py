"""Formats of files: what to say of a file in a format that this version does not read.

It must not know what is in the files; bringing an older format up to date is each file's own `migrate`."""

from __future__ import annotations

import re

from model import __version__

_VERSION = re.compile(r"\d[\w.+-]{0,30}")
"""As a message may repeat it: a file may say anything."""


def why_unreadable(what: str, format: object, readable: range, *, program: object, remedy: str) -> str | None:
    """Why a file of this format cannot be read, and what to do; None where it can.

    Args:
        what: the file, as the sentence begins. program: the version of wordsight that the file says it was written
            by. remedy: what to do about a format that is too old.

    Raises:
        ValueError: no number of a format at all.
    """
    if type(format) is not int:
        raise ValueError("the format is not a number")
    if format in readable:
        return None
    oldest, newest = readable[0], readable[-1]
    reads = f"format {newest}" if oldest == newest else f"formats {oldest} to {newest}"
    if format < oldest:
        return f"{what} has format {format}, which is too old: wordsight {__version__} reads {reads}; {remedy}"
    if isinstance(program, str) and _VERSION.fullmatch(program):
        return (
            f"{what} has format {format}, written by wordsight {program}: this is wordsight {__version__}, which "
            f"reads {reads}; install wordsight {program} or later to read it"
        )
    return (
        f"{what} has format {format} and does not say which version of wordsight wrote it: this is wordsight "
        f"{__version__}, which reads {reads}; open it with the version that wrote it"
    )
