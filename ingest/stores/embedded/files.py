"""Files kept in the folder of an embedded collection, each replaced whole and told from a damaged one.

It must not know what they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ingest.errors import StoreDamaged, StoreError
from ingest.stores.embedded.record import Record
from ingest.stores.embedded.shard_lock import check_not_moved
from model.system.atomic import replace_file

ATTEMPTS = 3
"""At reading a file that a writer may be replacing: between the file and what is recorded of it."""


class KeptFiles:
    """The files of one collection.

    Args:
        record: gives what is recorded of the collection now; the checksums of its files are among it.
        writer: the writer's lock, or None where nothing will be written.
    """

    def __init__(self, folder: Path, name: str, record: Callable[[], Record], writer: IO[str] | None = None) -> None:
        self._folder = folder
        self._name = name
        self._record = record
        self._writer = writer

    def replace(self, file: str, data: bytes) -> None:
        """Write a new version of a file, whole or not at all.

        Raises:
            CollectionNotFound: the folder was moved. StoreError: it cannot be written.
        """
        if self._writer is not None:
            check_not_moved(self._folder, self._name, self._writer)
        try:
            with replace_file(self._folder / file) as opened:
                opened.write(data)
        except OSError as error:
            raise StoreError(f"cannot write {self._folder / file}: {error.strerror}") from error

    def read(self, file: str) -> bytes | None:
        """A file, or None where there is none.

        Raises:
            StoreDamaged: it is lost, or not what was written. StoreError: it cannot be read.
        """
        data = None
        for _ in range(ATTEMPTS):
            data = self._read(file)
            recorded = self._record().kept.get(file)
            if not recorded or (data is not None and checksum(data) in recorded):
                return data
        what = "is missing" if data is None else "was changed"
        raise StoreDamaged(
            f"{self._folder / file} {what}: `ingest check --repair -c {self._name}` mends what can be made again"
        )

    def lost(self) -> list[str]:
        """Those that are recorded and not there."""
        return [file for file in self._record().kept if not (self._folder / file).exists()]

    def _read(self, file: str) -> bytes | None:
        try:
            return (self._folder / file).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self._folder / file}: {error.strerror}") from error

    def remove(self, file: str) -> None:
        """Remove a file, if there is one; raises StoreError where it cannot be removed."""
        try:
            (self._folder / file).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {self._folder / file}: {error.strerror}") from error


def checksum(data: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest()
