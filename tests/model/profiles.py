"""Colour profiles made by hand (ICC.1:2022), and a photograph's colours as a file with such a profile stores them."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

WHITE = (0.9642, 1.0, 0.8249)
"""D50, to which a profile's colours are adapted."""

PRIMARIES = {
    "sRGB": ((0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733)),
    "Adobe RGB": (
        (0.6097559, 0.2052401, 0.1492240),
        (0.3111242, 0.6256560, 0.0632197),
        (0.0194811, 0.0608902, 0.7448387),
    ),
    "Display P3": (
        (0.5151187, 0.2919778, 0.1571035),
        (0.2411892, 0.6922441, 0.0665668),
        (-0.0010505, 0.0418791, 0.7840713),
    ),
    "ProPhoto RGB": ((0.7976749, 0.1351917, 0.0313534), (0.2880402, 0.7118741, 0.0000857), (0.0, 0.0, 0.8252100)),
}
"""Red, green and blue in the columns; rows X, Y and Z under D50 (B. Lindbloom's tables)."""

GAMMA = {"sRGB": 1.0, "Adobe RGB": 2.2, "Display P3": 2.2, "ProPhoto RGB": 1.8}
"""Of the curve that a profile made here has; sRGB without its curve is a linear profile."""

Numbers = NDArray[np.floating]


def icc(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", between: bytes = b"XYZ ") -> bytes:
    """A profile of these tags; ``between``: the space that it speaks of colours in."""
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78)
    table, body, at = b"", b"", 128 + 4 + (len(tags) + 2) * 12
    for name, content in {b"desc": text, b"wtpt": _xyz(*WHITE), **tags}.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += padded
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, kind, space, between)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">iii", *(round(value * 65536) for value in WHITE))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 2) + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(value * 65536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def grey_profile() -> bytes:
    """A grey scale whose values are shares of light."""
    return icc(b"GRAY", {b"kTRC": _curve(1.0)})


def rgb_profile(name: str, order: tuple[int, int, int] = (0, 1, 2)) -> bytes:
    """``order``: which of red, green and blue a file's first, second and third channel is."""
    columns = np.array(PRIMARIES[name]).T[list(order)]
    tags = {b"rXYZ": _xyz(*columns[0]), b"gXYZ": _xyz(*columns[1]), b"bXYZ": _xyz(*columns[2])}
    return icc(b"RGB ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(GAMMA[name]))})


def stored_in(name: str, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """sRGB colours as the numbers of a file with `rgb_profile` of that name."""
    shares = colours / 255
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    there = light @ np.array(PRIMARIES["sRGB"]).T @ np.linalg.inv(np.array(PRIMARIES[name])).T
    return np.rint(255 * there.clip(0, 1) ** (1 / GAMMA[name])).astype(np.uint8)


INK = 1.8
"""How the inks of the CMYK profile made here differ from plain shares of paper: light is the share to this power."""


def table_profile() -> bytes:
    """RGB by a table of colours, as XYB JPEGs have it: green, blue and red lie in the three channels, negative."""
    grid = _grid(17, 3)
    return _by_table(b"RGB ", 17, 1 - grid[:, [2, 0, 1]], np.linspace(0, 1, 256))


def stored_by_table(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return 255 - np.ascontiguousarray(colours[..., [1, 2, 0]])


def cmyk_profile() -> bytes:
    grid = _grid(9, 4)
    light = (1 - grid[:, :3]) * (1 - grid[:, 3:])
    return _by_table(b"CMYK", 9, light, 1 - (1 - np.linspace(0, 1, 256)) ** INK)


def stored_as_inks(colours: NDArray[np.uint8]) -> Image.Image:
    """Without black ink."""
    inks = np.rint(255 * (1 - (colours / 255) ** (1 / INK))).astype(np.uint8)
    return Image.fromarray(np.concatenate([inks, np.zeros_like(inks[..., :1])], -1), "CMYK")


def _grid(steps: int, channels: int) -> Numbers:
    axes = np.meshgrid(*[np.linspace(0, 1, steps)] * channels, indexing="ij")
    return np.stack(axes, -1).reshape(-1, channels)


def _by_table(space: bytes, steps: int, colours: Numbers, curve: Numbers) -> bytes:
    """``colours``: sRGB of the grid's points, the last channel the fastest; ``curve``: of every channel before it."""
    channels = round(np.log(len(colours)) / np.log(steps))
    shown = Image.fromarray(np.rint(colours * 255).astype(np.uint8)[None])
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.asarray(to_lab.apply(shown)).reshape(-1, 3) ^ np.array([0, 128, 128], np.uint8)
    identity = struct.pack(">9i", *(65536 * (row == column) for row in range(3) for column in range(3)))
    before = np.rint(curve * 255).astype(np.uint8).tobytes() * channels
    table = b"mft1" + bytes(4) + bytes((channels, 3, steps, 0)) + identity + before + lab.tobytes()
    return icc(space, {b"A2B0": table + bytes(range(256)) * 3}, kind=b"prtr", between=b"Lab ")
