"""Folders of the cache that are made once and believed afterwards, with the checksums of their files beside these.

A folder is compared with its checksums when it is opened: a file of the same size and time is taken for unchanged, any
other is read. `damaged_files` with ``thorough`` reads all. The folder's name ends in the number of its format; what an
older one left under the same name is removed when the new one is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from model.errors import WeightsError
from model.system.atomic import new_dir, remove, remove_at_once, replace_file, sha256_file
from model.system.cache import cache_dir, cache_errors
from model.system.events import note
from model.system.names import first_of

CHECKSUMS_FILE = "checksums.json"
SHOWN_FILES = 2

Sums = Mapping[str, tuple[int, int, str]]
"""File name to its size, its time in ns, and its SHA-256."""

_read_here: set[tuple[Path, int, int]] = set()
"""Files that this process read and found right, for where their new times cannot be recorded."""


def prepared_dir(kind: str, name: str, sha256: str, version: int) -> Path:
    """Where a thing of that kind lies that was made ready from what has that checksum, in that format."""
    return cache_dir() / kind / f"{name}-{sha256[:8]}-v{version}"


@contextmanager
def new_prepared_dir(folder: Path) -> Iterator[Path]:
    """As `new_dir`, with checksums; older formats of the folder are removed."""
    with new_dir(folder) as temporary:
        yield temporary
        seal(temporary)
    for older in _older(folder):
        remove(older)


def seal(folder: Path) -> None:
    """Write the checksums of a folder's files beside them, and let others read them as the umask says: libraries write
    some for their owner alone."""
    files = sorted(path for path in folder.iterdir() if path.name != CHECKSUMS_FILE)
    _write(folder, {path.name: (*_stamp(path), sha256_file(path)) for path in files})
    usual = (folder / CHECKSUMS_FILE).stat().st_mode & 0o777
    for path in files:
        path.chmod(usual)


def is_sealed(folder: Path) -> bool:
    """Whether a folder has checksums."""
    return (folder / CHECKSUMS_FILE).is_file()


def damaged_files(folder: Path, *, thorough: bool = False) -> list[str]:
    """The names of files that are missing or not what was made, `CHECKSUMS_FILE` alone where that does not say.

    Raises:
        OSError: a file cannot be read.
    """
    try:
        sums = _read(folder)
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return [CHECKSUMS_FILE]
    damaged = []
    stamped = dict(sums)
    for name, (size, mtime_ns, sha256) in sums.items():
        path = folder / name
        try:
            now = _stamp(path)
        except FileNotFoundError:
            damaged.append(name)
            continue
        is_known = now == (size, mtime_ns) or (path, *now) in _read_here
        if now[0] != size or ((thorough or not is_known) and sha256_file(path) != sha256):
            damaged.append(name)
        elif not is_known:
            stamped[name] = (*now, sha256)
            _read_here.add((path, *now))
    if stamped != sums and not damaged:
        with suppress(OSError):  # a cache that cannot be written only costs time
            _write(folder, stamped)
    return damaged


def discard_damaged(folder: Path) -> None:
    """Remove a prepared folder that is not what was made, with a note: whoever needs it makes it again.

    Raises:
        CacheError: it cannot be read, or removed.
    """
    with cache_errors(folder):
        damaged = damaged_files(folder) if folder.is_dir() else []
        if damaged:
            note(f"{first_of(damaged, SHOWN_FILES)} in {folder} missing or changed: what was prepared is made again")
            remove_at_once(folder)


def cannot_read(path: Path, error: BaseException) -> WeightsError:
    """What to raise where a prepared file does not open. Whether it is damaged, or memory or open files are short, is
    not known there: the cause says it."""
    cause = " ".join(str(error).split()) or type(error).__name__
    return WeightsError(f"cannot read {path} ({cause}): `model verify` makes it again where it is damaged")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read(folder: Path) -> Sums:
    sums = json.loads((folder / CHECKSUMS_FILE).read_bytes())
    return {str(name): (int(size), int(mtime_ns), str(sha256)) for name, (size, mtime_ns, sha256) in sums.items()}


def _write(folder: Path, sums: Sums) -> None:
    with replace_file(folder / CHECKSUMS_FILE) as file:
        file.write(json.dumps(sums, indent=1).encode())


def _older(folder: Path) -> list[Path]:
    """The same thing in formats before, of which the first had no number."""
    name = re.fullmatch(r"(.+)-v(\d+)", folder.name)
    if not name:
        return []
    versions = [re.fullmatch(rf"{re.escape(name[1])}(?:-v(\d+))?", path.name) for path in folder.parent.iterdir()]
    return [folder.with_name(one[0]) for one in versions if one and int(one[1] or 0) < int(name[2])]
