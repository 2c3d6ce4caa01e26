"""The cache folder, and files that are replaced whole or not at all."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from platformdirs import user_cache_path, user_data_path

from model.errors import CacheError, DiskFull
from model.path import expanded
from model.process import is_running, new_token

APP = "wordsight"
SPARE_BYTES = 64 * 1024 * 1024
"""Space always left on a disk: what a memory-mapped store needs beside its data (its log grows by 32 MB)."""


def cache_dir() -> Path:
    """Where weights, word vectors and exported encoders are kept; moved by ``WORDSIGHT_CACHE``."""
    moved = os.environ.get("WORDSIGHT_CACHE")
    return expanded(Path(moved)) if moved else user_cache_path(APP)


def default_store_dir() -> Path:
    """Where embedded collections are kept; moved by ``WORDSIGHT_STORE``."""
    moved = os.environ.get("WORDSIGHT_STORE")
    return expanded(Path(moved)) if moved else user_data_path(APP) / "store"


@contextmanager
def cache_errors(path: Path) -> Iterator[None]:
    """Translate what the operating system says of the cache folder.

    Raises:
        CacheError: the folder cannot be written or read.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheError(
            f"cannot use the cache at {path}: {reason}; set WORDSIGHT_CACHE to a folder you may write to"
        ) from error


def need_space(folder: Path, wanted: int) -> None:
    """Refuse early what a full disk would break halfway.

    Raises:
        DiskFull: fewer than ``wanted`` bytes plus the reserve are free where ``folder`` is or will be.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < wanted + SPARE_BYTES:
        raise DiskFull(
            f"{in_mb(free)} left on the disk of {folder}, {in_mb(wanted + SPARE_BYTES)} wanted: "
            "make room, or choose another disk"
        )


def in_use(kind: str, name: str) -> str | None:
    """The checksum of the file of that ``kind`` (weights, words) and name that was put in use last, or None."""
    try:
        return str(json.loads(_record(kind, name).read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def put_in_use(kind: str, name: str, sha256: str, source: str) -> None:
    """From now on `in_use` answers ``sha256``. ``source``: the name of the file it came from."""
    with replace_file(_record(kind, name)) as file:
        file.write(json.dumps({"sha256": sha256, "source": source}).encode())


def _record(kind: str, name: str) -> Path:
    return cache_dir() / kind / f"{name}.json"


def in_mb(size: int) -> str:
    """A size in bytes as a person reads it: ``"528 MB"``, ``"12 kB"``, with 1 MB = 2^20 bytes."""
    megabytes = size / 2**20
    if size < 100 * 2**10:
        return f"{-(-size // 2**10)} kB"
    return f"{megabytes:.1f} MB" if megabytes < 10 else f"{megabytes:.0f} MB"


def folder_bytes(folder: Path) -> int:
    """What a folder takes on the disk, with all in it."""
    return sum(_disk_bytes(Path(place, name)) for place, _, names in os.walk(folder) for name in names)


def _disk_bytes(path: Path) -> int:
    """What a file takes on the disk, where it may be sparse."""
    try:
        status = path.stat()
    except OSError:  # it went away meanwhile
        return 0
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


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
"""What another machine wrote is left alone for so long: whether that still runs is not known here."""


@cache
def host() -> str:
    """Whose process a number is: a folder may be shared between machines, or containers, which number theirs alike."""
    import socket  # a query writes nothing, and need not wait for it

    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half written in ``folder``: of the file ``name``, or of all."""
    for sibling in folder.iterdir():
        left = _TEMPORARY.fullmatch(sibling.name)
        if left and name in ("", left[1]):
            is_in_use = is_running(int(left[3]), left[4]) if left[2] == host() else _is_young(sibling)
            if not is_in_use:
                remove(sibling)


def _temporary(path: Path) -> Path:
    """A name beside ``path`` that says whose it is; what killed processes left under such names goes."""
    sweep(path.parent, path.name)
    return path.with_name(f".{path.name}.{host()}-{os.getpid()}-{new_token()}.tmp")


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < FORGOTTEN_SECONDS
    except OSError:  # gone meanwhile
        return True


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_at_once(path: Path) -> None:
    """Delete a folder that is gone under its name before its files go, so that another may be made there meanwhile."""
    temporary = _temporary(path)
    try:
        path.replace(temporary)
    except OSError:  # Windows, while a file in it is open
        temporary = path
    remove(temporary)


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

    Where another process made ``path`` meanwhile, its folder is kept and this one thrown away: both
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
