"""BMP files by hand, for what Pillow does not write: few bits, bit fields, run lengths, top row first, OS/2's head."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

PLAIN, RLE8, RLE4, FIELDS, ALPHA_FIELDS = 0, 1, 2, 3, 6


def bmp_file(
    rows: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    colours: NDArray[np.uint8] | None = None,
    masks: tuple[int, ...] = (),
    compression: int = PLAIN,
    top_first: bool = False,
) -> bytes:
    """``colours``: (colours, 3), red first. ``masks``: of red, green, blue and, with `ALPHA_FIELDS`, opacity."""
    width, height = size
    table = b"" if colours is None else np.pad(colours[:, ::-1], ((0, 0), (0, 1))).tobytes()
    fields = struct.pack(f"<{len(masks)}I", *masks)
    head = struct.pack("<IiiHHIIiiII", 40, width, -height if top_first else height, 1, bits, compression, len(rows),
                       2835, 2835, 0 if colours is None else len(colours), 0)  # fmt: skip
    begin = 14 + len(head) + len(fields) + len(table)
    return struct.pack("<2sIHHI", b"BM", begin + len(rows), 0, 0, begin) + head + fields + table + rows


def os2_file(colours: NDArray[np.uint8]) -> bytes:
    """(height, width, 3), with OS/2's head of 12 bytes."""
    height, width = colours.shape[:2]
    rows = as_rows(colours[..., ::-1])
    return struct.pack("<2sIHHIIHHHH", b"BM", 26 + len(rows), 0, 0, 26, 12, width, height, 1, 24) + rows


def as_rows(values: NDArray[np.generic], bits: int = 0, *, top_first: bool = False) -> bytes:
    """(height, ...), padded to four bytes a row. ``bits``: of a value, where several share a byte."""
    flat = values if top_first else values[::-1]
    if bits in (1, 2, 4):
        places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
        flat = np.packbits((flat[..., None] >> places & 1).reshape(len(flat), -1), axis=1)
    rows = np.ascontiguousarray(flat).reshape(len(flat), -1).view(np.uint8)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()


def run_lengths(indices: NDArray[np.uint8], bits: int) -> bytes:
    """(height, width): runs of one value, and what differs from value to value as it is, as encoders mix them."""
    data = bytearray()
    for row in indices[::-1]:
        at = 0
        while at < len(row):
            end = at + 1
            while end < len(row) and end - at < 255 and row[end] == row[at]:
                end += 1
            if end - at >= 3 or len(row) - at < 3:
                data += bytes((end - at, row[at] if bits == 8 else row[at] * 17))
            else:
                end = min(len(row), at + 4)
                data += bytes((0, end - at)) + _absolute(row[at:end], bits) if end - at >= 3 else b""
            at = end
        data += b"\0\0"
    return bytes(data + b"\0\1")


def _absolute(values: NDArray[np.uint8], bits: int) -> bytes:
    if bits == 4:
        padded = np.pad(values, (0, len(values) % 2))
        values = padded[::2] << 4 | padded[1::2]
    return values.tobytes() + bytes(len(values) % 2)
