"""How a picture is known without an ending: by the first bytes of its file, which no other kind of file has."""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 32

BEGINNINGS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",  # TIFF, and most raw files, which have an ending
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000
    b"\xff\x4f\xff\x51",
)

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})
"""After ``ftyp``: HEIC and AVIF; videos have others."""

BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Bytes of the second header: "BM" alone begins many a text."""

PNM = re.compile(rb"P[1-6]\s+(#|\d+\s+\d)")


def begins_like_picture(path: str | Path) -> bool:
    """Whether a file's first bytes are those of a picture; not where it cannot be read. It must be a regular file."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _is_picture(file.read(HEAD_BYTES) or b"")
    except OSError:
        return False


def _is_picture(head: bytes) -> bool:
    if head.startswith(BEGINNINGS) or PNM.match(head):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in BRANDS
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS
