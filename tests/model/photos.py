"""A made-up photograph, and the ways it may lie in a file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

ORIENTATION = 0x0112

STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation to how an upright photo lies in a file that carries that tag (CIPA DC-008, table 7)."""


def make_photo(width: int = 320, height: int = 240) -> Image.Image:
    """A picture without symmetry, which an encoder tells from its turned self."""
    photo = Image.new("RGB", (width, height), (70, 130, 200))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((0, height * 0.7, width, height), fill=(60, 140, 50))
    draw.ellipse((width * 0.1, height * 0.1, width * 0.3, height * 0.4), fill=(250, 220, 60))
    draw.polygon([(width * 0.5, height * 0.7), (width * 0.7, height * 0.3), (width * 0.9, height * 0.7)], "brown")
    draw.line((0, 0, width * 0.4, height), fill="black", width=5)
    return photo


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image).astype(np.int16)


def turned(orientation: int, file_format: str, **options: object) -> bytes:
    photo = make_photo()
    how = STORED_AS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(photo if how is None else photo.transpose(how), file_format, exif=exif.tobytes(), **options)
