"""TIFF: what a file says of its samples, where they lie in it, and reading those kinds that Pillow cannot.

TIFF 6.0 (Adobe 1992) and BigTIFF. One directory, which is one page, is read at a time; it must not
know what becomes of the samples.
"""

from __future__ import annotations

import io
import logging
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import PictureError

HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
"""The first four bytes: byte order, and whether offsets have 8 bytes (BigTIFF)."""

BIG_ENDIAN_BIGTIFF = b"MM\0+"

TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""TIFF's whole-number types, as `struct` calls them; no others are needed here."""

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES = 256, 257, 258, 259, 262, 273, 277
BYTE_COUNTS, PLANAR, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 279, 284, 324, 325, 338, 339

UNSIGNED, SIGNED, FLOAT, COMPLEX_INT, COMPLEX = 1, 2, 3, 5, 6
KINDS = {SIGNED: " signed", FLOAT: " floating-point", COMPLEX_INT: " complex", COMPLEX: " complex"}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
PREMULTIPLIED, OPACITY = 1, 2
"""What a sample beyond those of the colour is."""

COLOURS = {PALETTE: " of a palette", YCBCR: " of YCbCr"}
SEPARATE = 2
NONE = 1
COMPRESSIONS = {
    2: "CCITT RLE", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "Deflate",
    32773: "PackBits", 32946: "Deflate", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard",
    50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip

MOST_VALUES = 1 << 20
"""Of one tag: a gigapixel picture has some thousand tiles."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a directory says of its page, the first or a later one. ``extra``: what the first sample beyond those of the
    colour is. ``extents``: offset and length, in bytes, of its strips or tiles."""

    width: int
    height: int
    bits: int
    samples: int
    kind: int
    compression: int
    photometric: int
    planar: int
    extra: int
    is_tiled: bool
    page: int
    byte_order: str
    is_big: bool
    extents: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        """As "a TIFF of 64-bit floating-point samples, compressed by LZW"."""
        packed = COMPRESSIONS.get(self.compression, f"method {self.compression}")
        how = "" if self.compression == NONE else f", compressed by {packed}"
        return f"a TIFF of {self.bits}-bit{KINDS.get(self.kind, '')} samples{COLOURS.get(self.photometric, '')}{how}"

    @property
    def is_misread(self) -> bool:
        """Whether Pillow takes its samples for others: noise for 16-bit planes, unsigned for signed bytes."""
        return (
            (self.planar == SEPARATE and self.samples > 1 and self.bits > 8)
            or (self.kind == SIGNED and self.bits == 8)
            or (self.photometric == LAB and self.bits != 8)
        )


def is_tiff(data: bytes) -> bool:
    return data[:4] in HEADERS


def layout(data: bytes, page: int = 0) -> Layout | None:
    """What a page's directory says; None where it is broken or lies beyond the end of the file."""
    if not is_tiff(data):
        return None
    try:
        tags = _directory(data, page)
    except (struct.error, MemoryError, OverflowError):
        return None

    def first(tag: int, default: int) -> int:
        return tags[tag][0] if tags.get(tag) else default

    offsets = tags.get(TILE_OFFSETS) or tags.get(OFFSETS) or ()
    counts = tags.get(TILE_COUNTS) or tags.get(BYTE_COUNTS) or ()
    return Layout(
        width=first(WIDTH, 0),
        height=first(HEIGHT, 0),
        bits=max(tags.get(BITS) or (1,)),
        samples=first(SAMPLES, 1),
        kind=first(FORMAT, UNSIGNED),
        compression=first(COMPRESSION, NONE),
        photometric=first(PHOTOMETRIC, 1),
        planar=first(PLANAR, 1),
        extra=first(EXTRA, 0),
        is_tiled=bool(tags.get(TILE_OFFSETS)),
        page=page,
        byte_order=HEADERS[data[:4]][0],
        is_big=HEADERS[data[:4]][1],
        extents=tuple(zip(offsets, counts, strict=False)),
    )


def _directory(data: bytes, page: int) -> dict[int, tuple[int, ...]]:
    """Tags to their values, of the tags that hold whole numbers. Raises struct.error where bytes are missing."""
    order, big = HEADERS[data[:4]]
    link = 8 if big else 4
    for _ in range(page + 1):
        (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, link)
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
        at += 8 if big else 2
        link = at + entries * (20 if big else 12)
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(min(entries, 4096)):
        tag, type_ = struct.unpack_from(order + "HH", data, at)
        (count,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + 4)
        inline = at + (12 if big else 8)
        at += 20 if big else 12
        if type_ not in TYPES or not 0 < count <= MOST_VALUES:
            continue
        form = f"{order}{count}{TYPES[type_]}"
        where = inline
        if struct.calcsize(form) > (8 if big else 4):
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, inline)
        tags[tag] = struct.unpack_from(form, data, where)
    return tags


def read_samples(data: bytes, kind: Layout) -> NDArray[np.generic]:
    """The samples as they are, through tifffile: (height, width) or (height, width, samples).

    Raises:
        PictureError: they cannot be read here; it says what they are.
    """
    if kind.bits not in (8, 16, 32, 64) and _can_be_unpacked(kind):
        return _unpacked(data, kind)
    import tifffile

    logging.getLogger(tifffile.__name__).setLevel(logging.CRITICAL)  # what is wrong with a file is told once, by us
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[kind.page]
            samples = np.asarray(page.asarray(maxworkers=1))
            if str(page.axes).startswith("S"):
                samples = np.moveaxis(samples, 0, -1)
    except Exception as error:  # it meets hostile bytes with every exception there is
        raise PictureError(f"{kind}, which cannot be read here") from error
    if samples.dtype.kind not in "uif" or samples.ndim not in (2, 3) or samples.shape[:2] != (kind.height, kind.width):
        raise PictureError(f"{kind}, which cannot be read here")
    return samples


def _can_be_unpacked(kind: Layout) -> bool:
    is_plain = kind.compression == NONE and kind.kind == UNSIGNED and not kind.is_tiled
    is_one_piece = kind.planar != SEPARATE or kind.samples == 1
    return is_plain and is_one_piece and 0 < kind.bits < 32 and bool(kind.extents)


def _unpacked(data: bytes, kind: Layout) -> NDArray[np.generic]:
    """Samples of 10, 12 or any other number of bits, one after the other; each row begins with a byte of its own."""
    each_row = kind.width * kind.samples
    stride = (each_row * kind.bits + 7) // 8
    content = b"".join(data[begin : begin + size] for begin, size in kind.extents)
    if len(content) < stride * kind.height:
        raise PictureError(f"{kind}, which cannot be read here")
    samples = np.empty((kind.height, each_row), np.uint32)
    weights = np.uint32(1) << np.arange(kind.bits - 1, -1, -1, dtype=np.uint32)
    for number, row in enumerate(np.frombuffer(content, np.uint8)[: stride * kind.height].reshape(-1, stride)):
        samples[number] = np.unpackbits(row, count=each_row * kind.bits).reshape(-1, kind.bits) @ weights
    full = (1 << kind.bits) - 1  # 8 and 16 bits are left as they are by whoever shows them
    if kind.bits < 8:
        made: NDArray[np.generic] = np.rint(samples * (255 / full)).astype(np.uint8)
    else:
        made = np.rint(samples * (65535 / full)).astype(np.uint16)
    return made.reshape((kind.height, kind.width, kind.samples) if kind.samples > 1 else (kind.height, kind.width))
