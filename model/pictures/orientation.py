"""How a stored picture is turned to stand upright; it knows containers' rules, and nothing of pixels."""

from __future__ import annotations

from PIL import ExifTags, Image

# Not ImageOps.exif_transpose: it writes the EXIF anew besides, and fails where another tag is broken.
TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright (CIPA DC-008, table 7)."""
QUARTER_TURNS = {TURNS[orientation] for orientation in (5, 6, 7, 8)}

XMP_KEYS = ("xmp", "XML:com.adobe.xmp")


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What makes a picture, whose pixels are loaded, upright by its container's rule; None where it already is.

    JPEG, PNG, WebP and TIFF: the EXIF tag. HEIC and AVIF: the boxes ``irot`` and ``imir``, which their readers turn
    into that tag or apply. Never ``tiff:Orientation`` in XMP: browsers and viewers pass over it, since editors leave
    it behind when they turn the pixels; Pillow's `getexif` would fall back on it.
    """
    hidden = {key: image.info.pop(key) for key in XMP_KEYS if key in image.info}
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # noqa: BLE001 - broken EXIF spoils the orientation, not the picture
        return None
    finally:
        image.info.update(hidden)
