"""Checksums of files, taken once: what was checked and has not been touched since is not read again."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ingest.errors import StoreDamaged
from model.system.atomic import replace_file, sha256_file
from model.system.cache import cache_dir


def check_file(path: Path, size: int, sha256: str, *, again: bool = False) -> None:
    """Refuse a file that is not the one recorded.

    Args:
        again: read it also where it was checked before.

    Raises:
        StoreDamaged: missing, of another size, or with other bytes.
    """
    try:
        status = path.stat()
        if status.st_size != size:
            raise StoreDamaged(f"{path} has {status.st_size} bytes, {size} expected: export the snapshot again")
        mark = _mark(path, status, sha256)
        if not again and _is_there(mark):
            return
        if sha256_file(path) != sha256:
            raise StoreDamaged(f"{path} is damaged, its checksum is another: export the snapshot again")
    except OSError as error:
        raise StoreDamaged(f"cannot read {path}: {error.strerror}; export the snapshot again") from error
    with suppress(OSError), replace_file(mark):  # a cache that cannot be written only costs time
        pass


def _is_there(mark: Path) -> bool:
    try:
        return mark.exists()
    except OSError:  # a cache that cannot be read must not look like a damaged file
        return False


def _mark(path: Path, status: os.stat_result, sha256: str) -> Path:
    """An empty file in the cache whose name says all that would change if the file were touched."""
    seen = (path.resolve(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, sha256)
    return cache_dir() / "checked" / hashlib.sha256(repr(seen).encode()).hexdigest()[:32]
