"""How far a run is, kept with the collection: for whoever looks at it meanwhile, and for what became of a killed one.

It must not know what a run does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from ingest.errors import StoreDamaged
from ingest.stores import Collection
from model.errors import WordsightError
from model.system.clock import now
from model.system.events import Listener, Progress, listen

PROGRESS_FILE = "progress.json"
SAVE_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A run that was not heard of for so long has ended, or its machine has; clocks may differ a little."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """``done`` of ``total`` ``unit`` of what it is at (``task``); ``bad``: files that could not be read so far.

    ``begun``, ``at``: ISO 8601, UTC. ``parts``: the folders of the dataset that it is about; all where there are none.
    """

    task: str
    done: int
    total: int
    unit: str
    bad: int
    begun: str
    at: str
    parts: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether it has ended without saying so, most probably."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds() > SILENT_SECONDS


class ProgressKept:
    """Listens to the events of a run while the ``with`` lasts, passes them on, and keeps its progress now and then.

    Nothing stays of it. It is for information alone: what goes wrong with it is passed over.

    Args:
        bad: gives the number of files that could not be read so far.
    """

    def __init__(self, collection: Collection, bad: Callable[[], int], parts: Sequence[str] = ()) -> None:
        self._collection = collection
        self._bad = bad
        self._parts = tuple(parts)
        self._begun = now()
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        self._others: Listener = listen(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        listen(self._others)
        with suppress(WordsightError):
            if _is_there(self._collection):
                self._collection.remove_file(PROGRESS_FILE)

    def note(self, text: str) -> None:
        self._others.note(text)

    @contextmanager
    def progress(self, task: str, total: float, *, unit: str, in_bytes: bool) -> Iterator[Progress]:
        done = 0.0

        def advance(amount: float, detail: str) -> None:
            nonlocal done
            done += amount
            shown.advance(amount, detail)
            if time.monotonic() - self._saved >= SAVE_SECONDS:
                kind = "bytes" if in_bytes else unit
                self._save(RunProgress(task, int(done), int(total), kind, self._bad(), self._begun, now(), self._parts))

        with self._others.progress(task, total, unit=unit, in_bytes=in_bytes) as shown:
            yield Progress(advance)

    def _save(self, said: RunProgress) -> None:
        with suppress(WordsightError):
            self._collection.write_file(PROGRESS_FILE, json.dumps(asdict(said)).encode())
        self._saved = time.monotonic()


def read_progress(collection: Collection) -> RunProgress | None:
    """Of the run that is at work just now, or was killed at it; None where there is none."""
    try:
        data = collection.read_file(PROGRESS_FILE)
        said = json.loads(data) if data else None
        return RunProgress(**{**said, "parts": tuple(said["parts"])}) if said else None
    except (StoreDamaged, ValueError, TypeError, KeyError):
        return None


def _is_there(collection: Collection) -> bool:
    try:
        return collection.read_file(PROGRESS_FILE) is not None
    except StoreDamaged:
        return True
