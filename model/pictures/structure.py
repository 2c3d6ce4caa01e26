"""Whether all bytes of a file are there: boxes, chunks and rows against its end, and runs of zeros in their place.

Decoders of these formats fill what is missing, with green, black or what came before, and report nothing. A download
that was not finished has the file's full length where space was reserved for it, with zeros at its end.

ISO 14496-12 and 23008-12 (HEIC, AVIF), RFC 9649 (WebP), ITU T.81 (JPEG), the W3C's PNG. It looks at bytes only.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from model.pictures.tiff import NONE, Layout, is_tiff, layout

ZEROS = 16
"""So many zero bytes do not end compressed samples: entropy coders end with 2 at most (tried on pictures of one
colour; lossy WebP aside), and HEVC and AV1 forbid three in a row."""

RAW_ZEROS = 64
PAGE_BYTES = 4096
"""Disks and file systems reserve space in multiples of this."""

PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT"})
"""PNG's chunks without which there is no picture."""

START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"

CODED_ITEMS = frozenset({b"hvc1", b"hev1", b"av01", b"avc1", b"jpeg", b"vvc1"})
LEAST_ZEROS = {b"hvc1": 1, b"hev1": 1, b"avc1": 1, b"vvc1": 1, b"av01": 4}
"""Where an item ends, fewer than `ZEROS` tell: the last byte of a NAL unit is never zero (ITU H.264, H.265 and H.266,
7.4: ``nal_unit``); AV1 may be filled up with zeros, which encoders do not (0 on 72 pictures, flat ones among them)."""

OUTER_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free"})
"""What lies at the top of every file; of other names, it may be rubbish behind the last."""

Box = tuple[bytes, int, int]
"""Its type, and where its content begins and ends."""


def missing(data: bytes, image: Image.Image) -> str:
    """What is missing of an opened picture's file; empty where nothing is known to be."""
    try:
        match image.format:
            case "HEIF" | "AVIF":
                return _missing_of_boxes(data)
            case "WEBP":
                return _missing_of_webp(data)
            case "TIFF":
                return _missing_of_tiff(data)
            case "BMP" | "DIB" | "PPM":
                return _missing_of_rows(data, image)
            case "PNG":
                return _missing_of_png(data)
            case "JPEG":
                return _missing_of_jpeg(data)
    except (struct.error, IndexError, ValueError):
        return "its structure is broken"
    return ""


