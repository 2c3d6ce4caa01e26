"""`ingest run --watch`, driven as a user would: a collection that stays in step with its folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.collection import read_failures
from ingest.records import Picture
from ingest.stores.embedded import EmbeddedStore
from ingest.watch import Changes
from tests import hostile
from tests.commands import SCRIPTS, command
from tests.copies import copy_store
from tests.staged import PATIENCE_SECONDS, UPSERT, Held, Moment


def run(folder: Path, *options: str) -> list[str | Path]:
    return ["ingest", "run", folder, "--offline", "--projection", "conse", "--watch", *options]


class Watching:
    """`ingest run --watch` at work, and the lines it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as said:
            self.lines.extend(iter(said.readline, ""))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, f"{what}: {''.join(self.lines)}"
            time.sleep(0.1)

    def said(self, text: str) -> None:
        self.until(lambda: any(text in line for line in list(self.lines)), f"never said {text!r}")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


@pytest.fixture
def folder(tmp_path: Path, tags_store: Path) -> Path:
    copy_store(tags_store, tmp_path / "store")
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    for number in range(3):
        (folder / "a" / f"{number}.jpg").write_bytes(hostile.picture(number, "jpg"))
    return folder


@pytest.fixture
def watch(folder: Path) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def watch(*options: str) -> Watching:
        words = [SCRIPTS / "ingest", *run(folder, *options)[1:]]
        started.append(Watching(subprocess.Popen(words, stderr=subprocess.PIPE, text=True)))
        started[-1].said("watching")
        return started[-1]

    yield watch
    for watching in started:
        watching.kill()


def state(folder: Path) -> tuple[set[str], set[str]]:
    """Paths in the collection and in its ledger."""
    with EmbeddedStore(folder.parent / "store").open("photos") as collection:
        paths = {Picture.from_payload(point.payload).path for page in collection.scroll() for point in page}
        return paths, set(read_failures(collection))


def test_what_is_added_changed_moved_deleted_and_mended_is_followed(folder: Path, watch) -> None:
    watching = watch()
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    (folder / "half.jpg").write_bytes(hostile.picture(8, "jpg")[:300])
    watching.said("bad file 'half.jpg'")
    watching.said("photos: 4 pictures; 1 new, 1 bad")
    assert state(folder)[1] == {"half.jpg"}
    assert command("query", "text", "cat", "-n", "9", "--paths-only").status == 0, "idle, it holds nobody up"
    assert command("ingest", "run", folder, "--offline").status == 0
    (folder / "half.jpg").write_bytes(hostile.picture(8, "jpg"))
    watching.said("photos: 5 pictures; 1 new\n")
    (folder / "a").rename(folder / "b")
    (folder / "new.jpg").unlink()
    (folder / "half.jpg").write_bytes(hostile.picture(9, "jpg"))
    watching.said("photos: 4 pictures; 3 new, 1 changed, 4 removed")
    assert state(folder) == ({"b/0.jpg", "b/1.jpg", "b/2.jpg", "half.jpg"}, set())
    assert watching.end() == 130
    assert "Traceback" not in "".join(watching.lines)


def test_what_changes_while_it_looks_is_taken_up_by_the_next_look_in_one_batch(folder: Path, tmp_path: Path) -> None:
    with Held(run(folder), Moment(UPSERT, "after"), tmp_path) as held:
        for number in range(3, 15):
            (folder / f"{number}.jpg").write_bytes(hostile.picture(number, "jpg"))
        held.go_on()
        watching = Watching(held.process)
        watching.said("photos: 15 pictures; 12 new\n")
        assert watching.end() == 130
    assert sum(" new" in line for line in watching.lines) == 2, "the first look, and one batch"


class Reported:
    """In place of `RustNotify`: reports what it is given, and keeps what it was asked for."""

    def __init__(self, *reports: set[tuple[int, str]] | str) -> None:
        self.reports = list(reports)
        self.asked: set[tuple[int, int]] = set()

    def watch(self, together: int, quiet: int, timeout: int, stop: object) -> set[tuple[int, str]] | str:
        self.asked.add((together, quiet))
        return self.reports.pop(0)


def test_changes_count_where_they_may_be_of_pictures_and_are_taken_together_until_it_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").touch()
    here = str(tmp_path)
    nothing = {(1, f"{here}/notes.txt"), (1, f"{here}/.hidden.jpg"), (1, f"{here}/.git/a.jpg"), (1, f"{here}/s/a.jpg")}
    nothing.add((1, f"{here}/@eaDir/a.jpg/S.jpg"))
    folder_gone, rules = {(3, f"{here}/album")}, {(2, f"{here}/sub/.wordsightignore")}
    reported = Reported("timeout", nothing, {(1, f"{here}/a.jpg")}, folder_gone, rules, "signal")
    monkeypatch.setattr(Changes, "_listen", lambda self: reported)
    changes = Changes(tmp_path, [f"{here}/s"], poll_seconds=600)
    changes.wait(600)
    assert len(reported.reports) == 3, "what is no picture is no news"
    changes.wait(600)
    changes.wait(600)
    assert len(reported.reports) == 1, "new rules are news"
    with pytest.raises(KeyboardInterrupt):
        changes.wait(600)
    assert reported.asked == {(30_000, 1_000)}, "for thirty seconds at most, until there is a second of quiet"


def test_a_folder_that_vanishes_empties_no_collection_and_is_followed_when_it_is_back(folder: Path, watch) -> None:
    watching = watch()
    folder.rename(folder.with_name("away"))
    watching.said("no folder")
    assert len(state(folder)[0]) == 3
    folder.mkdir()  # where a disk was mounted, an empty folder is left
    watching.said("no pictures in")
    assert len(state(folder)[0]) == 3
    folder.rmdir()
    folder.with_name("away").rename(folder)
    watching.said("up to date again")
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    watching.said("photos: 4 pictures; 1 new")
    watching.end()


def test_a_collection_that_is_dropped_is_not_made_again(folder: Path, watch) -> None:
    watching = watch()
    assert command("ingest", "drop", "photos", "--yes").status == 0
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    assert watching.process.wait(PATIENCE_SECONDS) == 2
    watching.kill()
    assert "collection 'photos' was dropped" in watching.lines[-1]
    assert command("ingest", "status").status == 1


def test_a_disk_that_reports_nothing_is_looked_at_every_so_often(
    folder: Path, watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf/sitecustomize.py").write_text(
        "import watchfiles._rust_notify as r\n"
        "def deaf(*args): raise OSError(28, 'OS file watch limit reached')\n"
        "r.RustNotify = deaf\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "deaf"), os.environ.get("PYTHONPATH", "")]))
    watching = watch("--poll", "2")
    watching.said(f"cannot watch {folder} for changes")
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    watching.said("photos: 4 pictures; 1 new")
    assert watching.end() == 130


def test_a_first_look_that_is_refused_ends_it(folder: Path) -> None:
    shutil.rmtree(folder)
    done = command("ingest", "run", folder, "--watch")
    assert done.status == 2
    assert "no folder" in done.err
