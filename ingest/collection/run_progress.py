"""How far a run is, kept with the collection: for whoever looks at it meanwhile, and for what became of a killed one.

It must not know what a run does with a file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from ingest.errors import StoreDamaged, StoreError
from ingest.stores import Collection
from model.system.clock import now

PROGRESS_FILE = "progress.json"
SAVE_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A run that was not heard of for so long has ended, or its machine has; clocks may differ a little."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """``done``: files of ``total`` that were read, ``bad`` of them in vain. ``begun``, ``at``: ISO 8601, UTC.

    ``parts``: the folders of the dataset that it is about; all of it where there are none.
    """

    done: int
    total: int
    bad: int
    begun: str
    at: str
    parts: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether it has ended without saying so, most probably."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds() > SILENT_SECONDS


class ProgressKept:
    """Keeps the progress of a run up to date while the ``with`` lasts, but for short ones; nothing stays of it.

    Args:
        total: files to be read.
    """

    def __init__(self, collection: Collection, total: int, parts: Sequence[str] = ()) -> None:
        self._collection = collection
        self._total = total
        self._parts = tuple(parts)
        self._begun = now()
        self._done = 0
        self._saved = time.monotonic()

    def __enter__(self) -> ProgressKept:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(StoreError):  # what ended the run is to be told, and not this
            if _is_there(self._collection):
                self._collection.remove_file(PROGRESS_FILE)

    def advance(self, files: int, bad: int) -> None:
        """So many more files were read; ``bad`` of all."""
        self._done += files
        if time.monotonic() - self._saved < SAVE_SECONDS:
            return
        said = RunProgress(self._done, self._total, bad, self._begun, now(), self._parts)
        self._collection.write_file(PROGRESS_FILE, json.dumps(asdict(said)).encode())
        self._saved = time.monotonic()


def read_progress(collection: Collection) -> RunProgress | None:
    """Of the run that reads files just now, or that was killed while it did; None where there is none."""
    try:
        data = collection.read_file(PROGRESS_FILE)
        said = json.loads(data) if data else None
        return RunProgress(**{**said, "parts": tuple(said["parts"])}) if said else None
    except (StoreDamaged, ValueError, TypeError, KeyError):
        return None  # it is for information alone


def _is_there(collection: Collection) -> bool:
    try:
        return collection.read_file(PROGRESS_FILE) is not None
    except StoreDamaged:
        return True
