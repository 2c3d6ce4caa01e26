"""A folder of pictures: what is in it, under which names, with which labels."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import DatasetError
from model.pictures.decode import is_picture_name
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
    """What a scan passed over, counted so that nothing vanishes silently.

    ``endings``: files that are no pictures by name. ``special``: pipes, sockets and devices with a
    picture's name. ``links``: links to folders, not followed. ``unreadable``: folders, and links to such, with the
    reason. ``snapshots``: folders of exported snapshots, whose pictures are copies.
    """

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


def scan(root: Path, left_out: LeftOut, *, follow_links: bool = False) -> Iterator[PictureFile]:
    """Every picture file below ``root``, in the order of names, hidden ones aside.

    Links to files are followed always, links to folders only with ``follow_links``, after all that is no link; and
    no folder is entered twice, so a loop of links ends, and a folder that is there itself has its own name.
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
        folders: list[str] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(relative)
            elif _is_folder_link(entry):
                (linked if follow_links else left_out.links).append(relative)
            elif follow_links and not is_picture_name(entry.name) and (reason := _leads_nowhere(entry)):
                left_out.unreadable[relative] = reason  # perhaps to a folder on a disk that is not mounted now
            elif picture := _picture_file(root, relative, entry, left_out):
                yield picture
        pending.extend(reversed(folders))


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


def _picture_file(root: Path, relative: str, entry: os.DirEntry[str], left_out: LeftOut) -> PictureFile | None:
    if not is_picture_name(entry.name):
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
