"""Checksums of files, taken once: what was checked and has not been touched since is not read again."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ingest.errors import StoreDamaged, StoreError
from model.system.atomic import replace_file, sha256_file
from model.system.cache import cache_dir

MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


def unreadable(path: Path, error: BaseException) -> StoreError:
    """What to raise where a file of a snapshot could not be read: a passing failure of the system is no damage."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        return StoreError(f"cannot read {path}: not enough memory; close other programs and try again")
    if number is not None and number not in MISSING:
        return StoreError(f"cannot read {path}: {os.strerror(number)}; try again")
    return StoreDamaged(f"cannot read {path}: {os.strerror(number) if number else error}; export the snapshot again")


def check_file(
    path: Path, size: int, sha256: str, *, again: bool = False, look: Callable[[Path], None] | None = None
) -> None:
    """Refuse a file that is not the one recorded.

    Args:
        again: read it also where it was checked before.
        look: called where it is read, with its path; raises StoreDamaged where the bytes, though those recorded, cannot
            be what the file should be.

    Raises:
        StoreDamaged: missing, no file, of another size, or with other bytes. StoreError: it cannot be read now.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise StoreDamaged(f"{path} is no file: export the snapshot again")
        if status.st_size != size:
            raise StoreDamaged(f"{path} has {status.st_size} bytes, {size} expected: export the snapshot again")
        mark = _mark(path, status, sha256, is_looked_at=look is not None)
        if not again and _is_there(mark):
            return
        if sha256_file(path) != sha256:
            raise StoreDamaged(f"{path} is damaged, its checksum is another: export the snapshot again")
        if look is not None:
            look(path)
    except OSError as error:
        raise unreadable(path, error) from error
    with suppress(OSError), replace_file(mark):  # a cache that cannot be written only costs time
        pass


def _is_there(mark: Path) -> bool:
    try:
        return mark.exists()
    except OSError:  # a cache that cannot be read must not look like a damaged file
        return False


def _mark(path: Path, status: os.stat_result, sha256: str, *, is_looked_at: bool) -> Path:
    """An empty file in the cache whose name says all that would change if the file were touched."""
    seen: tuple[object, ...] = (
        path.resolve(),
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        sha256,
    )
    if is_looked_at:
        seen = (*seen, "looked at")
    return cache_dir() / "checked" / hashlib.sha256(repr(seen).encode()).hexdigest()[:32]
