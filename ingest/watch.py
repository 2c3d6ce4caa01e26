"""`ingest run --watch`: a collection kept in step with its folder.

    bring up to date -> wait for a change -> wait until it is quiet -> bring up to date -> ...

A change that the system reports only says when to look: each look is a whole `ingest run`, which passes over
unchanged files. So nothing is missed that was not reported, and network disks, which do not report what other
machines change, are looked at every so often. Between looks the collection is free for others.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.collection import Options
from ingest.errors import CollectionNotFound, StoreError
from ingest.pipeline import Report, run_folder
from ingest.report import note_gone, note_run, what_changed
from ingest.stores import Store
from model.errors import CacheError, DatasetError, DiskFull
from model.pair import AUTO
from model.pictures import IGNORE_FILE, dataset_root, is_junk, is_picture_name
from model.system.events import note

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

DEFAULT_POLL_SECONDS = 600
"""How often to look although no change was reported."""

QUIET_SECONDS = 1.0
"""Changes are taken together until there was none for so long: a file is seldom written more slowly."""

TOGETHER_SECONDS = 30.0
"""Where changes never pause, they are taken together for so long."""

TICK_SECONDS = 2.0
"""How often to check that the folder is still the same one: a disk may be unmounted and mounted again."""

AGAIN_SECONDS = 30.0
"""After a look that failed for a passing cause, such as a store in use."""


def watch_folder(
    store: Store,
    folder: Path,
    name: str,
    options: Options,
    *,
    poll_seconds: float = DEFAULT_POLL_SECONDS,
) -> Report:
    """Bring a collection up to date with ``folder`` again and again, until Ctrl-C.

    Args:
        poll_seconds: look this often although no change is reported.

    Returns:
        What the last look did, or was doing.

    Raises:
        What `run_folder` raises, from the first look. Later ones are noted and tried again.
        CollectionNotFound: the collection was dropped meanwhile.
    """
    root = dataset_root(folder)
    changes = Changes(root, _places(store), poll_seconds)  # before the first look, so that none is missed in between
    report = run_folder(store, folder, name, options)
    note_run(report)
    if report.interrupted:
        return report
    note(f"watching {root}: Ctrl-C ends it")
    options = replace(options, retry=False, re_embed=False, projection=AUTO)  # what was asked for is done
    failure = ""
    try:
        while not report.interrupted:
            changes.wait(AGAIN_SECONDS if failure else poll_seconds)
            try:
                report = _look_again(store, folder, report.collection, options)
            except CollectionNotFound:
                raise
            except (DatasetError, StoreError, DiskFull, CacheError) as error:
                if str(error) != failure:
                    note(f"{_now()} {error}; trying again")
                failure = str(error)
            else:
                if changed := what_changed(report) or (failure and "up to date again"):
                    note(f"{_now()} {report.collection}: {report.total} pictures; {changed}")
                if report.gone and not report.gone_before:
                    note_gone(report)
                failure = ""
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def _look_again(store: Store, folder: Path, name: str, options: Options) -> Report:
    if not store.has(name):
        raise CollectionNotFound(f"collection {name!r} was dropped from {store.where}")
    return run_folder(store, folder, name, options)


def _places(store: Store) -> list[str]:
    """Folders that this program changes itself, where the store lies in the folder."""
    return [str(Path(store.where).resolve())] if Path(store.where).is_dir() else []


def _now() -> str:
    return datetime.now().strftime("%H:%M:%S")


class Changes:
    """Waits until pictures below ``root`` change, or may have changed.

    Args:
        without: folders whose changes do not count.
    """

    def __init__(self, root: Path, without: list[str], poll_seconds: float) -> None:
        self._root = root
        self._without = tuple(f"{place}{os.sep}" for place in without)
        self._poll_seconds = poll_seconds
        self._identity = _identity(root)
        self._listener = self._listen()

    def wait(self, seconds: float) -> None:
        """Return when pictures changed and no more do, when the folder is another one, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._reported(min(TICK_SECONDS, left)):
                return
            identity = _identity(self._root)
            if identity != self._identity:  # gone, or another disk, whose changes are not reported here
                self._identity = identity
                self._listener = self._listen()
                return

    def _listen(self) -> RustNotify | None:
        """What the system reports from now on; None where it cannot."""
        from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

        if self._identity is None:
            return None
        try:
            return RustNotify([str(self._root)], False, False, 0, True, True)
        except (OSError, WatchfilesRustInternalError) as error:  # more folders than it watches for one user
            note(f"cannot watch {self._root} for changes ({error}): looking every {self._poll_seconds:.0f} s")
            return None

    def _reported(self, seconds: float) -> bool:
        """Whether pictures changed within ``seconds``; it then returns when there are no more changes."""
        if self._listener is None:
            time.sleep(seconds)
            return False
        together, quiet = (int(1000 * span) for span in (TOGETHER_SECONDS, QUIET_SECONDS))
        changes = self._listener.watch(together, quiet, int(1000 * seconds) or 1, None)
        if changes == "signal":
            raise KeyboardInterrupt
        return isinstance(changes, set) and any(self._counts(path) for _, path in changes)

    def _counts(self, path: str) -> bool:
        """Whether a change of that path can matter: a picture's, or one of what may have been a folder of them."""
        relative = Path(os.path.relpath(path, self._root))
        if relative.name == IGNORE_FILE:
            return True
        hidden = any(part.startswith(".") for part in relative.parts)
        junk = any(is_junk(folder.as_posix()) for folder in relative.parents)
        if hidden or junk or path.startswith(self._without):
            return False
        return is_picture_name(path) or not relative.suffix or not os.path.isfile(path)


def _identity(root: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        status = root.stat()
        return status.st_dev, status.st_ino
    return None
