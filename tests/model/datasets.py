"""Folders of files that are only names, and what a scan finds in them."""

from __future__ import annotations

from pathlib import Path

from model.pictures import LeftOut, scan


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def names(root: Path, left_out: LeftOut | None = None, *, follow_links: bool = False) -> list[str]:
    found = scan(root, left_out if left_out is not None else LeftOut(), follow_links=follow_links)
    return [file.relative for file in found]
