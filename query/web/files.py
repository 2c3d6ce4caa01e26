"""The files of the pictures served: the originals, by their ids alone.

It must not know questions.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import TemporaryFile
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


def in_file(data: bytes) -> IO[bytes]:
    """Bytes as a file at its beginning, which has no name."""
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.flush()
    file.seek(0)
    return file