def why_unknown(data: bytes) -> str:
    """What is wrong with a file that no decoder takes for its own, by its first bytes; empty where they say nothing."""
    try:
        if data[4:8] == b"ftyp":
            return _missing_of_boxes(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _missing_of_webp(data)
        if is_tiff(data):
            kind = layout(data)
            return _missing_of_tiff(data) if kind and kind.extents else "cut short, a TIFF without its directory"
    except (struct.error, IndexError, ValueError):
        return "its structure is broken"
    return ""


def _ends_early(needed: int, length: int) -> str:
    return f"cut short, it ends after {length:,} of {needed:,} bytes"


def _zeros_from(data: bytes, begin: int, end: int) -> int:
    """Where the zeros begin that ``data[begin:end]`` ends with."""
    return begin + len(data[begin:end].rstrip(b"\0"))


def _unfinished(at: int) -> str:
    return f"not complete, zeros from byte {at:,} on"


# HEIC and AVIF


def _boxes(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """The boxes of a stretch; the last one may end beyond it."""
    while begin + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
            head = 16
        elif size == 0:
            size = end - begin
        if size < head or not kind.strip(b"\xa9").isalnum():
            return  # rubbish behind the last box
        yield kind, begin + head, begin + size
        begin += size


def _missing_of_boxes(data: bytes) -> str:
    length = len(data)
    meta: Box | None = None
    for box in _boxes(data, 0, length):
        if box[2] > length and box[0] in OUTER_BOXES:
            return _ends_early(box[2], length)
        meta = meta or (box if box[0] == b"meta" else None)
    if meta is None:
        return "cut short, it has no list of its pictures"
    inside = {kind: (begin, end) for kind, begin, end in _boxes(data, meta[1] + 4, meta[2])}
    if b"iloc" not in inside:
        return ""
    types = _item_types(data, *inside[b"iinf"]) if b"iinf" in inside else {}
    extents = list(_extents(data, inside[b"iloc"][0]))
    last = {item: begin for item, begin, _ in extents}
    for item, begin, size in extents:
        kind, stop = types.get(item, b""), begin + size
        if stop > length:
            return _ends_early(stop, length)
        if kind in CODED_ITEMS and size > ZEROS:
            least = LEAST_ZEROS.get(kind, ZEROS) if last[item] == begin else ZEROS
            zeros = _zeros_from(data, begin, stop)
            if stop - zeros >= least:
                return _unfinished(zeros)
    return ""


def _item_types(data: bytes, begin: int, end: int) -> dict[int, bytes]:
    version = data[begin]
    types = {}
    for kind, at, _ in _boxes(data, begin + (6 if version == 0 else 8), end):
        if kind == b"infe" and data[at] in (2, 3):
            form = ">HH4s" if data[at] == 2 else ">IH4s"
            item, _protection, type_ = struct.unpack_from(form, data, at + 4)
            types[item] = type_
    return types


def _extents(data: bytes, begin: int) -> Iterator[tuple[int, int, int]]:
    """Item, offset in the file and length of what ``iloc`` (14496-12, 8.11.3) says lies in the file itself."""
    version = data[begin]
    sizes, more = data[begin + 4], data[begin + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version in (1, 2) else 0
    at = begin + 6
    count_size = 4 if version == 2 else 2

    def number(size: int) -> int:
        nonlocal at
        value = int.from_bytes(data[at : at + size])
        at += size
        return value

    for _ in range(number(count_size)):
        item = number(count_size)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            offset, length = number(offset_size), number(length_size)
            if at > len(data):
                return
            if method == 0 and length:
                yield item, base + offset, length


# WebP


def _missing_of_webp(data: bytes) -> str:
    (size,) = struct.unpack_from("<I", data, 4)
    if 8 + size > len(data) + 1:  # the byte that makes its length even is left out by some
        return _ends_early(8 + size, len(data))
    return _missing_of_chunks(data, 12, min(8 + size, len(data)))


def _missing_of_chunks(data: bytes, begin: int, end: int) -> str:
    while begin + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, begin)
        content, stop = begin + 8, begin + 8 + size
        if kind == b"\0\0\0\0":
            return _unfinished(begin)
        if stop > end:
            return _ends_early(stop, end)
        if kind == b"ANMF" and (said := _missing_of_chunks(data, content + 16, stop)):
            return said
        if kind in (b"VP8 ", b"VP8L") and size > ZEROS:
            zeros = _zeros_from(data, content, stop)
            if stop - zeros >= ZEROS and (kind == b"VP8L" or _decodes_without(data[content:stop], stop - zeros)):
                return _unfinished(zeros)
        begin = stop + size % 2
    return ""


def _decodes_without(samples: bytes, zeros: int) -> bool:
    """Whether lossy samples do not need the last quarter of the zeros at their end.

    Of a flat area zeros are the code, and the decoder reads them to the last; where they stand for what never came, it
    is done long before.
    """
    kept = samples[: len(samples) - zeros // 4]
    chunk = struct.pack("<4sI", b"VP8 ", len(kept)) + kept + bytes(len(kept) % 2)
    try:
        with Image.open(io.BytesIO(struct.pack("<4sI4s", b"RIFF", 4 + len(chunk), b"WEBP") + chunk)) as image:
            image.load()
    except OSError:
        return False
    return True


# PNG and JPEG


def _missing_of_png(data: bytes) -> str:
    """Pillow compares no checksum of the pixels, and takes zeros in their place for codes."""
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + size
        if kind == b"IEND":
            return ""
        if stop > len(data):
            return _ends_early(stop, len(data))
        if kind == b"\0\0\0\0":
            return _unfinished(at)
        if kind in PIXELS and data[stop - 4 : stop] != struct.pack(
            ">I", zlib.crc32(memoryview(data)[at + 4 : stop - 4])
        ):
            return f"its chunk {kind.decode()!r} is damaged"
        at = stop
    return "cut short, its end is missing"


def _missing_of_jpeg(data: bytes) -> str:
    """The decoder takes zeros for codes, too, and may have all its blocks before it asks for the end mark."""
    if data[-1:] != b"\0":
        return ""
    at = 2
    while at + 4 <= len(data):
        mark, kind, size = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            return ""
        at += 1 if kind == 0xFF else 2 + size
        if kind == START_OF_SCAN:
            return "" if data.find(END_OF_IMAGE, at) >= 0 else _unfinished(_zeros_from(data, at, len(data)))
    return ""


# Rows as they are


def _missing_of_tiff(data: bytes) -> str:
    kind = layout(data)
    if kind is None or not kind.extents:
        return ""
    last = max(begin + size for begin, size in kind.extents)
    if last > len(data):
        return _ends_early(last, len(data))
    if kind.compression != NONE:
        for begin, size in kind.extents:
            zeros = _zeros_from(data, begin, begin + size)
            if size > ZEROS and begin + size - zeros >= ZEROS:
                return _unfinished(zeros)
        return ""
    rows = _rows_of_tiff(kind)
    return _cut_in_a_row(data, *rows) if rows else ""


def _missing_of_rows(data: bytes, image: Image.Image) -> str:
    rows = rows_of(data, image)
    return _cut_in_a_row(data, rows[0], min(len(data), rows[1]), rows[2]) if rows else ""


def rows_of(data: bytes, image: Image.Image) -> tuple[int, int, int] | None:
    """Where rows that are kept as they are begin and should end in an opened BMP, PNM or TIFF, and the bytes of each;
    None where they are packed, or not in one piece."""
    if image.format == "TIFF":
        kind = layout(data)
        return _rows_of_tiff(kind) if kind and kind.extents and kind.compression == NONE else None
    codec, _, begin, args = getattr(image, "tile")[0][:4]  # noqa: B009 - known to Pillow's files only
    if codec not in ("raw", "ppm"):
        return None
    bits = {"1": 1, "L": 8, "P": 8, "RGB": 24, "RGBA": 32, "I": 16}.get(image.mode, 8)
    if codec == "raw" and isinstance(args, tuple) and len(args) > 1 and isinstance(args[1], int) and args[1]:
        stride = args[1]
    else:
        stride = (image.width * bits + 7) // 8 * (2 if codec == "ppm" and image.mode == "RGB" and args[1] > 255 else 1)
    return begin, begin + stride * image.height, stride


def _rows_of_tiff(kind: Layout) -> tuple[int, int, int] | None:
    begins = [begin for begin, _ in kind.extents]
    last = max(begin + size for begin, size in kind.extents)
    if begins != sorted(begins) or last - begins[0] != sum(size for _, size in kind.extents):
        return None
    samples = 1 if kind.planar == 2 else kind.samples
    return begins[0], last, (kind.width * kind.bits * samples + 7) // 8


def _cut_in_a_row(data: bytes, begin: int, end: int, stride: int) -> str:
    """Black at the end is a picture's right; it is a download that stopped where it begins in the middle of a row
    above which the picture goes on, or where a file system's page does."""
    zeros = _zeros_from(data, begin, end)
    row, column = divmod(zeros - begin, max(1, stride))
    if row == 0 or end - zeros < RAW_ZEROS:
        return ""
    rest = stride - column
    rows_above = 1 if rest > stride // 20 else min(row, 8)
    above = b"".join(data[zeros - k * stride : zeros - k * stride + rest] for k in range(1, rows_above + 1))
    goes_on = column > 0 and above.count(0) < len(above) * (0.5 if rows_above == 1 else 0.1)
    if goes_on or (zeros % PAGE_BYTES == 0 and end - zeros >= PAGE_BYTES):
        return _unfinished(zeros)
    return ""
