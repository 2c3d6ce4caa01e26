"""Several files as one ZIP, written while it is sent: nothing of it is kept.

It must not know which files, or why.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from model.errors import PictureError

CHUNK_BYTES = 1 << 18
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


def zipped(files: Sequence[tuple[str, Callable[[], IO[bytes]]]]) -> Iterator[bytes]:
    """A ZIP of files by their names in it, each opened when its turn comes. Pictures are compressed already."""
    written = _Written()
    left_out = []
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, opened in _by_other_names(files):
            try:
                file = opened()
            except PictureError as error:
                left_out.append(f"{name}: {error}\n")
                continue
            with file, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                while chunk := file.read(CHUNK_BYTES):
                    entry.write(chunk)
                    yield written.take()
        if left_out:
            archive.writestr(LEFT_OUT, "".join(left_out))
    yield written.take()


def _by_other_names(
    files: Sequence[tuple[str, Callable[[], IO[bytes]]]],
) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """No two alike: of pictures of several collections, two may have one path."""
    seen: set[str] = set()
    for name, opened in files:
        stem, dot, ending = name.rpartition(".")
        other, number = name, 2
        while other in seen:
            other = f"{stem or ending} ({number}){dot}{ending if stem else ''}"
            number += 1
        seen.add(other)
        yield other, opened
