"""Raw files of a camera that there is not: a DNG with samples of a sensor and a preview, as the format has them."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED = 1, 2, 3, 4, 5, 10
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SIGNED: 8}
CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SIGNED: "ii"}

SENSOR = (800, 600)
IDENTITY = ((1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1))

Tags = Mapping[int, tuple[int, Sequence[object]]]


def dng(preview: Image.Image | None, *, orientation: int = 1, as_jpeg: bool = True) -> bytes:
    """The left half of the sensor is bright, the right half dark; ``preview``: None for a file without one."""
    samples = np.full((SENSOR[1], SENSOR[0]), 300, "<u2")
    samples[:, : SENSOR[0] // 2] = 12_000
    file = io.BytesIO(b"II*\0\0\0\0\0")
    file.seek(8)
    sensor = _sensor(file, samples.tobytes())
    about: dict[int, tuple[int, Sequence[object]]] = {
        271: (ASCII, [b"Testwerk\0"]),
        272: (ASCII, [b"T1\0"]),
        274: (SHORT, [orientation]),
        306: (ASCII, [b"2021:05:04 10:00:00\0"]),
        50706: (BYTE, [1, 4, 0, 0]),
        50707: (BYTE, [1, 1, 0, 0]),
        50708: (ASCII, [b"Testwerk T1\0"]),
        50721: (SIGNED, IDENTITY),
        50728: (RATIONAL, [(1, 1)] * 3),
    }
    if preview is None:
        first = _folder(file, {**sensor, **about})
    else:
        inner = _folder(file, sensor)
        first = _folder(file, {**_preview(file, preview, as_jpeg=as_jpeg), **about, 330: (LONG, [inner])})
    data = bytearray(file.getvalue())
    data[4:8] = struct.pack("<I", first)
    return bytes(data)


def _sensor(file: io.BytesIO, data: bytes) -> Tags:
    return {
        **_image(file, SENSOR, data, compression=1, kind=32803, bits=[16]),
        33421: (SHORT, [2, 2]),
        33422: (BYTE, [0, 1, 1, 2]),
        50714: (SHORT, [0]),
        50717: (SHORT, [16383]),
    }


def _preview(file: io.BytesIO, preview: Image.Image, *, as_jpeg: bool) -> Tags:
    if not as_jpeg:
        return {**_image(file, preview.size, preview.tobytes(), compression=1, kind=2, bits=[8] * 3), 254: (LONG, [1])}
    encoded = io.BytesIO()
    preview.save(encoded, "JPEG", quality=90)
    return {**_image(file, preview.size, encoded.getvalue(), compression=7, kind=6, bits=[8] * 3), 254: (LONG, [1])}


def _image(
    file: io.BytesIO, size: tuple[int, int], data: bytes, *, compression: int, kind: int, bits: Sequence[int]
) -> Tags:
    offset = _append(file, data)
    return {
        254: (LONG, [0]),
        256: (LONG, [size[0]]),
        257: (LONG, [size[1]]),
        258: (SHORT, bits),
        259: (SHORT, [compression]),
        262: (SHORT, [kind]),
        273: (LONG, [offset]),
        277: (SHORT, [len(bits)]),
        278: (LONG, [size[1]]),
        279: (LONG, [len(data)]),
    }


def _folder(file: io.BytesIO, tags: Tags) -> int:
    """An image file directory (TIFF 6.0, section 2), its tags rising; its offset."""
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = b"".join(_packed(kind, value) for value in values)
        field = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", _append(file, packed))
        entries += struct.pack("<HHI", tag, kind, len(packed) // SIZES[kind]) + field
    return _append(file, struct.pack("<H", len(tags)) + entries + bytes(4))


def _packed(kind: int, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return struct.pack("<" + CODES[kind], *(value if isinstance(value, tuple) else (value,)))


def _append(file: io.BytesIO, data: bytes) -> int:
    offset = file.seek(0, io.SEEK_END)
    file.write(data + bytes(len(data) % 2))
    return offset
