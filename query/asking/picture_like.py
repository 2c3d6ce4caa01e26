"""A picture as a program has it, made one that can be asked about.

It must not know what is asked about it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from model.errors import PictureError, UsageError
from query.asking.question import QueryPicture
from query.asking.source import Source

if TYPE_CHECKING:
    from PIL import Image

PictureLike: TypeAlias = "str | os.PathLike[str] | bytes | UUID | Image.Image"
"""A path, relative to this folder or to the dataset; a URL; the id of a picture in the collection, as a string or a
UUID; the content of a picture file; or a Pillow image."""

IN_MEMORY = "a picture in memory"
EXACT_MODES = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})
"""Of Pillow's, those that a PNG file keeps as they are."""


def query_picture(picture: object) -> QueryPicture:
    """The picture asked about. ``picture``: a `PictureLike`.

    Raises:
        UsageError: it is none of these, or an empty path.
        PictureError: an image that cannot be kept as a file.
    """
    if isinstance(picture, UUID):
        return picture
    if isinstance(picture, str | os.PathLike):
        return _named(os.fspath(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        return Source(IN_MEMORY, bytes(picture))
    from PIL import Image

    if isinstance(picture, Image.Image):
        return Source(IN_MEMORY, _file_of(picture))
    kind = type(picture).__name__
    raise UsageError(f"a picture is a path, a URL, an id, the bytes of a file or a Pillow image, and not a {kind}")


def _named(text: str | bytes) -> QueryPicture:
    name = os.fsdecode(text)
    try:
        return UUID(name)
    except ValueError:
        pass
    source = Source(name)
    return source if source.is_url else Source(str(Path(name).expanduser().absolute()))


def _file_of(image: Image.Image) -> bytes:
    """A PNG file of it, so that it is decoded, turned upright and framed as every picture is."""
    file = io.BytesIO()
    try:
        exact = image if image.mode in EXACT_MODES else image.convert("RGB")
        exact.save(file, "PNG", exif=image.getexif(), compress_level=1)
    except (OSError, ValueError) as error:
        raise PictureError(f"the image cannot be read: {error}") from error
    return file.getvalue()
