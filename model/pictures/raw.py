"""The preview in a camera's raw file, through LibRaw (rawpy, extra ``raw``): what the camera itself made of it.

It must not know other kinds of files.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from model.errors import PictureError, PictureNoMemory

LEAST_SIDE = 400
"""Pixels of a preview's shorter side: of one that is smaller, an encoder would see a blur; the samples are developed
instead, which takes 20 times as long."""

ORIENTATIONS = {3: 3, 5: 8, 6: 6}
"""LibRaw's turn of the sensor, as EXIF's orientation."""

ORIENTATION = 0x0112


def preview_of(data: bytes) -> bytes:
    """An image file: the largest preview, or the picture developed where there is none of `LEAST_SIDE`.

    Raises:
        PictureError: no raw file that LibRaw knows, or a broken one.
    """
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _preview(raw) or _developed(raw)
    except MemoryError:
        raise PictureNoMemory("not enough memory to decode it") from None
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else error
        said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise PictureError(f"broken picture, or a raw file of a camera that LibRaw does not know: {said}") from error


def _preview(raw: Any) -> bytes | None:
    import rawpy

    try:
        found = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    try:
        if found.format == rawpy.ThumbFormat.BITMAP:
            image = Image.fromarray(found.data)
        else:
            image = Image.open(io.BytesIO(found.data), formats=["JPEG"])
        if min(image.size) < LEAST_SIDE:
            return None
        turn = _turn(raw, image)
        is_as_wanted = image.format == "JPEG" and image.getexif().get(ORIENTATION, 1) == turn
        return bytes(found.data) if is_as_wanted else _written(image, turn)  # decoding 24 MP twice takes half a second
    except OSError:  # no JPEG after all, or a broken one
        return None


def _turn(raw: Any, preview: Image.Image) -> int:
    """As EXIF's orientation. Some cameras store previews upright; what a JPEG says of its turn comes from LibRaw where
    the camera says nothing, and is not better."""
    turn = ORIENTATIONS.get(raw.sizes.flip, 1)
    is_wide, sensor_is_wide = preview.width > preview.height, raw.sizes.width > raw.sizes.height
    return 1 if turn in (6, 8) and is_wide != sensor_is_wide else turn


def _developed(raw: Any) -> bytes:
    """As a camera would: its own white balance, upright, at half the sensor's size."""
    return _written(Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True)))


def _written(image: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    image.convert("RGB").save(file, "TIFF", exif=exif, icc_profile=image.info.get("icc_profile"))
    return file.getvalue()
