"""The ledger of bad files: what could not be indexed or is shown damaged, why, and when to try again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ingest.errors import StoreDamaged
from ingest.stores import Collection
from model.encoders import Embedded, Failed
from model.pictures import PictureFile
from model.system.clock import now

LEDGER_FILE = "failures.json"
PART_PREFIX = "failures-"
"""Of the file for some folders alone, which a run over these writes: others may write theirs at the same time."""

SAVE_SECONDS = 5.0
TRY_AGAIN = "any"
"""In place of the reader, for files that failed for a passing cause: no reader has this name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One bad file.

    ``reader``: what tried to read it; another version tries again. ``at``: ISO 8601, UTC. ``shown``: whether it is in
    the collection all the same, since most of it can be decoded.
    """

    path: str
    reason: str
    size: int
    mtime_ns: int
    reader: str
    at: str
    shown: bool = False


class Ledger:
    """Bad files of one collection by path, kept with it.

    Args:
        reader: what reads files now, see `model.pictures.decode.reader_version`.
        parts: folders of the dataset, of which alone it is; all of it where there are none.
    """

    def __init__(self, collection: Collection, reader: str, parts: Sequence[str] = ()) -> None:
        self._collection = collection
        self._reader = reader
        self._parts = parts
        rows = read_failures(collection)
        self._rows = {path: row for path, row in rows.items() if is_below(path, parts)} if parts else rows
        self._changed = False
        self._saved = time.monotonic()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def damaged(self) -> int:
        """How many are in the collection all the same."""
        return sum(row.shown for row in self._rows.values())

    @property
    def paths(self) -> list[str]:
        """Of the bad files, sorted."""
        return sorted(self._rows)

    def knows(self, file: PictureFile) -> bool:
        """Whether this very file failed before, with the same reader, so that trying again is of no use."""
        row = self._rows.get(file.relative)
        return row is not None and (row.size, row.mtime_ns, row.reader) == (file.size, file.mtime_ns, self._reader)

    def add(self, failed: Failed) -> None:
        file = failed.file
        reader = TRY_AGAIN if failed.transient else self._reader
        row = Failure(file.relative, failed.reason, file.size, file.mtime_ns, reader, now())
        self._rows[file.relative] = row
        self._changed = True

    def add_damaged(self, record: Embedded) -> None:
        """A file that is in the collection as far as it can be decoded."""
        file = record.file
        self._rows[file.relative] = Failure(
            file.relative, record.damaged, file.size, file.mtime_ns, self._reader, now(), shown=True
        )
        self._changed = True

    def mended(self, path: str) -> None:
        """Forget a file that could be read after all."""
        if self._rows.pop(path, None):
            self._changed = True

    def keep_only(self, paths: set[str], below: tuple[str, ...] = ()) -> None:
        """Forget files that are gone: neither in ``paths`` nor under a prefix of ``below``."""
        for path in self._rows.keys() - paths:
            if not path.startswith(below):
                self.mended(path)

    def save(self) -> None:
        if self._changed:
            rows = [asdict(self._rows[path]) for path in sorted(self._rows)]
            if self._parts:
                self._save_part(rows)
            else:
                self._collection.write_file(LEDGER_FILE, json.dumps(rows, indent=1).encode())
                for name in _part_files(self._collection):
                    self._collection.remove_file(name)
            self._changed = False
            self._saved = time.monotonic()

    def _save_part(self, rows: list[dict[str, Any]]) -> None:
        parts = sorted(self._parts)
        name = f"{PART_PREFIX}{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.json"
        part = {"parts": parts, "at": now(), "rows": rows}
        is_new = name not in self._collection.kept_files()
        self._collection.write_file(name, json.dumps(part, indent=1).encode())
        if is_new:
            self._collection.save(self._collection.metadata)  # by which others find it

    def save_now_and_then(self) -> None:
        """Save what a kill would lose; not each time, since all of it is written."""
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()


def read_failures(collection: Collection) -> dict[str, Failure]:
    """The bad files of a collection by path.

    Raises:
        StoreDamaged: the ledger cannot be read.
    """
    data = collection.read_file(LEDGER_FILE)
    parts = [collection.read_file(name) for name in _part_files(collection)]
    try:
        rows = {row["path"]: Failure(**row) for row in (json.loads(data) if data else [])}
        for part in sorted((json.loads(part) for part in parts if part), key=lambda part: str(part["at"])):
            rows = {path: row for path, row in rows.items() if not is_below(path, part["parts"])}
            rows |= {row["path"]: Failure(**row) for row in part["rows"]}
        return rows
    except (ValueError, TypeError, KeyError) as error:
        raise StoreDamaged(
            f"the list of bad files of {collection.name!r} is broken: remove its {LEDGER_FILE} and run again"
        ) from error


def is_below(path: str, parts: Sequence[str]) -> bool:
    """Whether a picture lies in one of these folders of its dataset."""
    return any(path.startswith(f"{part}/") for part in parts)


def _part_files(collection: Collection) -> list[str]:
    return [name for name in collection.kept_files() if name.startswith(PART_PREFIX)]
