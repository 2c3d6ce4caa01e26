"""Thumbnails in the terminal, where it can draw: rows of them, each with its rank, score and label.

It must not know the question.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from ingest.stores import batches
from model.pictures import open_picture
from model.system.names import one_line
from query.asking import PictureHit

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a thumbnail goes. ``cells``, ``gap``: columns of the terminal; ``most``: in a row; ``pixels``: its size."""

    cells: int = 22
    gap: int = 2
    most: int = 10
    pixels: tuple[int, int] = (352, 264)


TILE = Tile()
PIXELS_PER_CELL = TILE.pixels[0] // TILE.cells
THUMBNAIL_PIXELS = 2 * max(TILE.pixels)
"""Enough for what a tile shows of a narrow picture, which is cut to fill it."""


def why_not() -> str:
    """Why no picture can be drawn here, one sentence; empty where it can. Asking the terminal takes up to 0.2 s."""
    if not sys.stdout.isatty():
        return "no preview: standard output is not a terminal; --html FILE or --open shows the pictures"
    if not (sys.stdin and sys.stdin.isatty()):
        return "no preview: the terminal cannot be asked what it can draw, because standard input is not a terminal"
    terminal = os.environ.get("TERM", "")
    if terminal in ("", "dumb") or _renderer() is None:
        return (
            f"no preview: this terminal ({terminal or 'without a name'}) draws neither sixels nor kitty's graphics; "
            "--open shows the pictures in a browser"
        )
    return ""


def _renderer() -> Any:
    """What draws in this terminal, or None; found out when the library is imported, hence not before."""
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # that it cannot learn a cell's size is no news
    from textual_image import renderable

    graphical = (renderable.SixelImage, renderable.TGPImage)
    return renderable.Image if renderable.Image in graphical else None


def write_preview(hits: Iterable[tuple[PictureHit, bytes | None]]) -> None:
    """Draw the answers to standard output; call it only where `why_not` has nothing to say."""
    from rich.console import Console

    # A colour of 24 bits tells kitty which picture belongs where: nothing may simplify or drop it.
    console = Console(highlight=False, color_system="truecolor", no_color=False)
    columns = min(TILE.most, max(1, (console.width + TILE.gap) // (TILE.cells + TILE.gap)))
    rank = 0
    for row in batches(hits, columns):
        _write_row(console, row, rank)
        rank += len(row)


def _write_row(console: Console, row: list[tuple[PictureHit, bytes | None]], rank: int) -> None:
    from rich.text import Text

    cells = len(row) * (TILE.cells + TILE.gap) - TILE.gap
    console.print(_renderer()(_strip([thumbnail for _, thumbnail in row]), width=cells, height="auto"))
    captions = Text()
    for number, (hit, _) in enumerate(row, start=rank + 1):
        caption = Text(f"{number}  {hit.score:.4f}  {one_line(hit.picture.label or '')}")
        caption.truncate(TILE.cells, overflow="ellipsis", pad=True)
        captions.append_text(caption).append(" " * TILE.gap)
    captions.rstrip()
    console.print(captions, no_wrap=True, overflow="crop")
    console.print()


def _strip(thumbnails: list[bytes | None]) -> Image.Image:
    """Side by side, each cut to fill its tile; a picture that is not here leaves its tile grey."""
    width, height = TILE.pixels
    step = width + TILE.gap * PIXELS_PER_CELL
    strip = Image.new("RGBA", (step * len(thumbnails) - TILE.gap * PIXELS_PER_CELL, height))
    for place, thumbnail in enumerate(thumbnails):
        if thumbnail is None:
            tile = Image.new("RGB", TILE.pixels, (128, 128, 128))
        else:
            tile = ImageOps.fit(open_picture(thumbnail), TILE.pixels, Image.Resampling.BICUBIC)
        strip.paste(tile, (place * step, 0))
    return strip
