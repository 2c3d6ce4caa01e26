"""Several files as one ZIP, written while it is sent: nothing of it is kept.

It must not know which files, or why.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO

from model.errors import PictureError

CHUNK_BYTES = 1 << 18
EARLIEST, LATEST = datetime(1980, 1, 1), datetime(2107, 12, 31, 23, 59, 58)
"""What a ZIP can say of when a file was written."""

LEFT_OUT = "left-out.txt"
"""Names what is not in it, and why: a file of the ZIP, since the answer has begun when it turns out."""


class _Written(io.RawIOBase):
    """What was written and not yet taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


@dataclass(frozen=True, slots=True)
class Packed:
    """A file by its name in the ZIP. ``mtime_ns``: when it was written, 0 where nobody knows."""

    name: str
    mtime_ns: int
    open: Callable[[], IO[bytes]]

    def entry(self) -> zipfile.ZipInfo:
        """Its head, with the local time that the file has."""
        seconds = min(max(self.mtime_ns // 1_000_000_000, EARLIEST.timestamp()), LATEST.timestamp())
        return zipfile.ZipInfo(self.name, datetime.fromtimestamp(seconds).timetuple()[:6])


def zipped(files: Sequence[Packed]) -> Iterator[bytes]:
    """A ZIP of files by their names in it, each opened when its turn comes. Pictures are compressed already."""
    written = _Written()
    left_out = []
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for packed in _by_other_names(files):
            try:
                file = packed.open()
            except PictureError as error:
                left_out.append(f"{packed.name}: {error}\n")
                continue
            with file, archive.open(packed.entry(), "w", force_zip64=True) as entry:
                while chunk := file.read(CHUNK_BYTES):
                    entry.write(chunk)
                    yield written.take()
        if left_out:
            archive.writestr(LEFT_OUT, "".join(left_out))
    yield written.take()


def _by_other_names(files: Sequence[Packed]) -> Iterator[Packed]:
    """No two alike: of pictures of several collections, two may have one path."""
    seen: set[str] = set()
    for packed in files:
        stem, dot, ending = packed.name.rpartition(".")
        other, number = packed.name, 2
        while other in seen:
            other = f"{stem or ending} ({number}){dot}{ending if stem else ''}"
            number += 1
        seen.add(other)
        yield replace(packed, name=other)
