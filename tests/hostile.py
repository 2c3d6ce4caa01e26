"""A folder of hostile files, the same for the same seed: pictures, near-pictures and what is none at all."""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SIZE = (40, 30)
SAVED_AS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 85}),
    "jpeg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tif": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff": ("TIFF", {}),
    "ppm": ("PPM", {}),
    "jp2": ("JPEG2000", {}),
    "avif": ("AVIF", {}),
}
ALIKE = {"jpg": {"jpg", "jpeg"}, "jpeg": {"jpg", "jpeg"}, "tif": {"tif", "tiff"}, "tiff": {"tif", "tiff"}}
NAMES = (
    b"new\nline.jpg",
    b"tab\tand\rreturn.jpg",
    b"'single' and \"double\".jpg",
    b"back\\slash.jpg",
    b"$(touch owned) `id`;&|.jpg",
    b"--retry.jpg",
    b" leading and trailing .jpg",
    b"%s%n{0}[bold]*?.jpg",
    "\u202egpj.exe\u202c.jpg".encode(),
    "\u0645\u0631\u062d\u0628\u0627.jpg".encode(),
    "e\u0301 decomposed.jpg".encode(),
    "\u00e9 composed.jpg".encode(),
    "emoji \U0001f600.jpg".encode(),
    b"not utf-8 \xff\xfe.jpg",
    b"\xed\xa0\x80 surrogate.jpg",
    b"\x1b[31mred\x1b[0m \x07.jpg",
    b"a" * 251 + b".jpg",
    "\u20ac".encode() * 83 + b".jpg",
    b"UPPER.JPG",
    b"two.dots..jpg",
)


@dataclass
class Hostile:
    """What was made, by path relative to the folder, POSIX, undecodable bytes as surrogates.

    ``clean``: pictures, with the file whose content must give the very same vector. ``either``: damaged, so
    that a decoder may take them or not. ``bad``: no pictures. ``special``: what is no regular file.
    """

    folder: Path
    clean: dict[str, bytes] = field(default_factory=dict)
    either: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    special: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.clean) + len(self.either) + len(self.bad) + len(self.special)

    def write(self, relative: str | bytes, data: bytes) -> str:
        path = os.fsencode(self.folder) + b"/" + os.fsencode(relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)
        return os.fsdecode(relative)


def make(folder: Path, *, seed: int, count: int) -> Hostile:
    """``count`` files below ``folder``: each kind of trap once, the rest truncated and bit-flipped pictures."""
    rng = random.Random(seed)
    hostile = Hostile(folder)
    originals = {ending: picture(rng.randrange(1 << 30), ending) for ending in SAVED_AS}
    for ending, data in originals.items():
        hostile.clean[hostile.write(f"clean/{ending}.{ending}", data)] = data
    _names(hostile, originals["jpg"])
    _wrong_endings(hostile, originals)
    _bad_metadata(hostile, rng)
    _bombs(hostile)
    _no_pictures(hostile, rng)
    _places(hostile, originals["png"])
    _special_files(hostile)
    damaged = _damaged(originals, rng)
    while hostile.count < count:
        name, data, sure = next(damaged)
        (hostile.bad if sure else hostile.either).add(hostile.write(name, data))
    return hostile


def picture(seed: int, ending: str = "png", size: tuple[int, int] = SIZE, **options: object) -> bytes:
    """A picture file of smooth random colours, in the format of ``ending``."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)
    kind, usual = SAVED_AS[ending]
    if kind == "GIF":
        image = image.quantize(64)
    buffer = io.BytesIO()
    image.save(buffer, kind, **{**usual, **options})
    return buffer.getvalue()


def _names(hostile: Hostile, data: bytes) -> None:
    for name in NAMES:
        hostile.clean[hostile.write(b"names/" + name, data)] = data


def _wrong_endings(hostile: Hostile, originals: dict[str, bytes]) -> None:
    """What a file is, its content says."""
    for ending, data in originals.items():
        for other in SAVED_AS:
            if other not in ALIKE.get(ending, {ending}):
                hostile.clean[hostile.write(f"wrong/{ending}.{other}", data)] = data


def _bad_metadata(hostile: Hostile, rng: random.Random) -> None:
    """Broken EXIF, ICC profiles and comments: the picture itself is whole, so it counts as if they were not there."""
    plain = picture(5, "jpg")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010E] = "described"
    whole = exif.tobytes()
    for i in range(20):
        broken = bytearray(whole)
        for _ in range(1 + i % 5):
            broken[rng.randrange(14, len(broken))] = rng.randrange(256)
        broken = broken[: rng.randrange(8, len(broken))] if i % 2 else broken
        if b"\x01\x12" in broken or b"\x12\x01" in broken:  # it may turn the picture, which is right then
            broken = broken.replace(b"\x01\x12", b"\x01\x13").replace(b"\x12\x01", b"\x13\x01")
        data = _with_segment(plain, 0xE1, b"Exif\0\0" + bytes(broken[6:]))
        hostile.clean[hostile.write(f"metadata/exif-{i:02}.jpg", data)] = plain
        cut = bytearray(profile[: rng.randrange(len(profile))])
        cut[rng.randrange(len(cut))] ^= 0xFF
        data = _with_segment(plain, 0xE2, b"ICC_PROFILE\0" + bytes([rng.randrange(4), rng.randrange(4)]) + bytes(cut))
        hostile.clean[hostile.write(f"metadata/icc-{i:02}.jpg", data)] = plain
    loop = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x8769, 4, 1, 8, 8)  # a directory that contains itself
    hostile.clean[hostile.write("metadata/loop.jpg", _with_segment(plain, 0xE1, b"Exif\0\0" + loop))] = plain
    png = picture(6, "png")
    for i, (kind, body) in enumerate([(b"iCCP", b"x\0\0not deflate"), (b"eXIf", b"MM\0*\xff\xff\xff\xff"),
                                      (b"tEXt", b"\xff" * 5000), (b"gAMA", b"\0\0\0\0")]):  # fmt: skip
        hostile.clean[hostile.write(f"metadata/png-{i}.png", png[:33] + _chunk(kind, body) + png[33:])] = png


def _with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _bombs(hostile: Hostile) -> None:
    """Too many pixels for their bytes, too much text, too many scans, more frames than there are."""

    def add(name: str, data: bytes) -> None:
        hostile.bad.add(hostile.write(f"bombs/{name}", data))

    for side in (20_000, 60_000):
        add(f"{side}.png", _png(side, side, b""))
    add("wide.png", _png(2**31 - 1, 2**31 - 1, b""))
    add("huge.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;")
    add("huge.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0))
    add("huge.ppm", b"P6 999999999 999999999 255\n" + b"x" * 100)
    add("scans.jpg", scans_bomb(4000, 12_000))
    text = _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(200 << 20), 9)[: 1 << 20])
    hostile.either.add(hostile.write("bombs/text.png", (png := picture(7))[:33] + text + png[33:]))


def _png(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def scans_bomb(side: int, scans: int) -> bytes:
    """A valid progressive JPEG that says the same ``scans`` times over: 31 bytes and 10 ms a scan of 4,000 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * scans + data[end:]


