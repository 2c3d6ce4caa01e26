"""One photograph in every kind of file there is, with the 8-bit picture that it should be seen as."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tests.model.photos import make_photo, saved


@dataclass(frozen=True)
class Kind:
    """``tolerance``: mean difference from ``seen``, of 255, that the format's own losses allow."""

    name: str
    data: bytes
    seen: NDArray[np.uint8]
    tolerance: float = 1.0


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth: int, colour: int, rows: NDArray[np.generic], extra: bytes = b"") -> bytes:
    """A PNG file by hand, for what Pillow does not write; ``rows`` as they lie in the file."""
    width, height = rows.shape[1] * (1 if depth >= 8 else 8 // depth), rows.shape[0]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def tiff(samples: NDArray[np.generic], **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def photograph() -> Image.Image:
    """Fills the range from black to white, so that stretching it changes nothing."""
    photo = make_photo()
    photo.paste((255, 255, 255), (0, 0, 40, 40))
    photo.paste((0, 0, 0), (280, 0, 320, 40))
    return photo


def depths() -> Iterator[Kind]:
    """Samples of every size and sort."""
    colour = np.asarray(photograph())
    grey = np.asarray(photograph().convert("L"))
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    share, colour_share = grey / 255, colour / 255
    for bits in (10, 12, 14, 16):
        top = (1 << bits) - 1
        deep, deep_colour = (np.rint(values * top).astype(np.uint16) for values in (share, colour_share))
        yield Kind(f"TIFF grey {bits} of 16 bits", tiff(deep), as_rgb)
        yield Kind(f"TIFF RGB {bits} of 16 bits", tiff(deep_colour, photometric="rgb"), colour)
        yield Kind(f"PNG grey {bits} of 16 bits", png(16, 0, deep.astype(">u2")), as_rgb)
        yield Kind(f"PNG RGB {bits} of 16 bits", png(16, 2, deep_colour.astype(">u2")), colour)
        yield Kind(f"PGM {bits} bits", b"P5 320 240 %d\n" % top + deep.astype(">u2").tobytes(), as_rgb)
        yield Kind(f"PPM {bits} bits", b"P6 320 240 %d\n" % top + deep_colour.astype(">u2").tobytes(), colour)
    wide = np.rint(colour_share * 65535).astype(np.uint16)
    planes = wide.transpose(2, 0, 1)
    yield Kind("TIFF RGB 16 bits, planar", tiff(planes, photometric="rgb", planarconfig="separate"), colour)
    yield Kind("TIFF RGB 16 bits, big-endian", tiff(wide.astype(">u2"), photometric="rgb", byteorder=">"), colour)
    yield Kind("TIFF grey 16 bits, white is 0", tiff(65535 - wide[..., 1], photometric="miniswhite"),
               np.repeat(colour[..., 1:2], 3, axis=2))  # fmt: skip
    yield Kind("BigTIFF", tiff(colour, bigtiff=True, photometric="rgb"), colour)
    yield Kind("BigTIFF, big-endian", tiff(colour, bigtiff=True, photometric="rgb", byteorder=">"), colour)
    for dtype, low, high in (
        ("u4", 0, 2**32 - 1), ("i4", 0, 2**31 - 1), ("i2", 0, 32767), ("i1", -128, 127),
        ("u8", 0, 2**63), ("i8", 0, 2**62),
    ):  # fmt: skip
        yield Kind(f"TIFF grey {dtype}", tiff((low + share * (float(high) - low)).astype(dtype)), as_rgb, 1.5)
    for dtype in ("f2", "f4", "f8"):
        yield Kind(f"TIFF grey {dtype}", tiff(share.astype(dtype)), as_rgb)
    yield Kind("TIFF RGB float", tiff(colour_share.astype(np.float32), photometric="rgb"), colour)
    for name, value in (("no data", -9999.0), ("a hot pixel", 1e6), ("NaN", np.nan), ("infinity", np.inf)):
        values = share.astype(np.float32) * 300
        values[100, 100] = value
        yield Kind(f"TIFF float with {name}", tiff(values), as_rgb, 1.5)
    values = share.astype(np.float32) * 300
    values[200:] = -9999
    seen = as_rgb.copy()
    seen[200:] = 0
    yield Kind("TIFF float, a sixth without data", tiff(values), seen, 1.5)


def everyday() -> Iterator[Kind]:
    """The formats that photos are kept in."""
    photo, colour = photograph(), np.asarray(photograph())
    for name, options in {
        "JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"quality": 95}, "BMP": {}, "TIFF": {}, "PPM": {},
        "JPEG2000": {},
    }.items():  # fmt: skip
        yield Kind(name, saved(photo, name, **options), colour, 3)
    yield Kind("JPEG, progressive", saved(photo, "JPEG", quality=95, progressive=True), colour, 3)
    yield Kind("WebP, lossless", saved(photo, "WEBP", lossless=True), colour)
    yield Kind("GIF", saved(photo.quantize(256), "GIF"), np.asarray(photo.quantize(256).convert("RGB")))
    for packed in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Kind(f"TIFF {packed}", saved(photo, "TIFF", compression=packed), colour)
    for name in ("HEIF", "AVIF"):
        if name in Image.SAVE:
            yield Kind(name, saved(photo, name, quality=95), colour, 4)
