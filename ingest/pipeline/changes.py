"""What changed: the files of a folder compared with what its collection holds. It must not know how they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from ingest.collection import Ledger, Options
from ingest.records import Picture
from ingest.stores import Collection, Filter
from model.pictures import PictureFile


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a collection holds of a file: its state when it was read, the SHA-256 (hex) of its content, the rule that it
    was framed by, and whether it is damaged."""

    size: int
    mtime_ns: int
    sha256: str
    inode: int
    framing: str
    is_damaged: bool

    @classmethod
    def of(cls, picture: Picture) -> Indexed:
        return cls(
            picture.size,
            picture.mtime_ns,
            picture.sha256,
            picture.inode,
            sys.intern(picture.framing),
            bool(picture.damaged),
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """``to_do``: the files to read. ``unchanged``, ``failed_before``: how many others, and why they are not read."""

    to_do: list[PictureFile]
    unchanged: int
    failed_before: int


def read_indexed(collection: Collection, parts: Sequence[str] = ()) -> tuple[dict[str, Indexed], list[UUID]]:
    """What a collection holds, by path; and the ids of points that are of no picture, because they were damaged.

    Of these folders of the dataset alone, where there are any.
    """
    indexed: dict[str, Indexed] = {}
    ghosts: list[UUID] = []
    pages = [collection.scroll(filter=Filter(under=part)) for part in parts] or [collection.scroll()]
    for points in chain.from_iterable(pages):
        for point in points:
            try:
                picture = Picture.from_payload(point.payload)
            except (KeyError, TypeError, ValueError, AttributeError):
                ghosts.append(point.id)
                continue
            if picture.id != point.id:
                ghosts.append(point.id)
            else:
                indexed[picture.path] = Indexed.of(picture)
    return indexed, ghosts


def find_changes(
    files: Iterable[PictureFile], indexed: Mapping[str, Indexed], ledger: Ledger, framing: str, options: Options
) -> Changes:
    """Tell new and changed files from those that need not be opened.

    Args:
        framing: the collection's; what was framed by another is read again.
        options: ``retry`` reads files again that failed before, or are damaged, and have not changed since; ``strict``
            those that are damaged; ``re_embed`` all that are indexed.
    """
    inodes = {there.inode for there in indexed.values() if there.inode}
    to_do: list[PictureFile] = []
    unchanged = failed_before = 0
    for file in files:
        there = indexed.get(file.relative)
        if there and _is_unchanged(file, there, inodes):
            if _is_wanted_again(there, framing, options):
                to_do.append(file)
            else:
                unchanged += 1
        elif ledger.knows(file) and not options.retry:
            failed_before += 1
        else:
            to_do.append(file)
    return Changes(to_do, unchanged, failed_before)


def _is_wanted_again(there: Indexed, framing: str, options: Options) -> bool:
    looked_into = there.is_damaged and (options.retry or options.strict)
    return options.re_embed or looked_into or there.framing != framing


def _is_unchanged(file: PictureFile, there: Indexed, inodes: set[int]) -> bool:
    if (there.size, there.mtime_ns) != (file.size, file.mtime_ns):
        return False
    had_another_name = file.inode != there.inode and file.inode in inodes
    return not had_another_name
