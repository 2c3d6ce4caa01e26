"""The files of the pictures served: the original, by its id alone, and a thumbnail of it.

It must not know questions.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ingest.records import Picture
from model.errors import PictureGone, PictureOutside
from model.system.paths import real_path

MEDIA_TYPES = {
    ".png": "image/png",
    ".apng": "image/apng",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".dib": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".hif": "image/heif",
    ".jp2": "image/jp2",
    ".j2k": "image/jp2",
    ".jpx": "image/jpx",
    ".ppm": "image/x-portable-pixmap",
    ".pgm": "image/x-portable-graymap",
    ".pbm": "image/x-portable-bitmap",
    ".pnm": "image/x-portable-anymap",
}
"""By ending, and always a picture: an HTML file under such a name is not shown as HTML."""

CACHE_BYTES = 64 << 20
DECODERS = min(4, os.cpu_count() or 1)
"""Pictures decoded at once: each may take 100 MB while it is."""

decoding = threading.BoundedSemaphore(DECODERS)


def media_type(picture: Picture) -> str:
    return MEDIA_TYPES.get(Path(picture.path).suffix.lower(), "image/jpeg")


def open_original(root: str, picture: Picture) -> IO[bytes]:
    """The file of a picture of the collection, opened.

    Raises:
        PictureOutside: it lies outside the dataset, or leads there by a link.
        PictureGone: it is not there, or cannot be read.
    """
    try:
        inside = real_path(Path(root), strict=True)
        path = real_path(inside / picture.path, strict=True)
        if not path.is_relative_to(inside):
            raise PictureOutside("the file is outside the dataset, or is a link that leads out of it: it is not served")
        # Resolved, so no link is left in it; should one appear just now, it is not followed.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise PictureGone(f"the file cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PictureOutside("not a regular file: it is not served")
    return os.fdopen(handle, "rb")


class Thumbnails:
    """Thumbnails made before, as many as fit into 64 MB, the longest unused going first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int], make: Callable[[], bytes]) -> bytes:
        """The thumbnail under ``key`` (what it is of, and its size), made where it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with decoding:
            data = make()
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return data