def _no_pictures(hostile: Hostile, rng: random.Random) -> None:
    bodies = {
        "empty": b"",
        "zeros": bytes(4096),
        "noise": rng.randbytes(4096),
        "text": b"no picture\n" * 50,
        "html": b"<html><body>404</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>",
        "elf": b"\x7fELF" + rng.randbytes(500),
        "pickle": b"cos\nsystem\n(S'touch owned'\ntR.",
        "zip": b"PK\x05\x06" + bytes(18),
    }
    for what, body in bodies.items():
        for ending in SAVED_AS:
            hostile.bad.add(hostile.write(f"none/{what}.{ending}", body))
    empty_frames = {
        "zero.png": _png(0, 0, b""),
        "flat.png": _png(9, 0, b""),
        "zero.gif": b"GIF89a" + bytes(7) + b",\0\0\0\0\0\0\0\0\0\x02\0;",
        "zero.ppm": b"P6 0 0 255\n",
        "zero.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 0, 0, 1, 24, 0, 0, 0, 0, 0, 0),
        "negative.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -9, 9, 1, 24, 0, 0, 0, 0, 0, 0),
        "magic.jpg": b"\xff\xd8\xff",
        "magic.webp": b"RIFF\xff\xff\xff\xffWEBPVP8L",
        "magic.avif": b"\0\0\0\x20ftypavif" + bytes(20),
        "magic.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
        "loop.tif": struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x8769, 4, 1, 8, 8),
        "far.tif": struct.pack("<2sHI", b"II", 42, 0xFFFFFFF0),
    }
    for name, body in empty_frames.items():
        hostile.bad.add(hostile.write(f"frames/{name}", body))


def _places(hostile: Hostile, data: bytes) -> None:
    """Deep folders, folders named like pictures, links of every kind."""
    deep = "/".join(["deep"] * 60)
    hostile.clean[hostile.write(f"{deep}/bottom.png", data)] = data
    hostile.clean[hostile.write("folder.jpg/inside.png", data)] = data
    links = hostile.folder / "links"
    links.mkdir()
    (links / "file.png").symlink_to("../clean/png.png")
    hostile.clean["links/file.png"] = data
    (links / "dangling.png").symlink_to("nowhere.png")
    (links / "self.png").symlink_to("self.png")
    (links / "proc.jpg").symlink_to("/proc/self/mem")
    hostile.bad |= {"links/dangling.png", "links/self.png", "links/proc.jpg"}
    (links / "up.jpg").symlink_to("..")
    hostile.special.add("links/up.jpg")


def _special_files(hostile: Hostile) -> None:
    folder = hostile.folder / "special"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "terminal.png").symlink_to("/dev/tty")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # an address has 107 bytes
        try:
            server.bind("socket.jpg")
        finally:
            os.chdir(here)
    hostile.special |= {f"special/{name}" for name in ("pipe.jpg", "zero.png", "terminal.png", "socket.jpg")}


def _damaged(originals: dict[str, bytes], rng: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    """Name, content, and whether it cannot be a picture; without end."""
    kinds: list[Callable[[bytes], bytes]] = [
        lambda data: data[: rng.randrange(1, len(data))],
        lambda data: _flipped(data, rng, 1),
        lambda data: _flipped(data, rng, 20),
        lambda data: data[: (at := rng.randrange(len(data)))] + rng.randbytes(64) + data[at + 64 :],
        lambda data: data[: (at := rng.randrange(len(data)))] + bytes(256) + data[at:],
    ]
    number = 0
    while True:
        for ending, data in originals.items():
            kind = rng.randrange(len(kinds))
            number += 1
            cut = rng.randrange(1, 12)
            if rng.random() < 0.1:  # not even the header is left
                yield f"damaged/{number % 7}/{number:04}.{ending}", data[:cut], True
            else:
                yield f"damaged/{number % 7}/{number:04}.{ending}", kinds[kind](data), False


def _flipped(data: bytes, rng: random.Random, times: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(times):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)
