"""Folders that a command writes whole, snapshots and backups: what is in them, and the errors of writing one.

It must not know what the files mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.errors import UsageError
from model.system.atomic import sha256_file
from model.system.events import progress


@contextmanager
def written_whole(target: Path) -> Iterator[None]:
    """Raises UsageError where the system refuses what is written in the block; what was in ``target`` stays."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}; what was there is as before") from error


def inventory_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 (hex) of every file in a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with progress("taking checksums", len(files), unit="files") as shown:
        inventory = {}
        for path in files:
            inventory[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            shown.advance()
    return inventory
