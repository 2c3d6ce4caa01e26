"""Files and folders that are replaced whole or not at all, however the process ends; their checksums."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from model.system.process import is_running, new_token, pid_scope


def fsync_dir(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut; a no-op where folders cannot be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fsync_files(folder: Path) -> None:
    """A rename may reach the disk before what was written: then a power cut would leave empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            fsync_dir(path)
    fsync_dir(folder)


_TEMPORARY = re.compile(r"\.(.+)\.([0-9a-f]{8})-(\d+)-([0-9a-f]+)\.tmp", re.DOTALL)
FORGOTTEN_SECONDS = 86_400.0
"""What another machine or container wrote is left alone for so long: whether it still runs is not known here."""


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half written in ``folder``: of the file ``name``, or of all."""
    for sibling in folder.iterdir():
        left = _TEMPORARY.fullmatch(sibling.name)
        if left and name in ("", left[1]):
            is_in_use = is_running(int(left[3]), left[4]) if left[2] == pid_scope() else _is_young(sibling)
            if not is_in_use:
                remove(sibling)


def _temporary(path: Path) -> Path:
    """A name beside ``path`` that says which process it belongs to; those that killed processes left are removed."""
    sweep(path.parent, path.name)
    return path.with_name(f".{path.name}.{pid_scope()}-{os.getpid()}-{new_token()}.tmp")


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < FORGOTTEN_SECONDS
    except OSError:  # gone meanwhile
        return True


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; do nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_at_once(path: Path, marker: str = "") -> Path | None:
    """Delete a folder in one step, which a power cut does not undo: it is gone under its name before its files go.

    Args:
        marker: a file without which the folder is nothing. It goes first where the folder cannot be renamed.

    Returns:
        Where files of it still are, which could not be removed; None where there are none.
    """
    temporary = _temporary(path)
    try:
        path.replace(temporary)
    except OSError:  # Windows, while a file in it is open
        temporary = path
        remove(path / marker)
    fsync_dir(path.parent)
    remove(temporary)
    fsync_dir(path.parent)
    return temporary if temporary.exists() else None


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a new version of ``path``; the old one stays until the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


@contextmanager
def new_dir(path: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name only when the block ends without an error.

    If another process made ``path`` meanwhile, its folder is kept and this one is deleted: both
    are keyed by a checksum, so they hold the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        _fsync_files(temporary)
        try:
            temporary.replace(path)
        except OSError:
            if not path.is_dir():
                raise
        fsync_dir(path.parent)
    finally:
        remove(temporary)


@contextmanager
def replace_dir(path: Path) -> Iterator[Path]:
    """Fill a new version of the folder ``path``; the old one stays whole until the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settle(path)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        _fsync_files(temporary)
        if path.is_dir():
            _exchange(temporary, path)
        else:
            temporary.replace(path)
        fsync_dir(path.parent)
    finally:
        remove(temporary)


def settle(path: Path) -> None:
    """Finish what a process killed between the two steps of `replace_dir` left: the old folder is back in place."""
    aside = _aside(path)
    if aside.exists() and not path.exists():
        aside.replace(path)
    elif aside.exists():
        remove(aside)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.wordsight-old")


RENAME_EXCHANGE = 2
AT_FDCWD = -100


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders, in one step where the system can (renameat2 of Linux), else in two, see `settle`."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        swapped = False
    else:
        swapped = renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), RENAME_EXCHANGE) == 0
    if not swapped:
        aside = _aside(old)
        old.replace(aside)
        try:
            new.replace(old)
        except OSError:
            aside.replace(old)
            raise
        remove(aside)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
