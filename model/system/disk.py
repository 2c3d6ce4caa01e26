"""Disk space: how much files take, and whether more will fit."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from model.errors import DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Of an `OSError`: there is no room, or none for this user."""

SPARE_BYTES = 64 * 1024 * 1024
"""Space always left on a disk: what a memory-mapped store needs beside its data (its log grows by 32 MB)."""


def need_space(folder: Path, wanted: int) -> None:
    """Check for room before writing, instead of failing halfway.

    Raises:
        DiskFull: fewer than ``wanted`` bytes plus the reserve are free where ``folder`` is or will be.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < wanted + SPARE_BYTES:
        raise DiskFull(
            f"{in_mb(free)} left on the disk of {folder}, {in_mb(wanted + SPARE_BYTES)} needed: "
            "make room, or choose another disk"
        )


def in_mb(size: int) -> str:
    """A size in bytes as a person reads it: ``"528 MB"``, ``"12 kB"``, with 1 MB = 2^20 bytes."""
    megabytes = size / 2**20
    if size < 100 * 2**10:
        return f"{-(-size // 2**10)} kB"
    return f"{megabytes:.1f} MB" if megabytes < 10 else f"{megabytes:.0f} MB"


def folder_bytes(folder: Path) -> int:
    """Bytes that a folder and all in it take on the disk."""
    return sum(_disk_bytes(Path(place, name)) for place, _, names in os.walk(folder) for name in names)


def _disk_bytes(path: Path) -> int:
    """Bytes that a file, which may be sparse, takes on the disk."""
    try:
        status = path.stat()
    except OSError:  # removed meanwhile
        return 0
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
