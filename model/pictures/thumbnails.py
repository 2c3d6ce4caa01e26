"""A small copy of a picture, to be looked at: JPEG, upright, in sRGB, without what the original says of itself."""

from __future__ import annotations

import io
import math

from PIL import Image

from model.pictures.colours import in_srgb
from model.pictures.decode import DEFAULT_MAX_MEGAPIXELS, open_picture

LONGEST = 256
"""Pixels of a thumbnail's longer side, where nothing else is asked for."""

QUALITY = 80
MEDIA_TYPE = "image/jpeg"


def thumbnail(
    picture: bytes | Image.Image,
    *,
    name: str = "picture",
    longest: int = LONGEST,
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    deadline: float = math.inf,
) -> bytes:
    """A JPEG file of at most ``longest`` pixels a side, never larger than the picture.

    It is encoded anew and carries no metadata: an original's may tell where it was taken. Colours of a
    wider space, as phones write, are brought to sRGB, since without its profile the picture would fade.

    Args:
        picture: a whole file, or what `model.pictures.decode.open_picture` made of one, which stays as it is.
        name: the file's, as of `open_picture`.
        max_megapixels: refuse larger files; 0 lifts the limit.
        deadline: as `open_picture`.

    Raises:
        PictureTooLarge, PictureTooSlow, PictureError: as `open_picture`.
    """
    if isinstance(picture, bytes):
        picture = open_picture(picture, name=name, max_megapixels=max_megapixels, shown_at=longest, deadline=deadline)
    small = in_srgb(_shrunk(picture, longest))
    small.info = {}  # Pillow writes a comment found there
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def _shrunk(image: Image.Image, longest: int) -> Image.Image:
    share = longest / max(image.size)
    if share >= 1:
        return image.copy()
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
