"""A folder of pictures: what is in it, under which names, with which labels."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import DatasetError
from model.picture import is_picture_name


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file of a dataset, as the scan saw it.

    ``relative``: POSIX path below the root, bytes that are no UTF-8 as surrogates (PEP 383).
    ``size``: bytes. ``mtime_ns``: nanoseconds.
    """

    root: Path
    relative: str
    size: int
    mtime_ns: int

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
    picture's name. ``links``: links to folders, not followed. ``unreadable``: folders, with the reason.
    """

    endings: Counter[str] = field(default_factory=Counter)
    special: int = 0
    links: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def dataset_root(folder: Path) -> Path:
    """The absolute, resolved folder.

    Raises:
        DatasetError: no such folder, a file, or not readable.
    """
    try:
        root = folder.expanduser().resolve(strict=True)
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

    Links to files are followed always, links to folders only with ``follow_links``, and no folder is
    entered twice, so a loop of links ends.
    """
    visited: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        folder = pending.pop()
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
        folders: list[str] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(relative)
            elif _is_folder_link(entry):
                if follow_links:
                    folders.append(relative)
                else:
                    left_out.links += 1
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
    return PictureFile(root, relative, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _is_folder_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


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
    return PictureFile(root, relative, size=status.st_size, mtime_ns=status.st_mtime_ns)
