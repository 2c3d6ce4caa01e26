"""Files kept in the folder of an embedded collection, each replaced whole. It must not know what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from ingest.errors import StoreError
from ingest.stores.embedded.shard_lock import check_not_moved
from model.system.atomic import replace_file


class KeptFiles:
    """The files of one collection.

    Args:
        writer: the writer's lock, or None where nothing will be written.
    """

    def __init__(self, folder: Path, name: str = "", writer: IO[str] | None = None) -> None:
        self._folder = folder
        self._name = name
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
        """A file, or None where there is none; raises StoreError where it cannot be read."""
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
