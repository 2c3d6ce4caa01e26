"""Answers on stdout: a table in a terminal, plain lines in a pipe, JSON lines, or bare paths.

It must not know the question.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.pictures import PhotoMetadata
from model.projections import Tag
from model.system.names import one_line, shown
from model.system.paths import working_folder
from model.system.terminal import results, write_json
from model.words import NearWord
from query.asking import Group, Member, PictureHit

MOST_COLUMNS = 10_000
"""The width a table is measured at, to see how wide it would be if nothing limited it."""


@dataclass(frozen=True, slots=True)
class Style:
    """How answers are written. ``null``: paths end in NUL instead of a newline, for ``xargs -0``."""

    json: bool = False
    paths_only: bool = False
    null: bool = False


def write_hits(hits: Sequence[PictureHit], style: Style) -> None:
    """Pictures: score, label, path, what is to be said of it. Paths are relative where they lie below this folder.

    A bare path cannot say that a picture does not stand out, so those are left out where that was asked.
    """
    if style.paths_only or style.null:
        _write_paths((hit.file for hit in hits if hit.stands_out is not False), style)
    elif style.json:
        write_json(_hit_json(hit) for hit in hits)
    else:
        rows = [
            (f"{hit.score:.4f}", one_line(hit.picture.label or ""), one_line(_near(hit.file)), remark(hit))
            for hit in hits
        ]
        standing = sum(hit.stands_out is not False for hit in hits)
        columns = ("score", "label", "picture", "")
        is_remarked = any(row[-1] for row in rows)
        _write_rows(columns if is_remarked else columns[:-1], rows, ruled_at=standing)


def remark(hit: PictureHit) -> str:
    """What is said of a hit: that its file is missing, that the words asked for are in its name or in its text, or that
    it is only among the nearest; mostly nothing."""
    said = hit.matched or ("nearest" if hit.stands_out is False else "")
    is_told = hit.missing and os.path.isdir(hit.root)  # of a snapshot carried elsewhere every file is
    return f"{said} missing".strip() if is_told else said


def _hit_json(hit: PictureHit) -> dict[str, Any]:
    standing = {} if hit.stands_out is None else {"stands_out": hit.stands_out}
    where = {"matched": hit.matched, "missing": hit.missing, "collection": hit.collection}
    return {**_picture_json(hit), **standing, **where}


def write_duplicates(groups: Sequence[Group], style: Style) -> None:
    """Groups, their best picture first: number, score, what it is, path. Bare paths leave out those best ones."""
    if style.paths_only or style.null:
        _write_paths((member.file for group in groups for member in group.members[1:]), style)
    elif style.json:
        write_json(
            {"group": i, "kind": g.kind.value, "pictures": [_member_json(m) for m in g.members]}
            for i, g in enumerate(groups, 1)
        )
    else:
        rows = [
            (str(i), f"{member.score:.4f}", _kind(group, member), one_line(_near(member.file)))
            for i, group in enumerate(groups, 1)
            for member in group.members
        ]
        _write_rows(("group", "score", "", "picture"), rows)


def _kind(group: Group, member: Member) -> str:
    return "first" if member is group.members[0] else member.kind.value


def _member_json(member: Member) -> dict[str, Any]:
    return {**_picture_json(member), "kind": member.kind.value, "exact_copy": member.is_copy}


def write_tags(tags: Sequence[Tag], style: Style) -> None:
    """Words for a picture: score, word, whether the projection was trained on it."""
    if style.json:
        write_json({"word": tag.word, "score": tag.score, "trained": tag.trained} for tag in tags)
    else:
        _write_rows(("score", "word", ""), [(f"{t.score:.4f}", t.word, "trained" if t.trained else "") for t in tags])


def write_words(words: Sequence[NearWord], style: Style) -> None:
    """Words near a word."""
    if style.json:
        write_json({"word": near.word, "score": round(near.score, 6)} for near in words)
    else:
        _write_rows(("score", "word"), [(f"{near.score:.4f}", near.word) for near in words])


def _write_paths(files: Iterable[str], style: Style) -> None:
    end = b"\0" if style.null else b"\n"
    with results():
        safe = one_line if sys.stdout.isatty() else str  # exact for programs; nothing may steer a terminal
        sys.stdout.buffer.write(b"".join(os.fsencode(safe(_near(file))) + end for file in files))


def _picture_json(hit: PictureHit | Member) -> dict[str, Any]:
    picture = hit.picture
    raw = os.fsencode(hit.file)
    exact = {} if shown(hit.file) == hit.file else {"file_base64": base64.b64encode(raw).decode()}
    return {
        "score": hit.score,
        "id": str(picture.id),
        "path": shown(picture.path),
        "file": shown(hit.file),
        "label": picture.label,
        "width": picture.width,
        "height": picture.height,
        "bytes": picture.size,
        "sha256": picture.sha256,
        "damaged": picture.damaged,
        "frame": picture.frame,
        "text": picture.text,
        **_photo_json(picture.photo or PhotoMetadata()),
        **exact,
    }


def _photo_json(photo: PhotoMetadata) -> dict[str, Any]:
    """What is not known is null, and a picture that nothing says so of is upright."""
    latitude, longitude = photo.place or (None, None)
    return {
        "taken": photo.taken or None,
        "taken_from": photo.taken_from if photo.taken else None,
        "camera": photo.camera or None,
        "lens": photo.lens or None,
        "latitude": latitude,
        "longitude": longitude,
        "orientation": photo.orientation,
        "keywords": list(photo.keywords),
    }


def _near(file: str) -> str:
    """Relative to this folder where it lies below, and never like an option to whoever gets it as an argument."""
    here = working_folder()
    path = os.path.relpath(file, here) if here and Path(file).is_relative_to(here) else file
    return f".{os.sep}{path}" if path.startswith("-") else path


def _write_rows(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], ruled_at: int = 0) -> None:
    """``ruled_at``: after so many rows a table has a line. Cells of a row beyond the columns are not shown there."""
    if not sys.stdout.isatty():
        with results():
            sys.stdout.writelines("\t".join(row).rstrip("\t") + "\n" for row in rows)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column == "score" else "left", no_wrap=True)
    for number, row in enumerate(rows, start=1):
        table.add_row(*map(Text, row[: len(columns)]), end_section=number == ruled_at)
    console = Console()
    wide = console.options.update(width=MOST_COLUMNS)
    if Measurement.get(console, wide, table).maximum <= console.width:
        console.print(table)
    else:
        _write_long_rows(columns, [row[: len(columns)] for row in rows])


def _write_long_rows(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Nothing cut off: the terminal breaks the lines, and a path copied from it is whole."""
    from rich.cells import cell_len

    every = [columns, *rows]
    widths = [max(cell_len(row[column]) for row in every) for column in range(len(columns) - 1)]
    with results():
        for row in every:
            padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False))
            sys.stdout.write("  ".join([*padded, row[-1]]).rstrip() + "\n")
