"""The picture asked about, before it is decoded: a file, a URL, standard input, or a file's content in memory.

It must not know what is asked about it.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from model.errors import PictureError, UsageError
from model.pictures import MAX_FILE_BYTES
from model.system.disk import in_mb
from model.system.paths import absolute, expanded, is_special

STDIN = "-"
MAX_DOWNLOAD_BYTES = 50 << 20
CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 15.0
DEADLINE_SECONDS = 60.0
"""For everything a URL gives: a server that sends a byte now and then is not waited for."""


@dataclass(frozen=True)
class Source:
    """Where the query picture comes from.

    ``text``: as the user wrote it. ``data``: the content of a picture file, for one that is in memory.
    """

    text: str
    data: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises UsageError where nothing was named."""
        if not self.text:
            raise UsageError("no picture was named: is a variable not set?")

    @property
    def is_url(self) -> bool:
        return self.data is None and self.text.lower().startswith(("http://", "https://"))

    @property
    def path(self) -> Path | None:
        """The file it names, if it names one."""
        if self.data is not None or self.is_url or self.text == STDIN:
            return None
        return absolute(Path(os.path.expanduser(self.text)))

    def read_ahead(self) -> None:
        """Read now what others may take long to send, so that nobody waits for it who waits for the collection.

        Raises:
            UsageError, PictureError: as `read`.
        """
        if self.path is None:
            self.read()

    def read(self) -> bytes:
        """The picture file's content; read once, since standard input cannot be read again.

        Raises:
            UsageError: no such file, or nothing on standard input.
            PictureError: a URL that does not answer, or a source that is too large.
        """
        return self._data

    @cached_property
    def _data(self) -> bytes:
        if self.data is not None:
            return self.data
        if self.is_url:
            return _fetch(self.text)
        if self.text == STDIN:
            return _stdin()
        return _file(expanded(Path(self.text)))


def _file(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{path} is a folder: name a picture in it")
        if is_special(path):
            raise UsageError(f"{path} is no file but a pipe or a device: pipe the picture in, with - in its place")
        if status.st_size > MAX_FILE_BYTES:
            raise PictureError(f"{path} has {in_mb(status.st_size)}, over the limit of {in_mb(MAX_FILE_BYTES)}")
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no file {str(path)!r}, and no picture of that name in the collection") from None
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("no picture on standard input: pipe one in, as in `query similar - < photo.jpg`")
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PictureError(f"over {in_mb(MAX_FILE_BYTES)} on standard input: no picture needs as much")
    return data


def _fetch(url: str) -> bytes:
    import httpx

    timeout = httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    deadline = time.monotonic() + DEADLINE_SECONDS
    parts: list[bytes] = []
    size = 0
    try:
        with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as answer:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > MAX_DOWNLOAD_BYTES:
                    raise PictureError(
                        f"{url} sends more than {in_mb(MAX_DOWNLOAD_BYTES)}: fetch it yourself and ask with the file"
                    )
                if time.monotonic() > deadline:
                    raise PictureError(
                        f"{url} takes more than {DEADLINE_SECONDS:.0f} s: fetch it yourself and ask with the file"
                    )
    except httpx.HTTPStatusError as error:
        raise PictureError(f"{url} answers {error.response.status_code}: check the address") from error
    except httpx.TimeoutException as error:
        raise PictureError(f"{url} does not answer in time: try again, or ask with a file") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PictureError(f"cannot fetch {url}: {error}") from error
    return b"".join(parts)
