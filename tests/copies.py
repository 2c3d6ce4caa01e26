"""Copies of stores. A store is some 400 MB of files, of which 20 MB are written: the rest are holes, and stay holes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def copy_store(source: Path, target: Path) -> None:
    """Copy a folder of collections; ``target`` must not be there."""
    shutil.copytree(source, target, copy_function=_copy)


def _copy(source: str, target: str) -> None:
    if not hasattr(os, "SEEK_DATA"):
        shutil.copy2(source, target)
        return
    with open(source, "rb", buffering=0) as read, open(target, "wb", buffering=0) as write:
        size = os.fstat(read.fileno()).st_size
        write.truncate(size)
        end = 0
        while (start := _seek_data(read.fileno(), end)) < size:
            end = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            os.pwrite(write.fileno(), os.pread(read.fileno(), end - start, start), start)
    shutil.copystat(source, target)


def _seek_data(file: int, start: int) -> int:
    """Where data goes on at or after ``start``; the end of the file where there is none."""
    try:
        return os.lseek(file, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return os.fstat(file).st_size
