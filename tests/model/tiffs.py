"""TIFF files by hand (TIFF 6.0, Adobe 1992): any number of bits, either byte order, strips or tiles, planes, pages."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, LAB = 0, 1, 2, 3, 5, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3

PLACES = (273, 279, 324, 325)
"""Tags of 32-bit values: where strips and tiles lie, and how long they are."""

Samples = NDArray[np.generic]


@dataclass(frozen=True)
class Form:
    """How samples lie in a file. ``bits``: 0: those of the array's type. ``extra``: of what the last sample is, 1
    premultiplied opacity, 2 opacity, -1 no such sample. ``tags``: others, of 16 bits a value."""

    bits: int = 0
    photometric: int = BLACK_IS_ZERO
    compression: int = NONE
    kind: int = UNSIGNED
    planar: bool = False
    tile: int = 0
    strip: int = 0
    order: str = "<"
    big: bool = False
    differences: bool = False
    extra: int = -1
    tags: tuple[tuple[int, tuple[int, ...]], ...] = ()
    profile: bytes = b""


def tiff_file(*pages: Samples, form: Form | None = None) -> bytes:
    """Of each page (height, width) or (height, width, samples)."""
    form = form or Form()
    wide = "Q" if form.big else "I"
    data = bytearray({"<": b"II", ">": b"MM"}[form.order] + struct.pack(form.order + "H", 43 if form.big else 42))
    if form.big:
        data += struct.pack(form.order + "HH", 8, 0)
    link = len(data)
    data += bytes(8 if form.big else 4)
    for page in pages:
        at = _page(data, page if page.ndim == 3 else page[..., None], form)
        struct.pack_into(form.order + wide, data, link, at)
        link = len(data) - (8 if form.big else 4)
    return bytes(data)


def _page(data: bytearray, samples: Samples, form: Form) -> int:
    """Pieces and directory, appended; where the directory begins."""
    height, width, count = samples.shape
    bits = form.bits or samples.dtype.itemsize * 8
    planes = [samples[..., [k]] for k in range(count)] if form.planar else [samples]
    offsets, sizes = [], []
    for plane in planes:
        for piece in _pieces(plane, form):
            packed = COMPRESS[form.compression](_rows(piece, bits, form))
            offsets.append(len(data))
            sizes.append(len(packed))
            data += packed + bytes(-len(packed) % 8)
    tags = {
        256: (width,), 257: (height,), 258: (bits,) * count, 259: (form.compression,), 262: (form.photometric,),
        277: (count,), 284: (2 if form.planar else 1,), 339: (form.kind,) * count, **dict(form.tags),
    }  # fmt: skip
    if form.tile:
        tags |= {322: (form.tile,), 323: (form.tile,), 324: tuple(offsets), 325: tuple(sizes)}
    else:
        tags |= {273: tuple(offsets), 278: (form.strip or height,), 279: tuple(sizes)}
    if form.extra >= 0:
        tags[338] = (form.extra,)
    if form.differences:
        tags[317] = (2,)
    return _directory(data, tags, form)


def _directory(data: bytearray, tags: dict[int, tuple[int, ...]], form: Form) -> int:
    wide, size = ("Q", 8) if form.big else ("I", 4)
    entries = {
        tag: (3, struct.pack(f"{form.order}{len(v)}H", *v), len(v)) for tag, v in tags.items() if tag not in PLACES
    }
    for tag in PLACES:
        if tag in tags:
            entries[tag] = (4, struct.pack(f"{form.order}{len(tags[tag])}I", *tags[tag]), len(tags[tag]))
    if form.profile:
        entries[34675] = (7, form.profile, len(form.profile))
    table = struct.pack(form.order + ("Q" if form.big else "H"), len(entries))
    for tag, (kind, content, count) in sorted(entries.items()):
        if len(content) > size:
            place = struct.pack(form.order + wide, len(data))
            data += content + bytes(-len(content) % 8)
        else:
            place = content.ljust(size, b"\0")
        table += struct.pack(form.order + "HH" + wide, tag, kind, count) + place
    at = len(data)
    data += table + bytes(size)
    return at


def _pieces(plane: Samples, form: Form) -> Iterator[Samples]:
    height, width = plane.shape[:2]
    if not form.tile:
        step = form.strip or height
        yield from (plane[top : top + step] for top in range(0, height, step))
        return
    side = form.tile
    padded = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    for top in range(0, height, side):
        yield from (padded[top : top + side, left : left + side] for left in range(0, width, side))


def _rows(piece: Samples, bits: int, form: Form) -> bytes:
    if form.differences:
        piece = np.concatenate([piece[:, :1], np.diff(piece, axis=1)], axis=1)
    if bits in (8, 16, 32, 64):
        return piece.astype(piece.dtype.newbyteorder(form.order)).tobytes()
    places = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    each = (piece.astype(np.uint64)[..., None] >> places & np.uint64(1)).astype(np.uint8)
    return np.packbits(each.reshape(len(piece), -1), axis=1).tobytes()


def _lzw(data: bytes) -> bytes:
    """Codes of 9 bits alone: the table is cleared before it needs more."""
    codes: list[int] = []
    for at in range(0, len(data), 250):
        codes += [256, *data[at : at + 250]]
    each = np.array([*codes, 257], np.uint16)[:, None] >> np.arange(8, -1, -1, dtype=np.uint16) & 1
    return np.packbits(each.astype(np.uint8).reshape(-1)).tobytes()


def _packbits(data: bytes) -> bytes:
    pieces = (data[at : at + 128] for at in range(0, len(data), 128))
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


COMPRESS: dict[int, Callable[[bytes], bytes]] = {NONE: bytes, LZW: _lzw, DEFLATE: zlib.compress, PACKBITS: _packbits}
