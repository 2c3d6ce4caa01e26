"""A picture's signature: its greys on a square of 32 x 32 cells, by which pictures are compared without their files.

It is made of the pixels that are decoded for the encoder, and kept with the picture. It must not know how signatures
are compared.
"""

from __future__ import annotations

from PIL import Image

from model.pictures.colours import in_srgb

SIGNATURE_SIDE = 32
"""Cells a side, whatever the picture's shape: copies of one picture then lie on each other but for what is cut off."""

SIGNATURE_BYTES = SIGNATURE_SIDE * SIGNATURE_SIDE


def signature_of(image: Image.Image) -> bytes:
    """The mean grey of each cell, row by row, `SIGNATURE_BYTES` in all.

    Args:
        image: upright, as decoded: its colours are brought to sRGB when it is small.
    """
    small = image.resize((SIGNATURE_SIDE, SIGNATURE_SIDE), Image.Resampling.BOX)
    return in_srgb(small).convert("L").tobytes()
