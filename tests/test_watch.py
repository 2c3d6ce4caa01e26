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
from tests import hostile
from tests.commands import SCRIPTS, command

PATIENCE_SECONDS = 60


class Watching:
    """`ingest run --watch` at work, and the lines it says."""

    def __init__(self, folder: Path, *options: str) -> None:
        words = [SCRIPTS / "ingest", "run", folder, "--offline", "--projection", "conse", "--watch", *options]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
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
        status = self.process.wait(30)
        self._reader.join()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


@pytest.fixture
def folder(tmp_path: Path, tags_store: Path) -> Path:
    shutil.copytree(tags_store, tmp_path / "store")
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    for number in range(3):
        (folder / "a" / f"{number}.jpg").write_bytes(hostile.picture(number, "jpg"))
    return folder


@pytest.fixture
def watch(folder: Path) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def watch(*options: str) -> Watching:
        started.append(Watching(folder, *options))
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
    said = len(watching.lines)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.jpg").write_bytes(b"hidden")
    time.sleep(3)
    assert len(watching.lines) == said, "what is no picture is no news"
    assert watching.end() == 130
    assert "Traceback" not in "".join(watching.lines)


def test_many_changes_are_one_batch_and_a_growing_file_is_not_taken_half(folder: Path, watch) -> None:
    watching = watch()
    data = hostile.picture(50, "jpg", (400, 300))
    with (folder / "growing.jpg").open("wb") as file:
        for number in range(12):
            (folder / f"{number}.jpg").write_bytes(hostile.picture(number + 10, "jpg"))
            file.write(data[len(data) * number // 12 : len(data) * (number + 1) // 12])
            file.flush()
            time.sleep(0.15)
    watching.said("photos: 16 pictures; 13 new\n")
    assert not any("bad file" in line for line in watching.lines)
    assert sum(" new" in line.rpartition(":")[2] for line in watching.lines) == 2, "the first look, and one batch"
    watching.end()


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
    watching.said("in step again")
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    watching.said("photos: 4 pictures; 1 new")
    watching.end()


def test_a_collection_that_is_dropped_is_not_made_again(folder: Path, watch) -> None:
    watching = watch()
    assert command("ingest", "drop", "photos", "--yes").status == 0
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    assert watching.process.wait(30) == 2
    watching.kill()
    assert "collection 'photos' was dropped" in watching.lines[-1]
    assert command("ingest", "status").status == 1


def test_a_disk_that_tells_nothing_is_looked_at_every_so_often(
    folder: Path, watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf/sitecustomize.py").write_text(
        "import watchfiles._rust_notify as r\n"
        "def deaf(*args): raise OSError(28, 'OS file watch limit reached')\n"
        "r.RustNotify = deaf\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "deaf"))
    watching = watch("--poll", "2")
    watching.said("the system tells of no changes in")
    (folder / "new.jpg").write_bytes(hostile.picture(7, "jpg"))
    watching.said("photos: 4 pictures; 1 new")
    assert watching.end() == 130


def test_a_first_look_that_is_refused_ends_it(folder: Path) -> None:
    shutil.rmtree(folder)
    done = command("ingest", "run", folder, "--watch")
    assert done.status == 2
    assert "no folder" in done.err
