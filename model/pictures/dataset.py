"""A folder of pictures: what is in it, under which names, with which labels."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import DatasetError
from model.pictures.decode import is_picture_name
from model.pictures.exclusion import IGNORE_FILE, Exclusions, is_junk
from model.pictures.first_bytes import begins_like_picture
from model.system.paths import expanded

SNAPSHOT_FILES = ("manifest.json", "pictures.parquet")
"""Which together make a folder a snapshot (`ingest.stores.snapshot.store`)."""

MOST_INODES = 1 << 53
"""Some disks give larger numbers than JSON keeps."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file of a dataset, as the scan saw it.

    ``relative``: POSIX path below the root, bytes that are no UTF-8 as surrogates (PEP 383).
    ``size``: bytes. ``mtime_ns``: nanoseconds. ``inode``: its number on its disk, 0 where there is none.
    """

    root: Path
    relative: str
    size: int
    mtime_ns: int
    inode: int = field(default=0, compare=False)

    @property
    def path(self) -> Path:
        return self.root / self.relative

    @property
    def label(self) -> str | None:
        return label_of(self.relative)


def label_of(relative: str) -> str | None:
    """The label of a picture: the name of the folder it lies in, or none at the top."""
    folder = relative.rpartition("/")[0]
    return folder.rpartition("/")[2] or None


@dataclass
class LeftOut:
    """What a scan passed over, counted so that nothing vanishes silently, and the rules by which it did.

    ``endings``: files that are no pictures by name. ``special``: pipes, sockets and devices with a
    picture's name. ``links``: links to folders, not followed. ``unreadable``: folders, and links to such, with the
    reason. ``snapshots``: folders of exported snapshots, whose pictures are copies. ``junk``: folders by the name of
    what makes them. ``excluded``: pictures and folders by the user's pattern that matched.
    """

    rules: Exclusions = field(default_factory=Exclusions, compare=False)
    junk: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    special: int = 0
    links: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)


def dataset_root(folder: Path) -> Path:
    """The absolute, resolved folder.

    Raises:
        DatasetError: no such folder, a file, or not readable.
    """
    try:
        root = expanded(folder).resolve(strict=True)
        if not root.is_dir():
            raise DatasetError(f"{folder} is a file: name the folder it lies in")
        os.scandir(root).close()
    except FileNotFoundError:
        raise DatasetError(f"no folder {folder}: check the path") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a symlink loop, before Python 3.13
        reason = getattr(error, "strerror", None) or "a loop of links"
        raise DatasetError(f"cannot read the folder {folder}: {reason}") from error
    return root


def scan(
    root: Path, left_out: LeftOut, *, follow_links: bool = False, within: Sequence[str] = ()
) -> Iterator[PictureFile]:
    """Every picture file below ``root``, in the order of names, hidden ones and what ``left_out.rules`` say aside.

    Of the folders ``within`` alone, where there are any, as paths below ``root``.

    Links to files are followed always, links to folders only with ``follow_links``, after all that is no link; and
    no folder is entered twice, so a loop of links ends, and a folder that is there itself has its own name.

    Raises:
        DatasetError: a file of rules cannot be read. UsageError: it holds no patterns.
    """
    visited: set[tuple[int, int]] = set()
    pending, linked = [""], deque[str]()
    while pending or linked:
        folder = pending.pop() if pending else linked.popleft()
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            left_out.unreadable[folder or "."] = error.strerror or str(error)
            continue
        if folder and {entry.name for entry in entries}.issuperset(SNAPSHOT_FILES):
            left_out.snapshots.append(folder)
            continue
        if any(entry.name == IGNORE_FILE for entry in entries):
            left_out.rules.read(root, folder)
        folders: list[str] = []
        for entry in entries:
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if within and not _is_wanted(relative, entry, within):
                continue
            is_folder, is_link = entry.is_dir(follow_symlinks=False), _is_folder_link(entry)
            if _is_left_out(relative, entry, left_out, is_folder=is_folder or is_link):
                continue
            if is_folder:
                folders.append(relative)
            elif is_link:
                (linked if follow_links else left_out.links).append(relative)
            elif follow_links and not is_picture_name(entry.name) and (reason := _leads_nowhere(entry)):
                left_out.unreadable[relative] = reason  # perhaps to a folder on a disk that is not mounted now
            elif picture := _picture_file(root, relative, entry, left_out):
                yield picture
        pending.extend(reversed(folders))


def _is_wanted(relative: str, entry: os.DirEntry[str], within: Sequence[str]) -> bool:
    """Whether a path lies in one of these folders, or leads to one."""
    if any(relative == folder or relative.startswith(f"{folder}/") for folder in within):
        return "/" in relative or entry.is_dir()
    return entry.is_dir() and any(folder.startswith(f"{relative}/") for folder in within)


def _is_left_out(relative: str, entry: os.DirEntry[str], left_out: LeftOut, *, is_folder: bool) -> bool:
    """Whether a path is hidden or the rules leave it out, which is counted where it may be pictures."""
    is_hidden = entry.name.startswith(".")
    may_be_junk = is_folder and is_junk(relative)
    if is_hidden and not may_be_junk:
        return True
    pattern = left_out.rules.pattern_for(relative, is_folder=is_folder)
    if pattern is None and may_be_junk:
        left_out.junk[entry.name] += 1
        return True
    if pattern and not is_hidden and (is_folder or is_picture_name(entry.name)):
        left_out.excluded[pattern] += 1
    return is_hidden or bool(pattern)


def picture_file(root: Path, relative: str) -> PictureFile | None:
    """The file of that path as it is now, None where there is none."""
    try:
        status = os.stat(root / relative)
    except OSError as error:
        is_gone = isinstance(error, (FileNotFoundError, NotADirectoryError)) and not os.path.islink(root / relative)
        return None if is_gone else PictureFile(root, relative, size=0, mtime_ns=0)
    return _seen(root, relative, status)


def _seen(root: Path, relative: str, status: os.stat_result) -> PictureFile:
    return PictureFile(root, relative, status.st_size, status.st_mtime_ns, status.st_ino % MOST_INODES)


def _is_folder_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _leads_nowhere(entry: os.DirEntry[str]) -> str:
    """Why a link cannot be followed; empty where it can, or is none."""
    try:
        entry.stat()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def is_picture_file(path: Path) -> bool:
    """Whether a scan takes a file for a picture: by its name or, where that has no ending, by its first bytes."""
    return is_picture_name(path) or (not path.suffix and path.is_file() and begins_like_picture(path))


def _picture_file(root: Path, relative: str, entry: os.DirEntry[str], left_out: LeftOut) -> PictureFile | None:
    if not (is_picture_name(entry.name) or is_picture_file(Path(entry.path))):
        left_out.endings[Path(entry.name).suffix.lower() or "no ending"] += 1
        return None
    try:
        status = entry.stat()
    except OSError:  # a link to nothing: recorded when reading it fails
        return PictureFile(root, relative, size=0, mtime_ns=0)
    if not stat.S_ISREG(status.st_mode):
        left_out.special += 1
        return None
    return _seen(root, relative, status)
