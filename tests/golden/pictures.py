"""The made-up pictures of the golden files: small, drawn here, and among them the odd ones that people have."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"lemon": (235, 215, 50), "crab": (205, 70, 45), "watch": (95, 110, 140)}
EACH = 12
SIDE = 48
WHEN = 1_700_000_000
"""Seconds: an archive keeps no smaller part of a file's time."""


def draw(label: str, number: int) -> Image.Image:
    """A shape in the label's colour on a gradient."""
    rng = random.Random(f"{label} {number}")
    picture = Image.new("RGB", (SIDE, SIDE - 8 * (number % 2)))
    pen = ImageDraw.Draw(picture)
    dark = [rng.randrange(0, 160) for _ in range(3)]
    light = [rng.randrange(60, 256) for _ in range(3)]
    for y in range(picture.height):
        share = y / picture.height
        pen.line(
            [(0, y), (SIDE, y)],
            fill=tuple(round(a + share * (b - a)) for a, b in zip(dark, light, strict=True)),
        )
    left, top = rng.randrange(0, 16), rng.randrange(0, 12)
    box = (left, top, left + rng.randrange(16, 32), top + rng.randrange(16, 28))
    (pen.ellipse if label == "lemon" else pen.rectangle)(box, fill=COLOURS.get(label, (250, 250, 250)))
    if label == "watch":
        pen.ellipse((left + 4, top + 4, left + 14, top + 14), fill=(240, 240, 235))
    return picture


def make_pictures(root: Path) -> None:
    """Twelve of each label, among them copies and a name that is no UTF-8, one without a label, and two broken."""
    for label in COLOURS:
        (root / label).mkdir(parents=True)
        for number in range(EACH):
            ending = "jpg" if number % 3 == 0 else "png"
            draw(label, number).save(root / label / f"{number:02}.{ending}")
    shutil.copyfile(root / "crab/01.png", root / "crab/copy of 01.png")
    (root / "lemon/slices").mkdir()
    draw("lemon", 99).save(root / "lemon/slices/Zitrone 檸檬.png")
    draw("watch", 97).save(root / os.fsdecode(b"watch/caf\xe9.png"))
    draw("sunset", 0).save(root / "sunset.png")
    (root / "crab/broken.jpg").write_bytes((root / "crab/00.jpg").read_bytes()[:300])
    (root / "empty.png").touch()
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        os.utime(path, (WHEN + number, WHEN + number))
