"""The cache folder: where it is, and which weights and text spaces in it are in use."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from model.errors import CacheError
from model.system.atomic import replace_file
from model.system.paths import expanded

APP = "wordsight"

PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What another folder would not help against."""


def cache_dir() -> Path:
    """Where weights, word vectors and exported encoders are kept; moved by ``WORDSIGHT_CACHE``."""
    moved = os.environ.get("WORDSIGHT_CACHE")
    return expanded(Path(moved)) if moved else user_cache_path(APP)


@contextmanager
def cache_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's errors about the cache folder.

    Raises:
        CacheError: the folder cannot be written or read.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "try again" if error.errno in PASSING else "set WORDSIGHT_CACHE to a folder you may write to"
        raise CacheError(f"cannot use the cache at {path}: {reason}; {remedy}") from error


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
