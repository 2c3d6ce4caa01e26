"""One sentence for everything that goes wrong, and a status that says what kind of thing it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.stores.embedded import EmbeddedStore
from model.errors import PictureNoMemory, ProjectionError, UsageError
from model.pictures import dataset, decode
from model.projections import is_projection_file, load_projection, read_vocabulary
from model.words import Words
from tests.commands import SCRIPTS, command, refused
from tests.ingest.runs import four_photographs, ingest, store_with_tags


def broken(raised: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """A `query` in which something raises what nobody foresaw."""
    code = (
        f"import sys; sys.argv = ['query', 'text', 'ocean']\nimport query.cli\n"
        f"def fail(*_, **__):\n    raise {raised}\n"
        "query.cli.ask = fail\nfrom query.__main__ import main\nmain()\n"
    )
    env = {**os.environ, "WORDSIGHT_CACHE": str(cache)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def cache(shared_cache: Path, tmp_path: Path) -> Path:
    """One that nobody else has a fault in."""
    shutil.copytree(shared_cache, tmp_path / "cache")
    return tmp_path / "cache"


def test_what_nobody_foresaw_ends_with_70_one_sentence_and_a_file_to_report(place: Path, cache: Path) -> None:
    done = broken("RuntimeError('no such\\nthing')", cache)
    log = cache / "fault.log"
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr == (
        "error: a fault in wordsight itself (RuntimeError: no such thing): please report it with the file "
        f"{log}, which says what was asked and where it failed\n"
    )
    told = log.read_text()
    assert "command: 'query' 'text' 'ocean'" in told
    assert "Traceback" in told
    assert "wordsight 0.1.0" in told


def test_no_memory_and_a_full_disk_are_no_faults_of_the_program(place: Path, cache: Path) -> None:
    done = broken("MemoryError", cache)
    assert (done.returncode, done.stderr[:25]) == (2, "error: not enough memory:")
    done = broken("OSError(28, 'No space left on device', '/disk/file')", cache)
    assert (done.returncode, done.stderr[:52]) == (2, "error: no space left on the disk of /disk/file: make")
    assert not (cache / "fault.log").exists()


def test_a_question_is_answered_in_a_folder_that_was_removed(place: Path, tmp_path: Path) -> None:
    for line, told in (
        ("text moon -n 1", str(place / "photos/moon/moon.png")),
        (f"similar {place}/photos/moon/moon.png -n 1 --paths-only", str(place)),
        ("duplicates", ""),
    ):
        (tmp_path / "here").mkdir()
        run = f"cd {tmp_path}/here && rmdir {tmp_path}/here && {SCRIPTS}/query {line}"
        done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False)
        assert done.returncode == (1 if line == "duplicates" else 0), done.stderr
        assert told in done.stdout
    for line, told in (
        (
            "query similar moon.png",
            "error: moon.png: the folder you are in was removed; name the file from the root on\n",
        ),
        (
            "query text moon --html x.html",
            "error: x.html: the folder you are in was removed; name the file from the root on\n",
        ),
        ("ingest export out", "error: out: the folder you are in was removed; name the file from the root on\n"),
        (
            f"model train {place}/photos --out head.safetensors",
            "error: head.safetensors: the folder you are in was removed; name the file from the root on\n",
        ),
        (
            f"query similar {tmp_path}/gone.png",
            f"error: no file {str(tmp_path / 'gone.png')!r}, and no picture of that name in the collection\n",
        ),
    ):
        (tmp_path / "here").mkdir()
        run = f"cd {tmp_path}/here && rmdir {tmp_path}/here && {SCRIPTS}/{line}"
        done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, told)


def test_pipes_and_devices_are_refused_as_pictures(place: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(command("query", "similar", tmp_path / "pipe.jpg"), "pipe.jpg is no file but a pipe or a device")
    refused(command("query", "tags", "/dev/zero"), "/dev/zero is no file")


def test_pipes_and_devices_are_refused_as_words_and_as_projections(tmp_path: Path, words: Words) -> None:
    """They are read while the collection is open, which others may wait for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe is no file but a pipe or a device"):
        read_vocabulary(tmp_path / "pipe", words)
    assert not is_projection_file(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ProjectionError, match=f"{path} is no file but a pipe or a device"):
            load_projection(path)


def test_a_question_that_waits_for_its_picture_keeps_nobody_from_the_collection(
    originals: Path, tags_store: Path, tmp_path: Path
) -> None:
    store = store_with_tags(tags_store, tmp_path / "store")
    ingest(store, four_photographs(originals, tmp_path / "photos"))
    waiting = subprocess.Popen(
        [SCRIPTS / "query", "similar", "-", "-n", "1", "--paths-only"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert waiting.stdin
    try:
        # a pipe holds 64 kB: when more was taken, the question is reading its picture
        picture = (tmp_path / "photos/cat/chelsea.png").read_bytes()
        waiting.stdin.write(picture[:-1])
        waiting.stdin.flush()
        with EmbeddedStore(tmp_path / "store").open("photos", write=True) as collection:
            assert collection.count() == 4
        out, _ = waiting.communicate(picture[-1:])
    finally:
        waiting.kill()
    assert out.endswith(b"chelsea.png\n")


def test_a_training_without_room_for_its_file_says_so(originals: Path, tmp_path: Path) -> None:
    code = (
        "import errno, sys\nfrom model.projections import Projection\n"
        "def full(*_):\n    raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "Projection.save = full\n"
        "from tests.photographs import labelled_folder\nfrom pathlib import Path\n"
        f"folder = labelled_folder(Path({str(tmp_path / 'two')!r}), Path({str(originals)!r}), ('cat', 'rocket'), 12)\n"
        f"sys.argv = ['model', 'train', str(folder), '--out', {str(tmp_path / 'head.safetensors')!r}, '--offline']\n"
        "from model.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no space left on the disk of ")


def test_a_picture_that_failed_for_lack_of_memory_is_tried_again(
    originals: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with_tags(tags_store, tmp_path / "store")
    folder = four_photographs(originals, tmp_path / "photos")
    real = decode._read

    def short(data: bytes, limits: decode._Limits) -> object:
        if limits.name == "flower.jpg":
            raise PictureNoMemory("not enough memory to decode it")
        return real(data, limits)

    monkeypatch.setattr(decode, "_read", short)
    assert ingest(store, folder).failed == 1
    monkeypatch.undo()
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))
    report = ingest(store, folder)
    assert (report.added, report.failed_before, report.total) == (1, 0, 4)


def test_a_file_that_vanishes_during_a_run_is_not_bad(
    originals: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with_tags(tags_store, tmp_path / "store")
    folder = four_photographs(originals, tmp_path / "photos")
    (folder / "to nothing.jpg").symlink_to("nowhere.jpg")
    real = dataset._picture_file

    def seen(root: Path, relative: str, *others: object) -> object:
        file = real(root, relative, *others)
        if relative == "flower.jpg":
            (folder / relative).unlink()
        return file

    monkeypatch.setattr(dataset, "_picture_file", seen)
    report = ingest(store, folder)
    assert (report.added, report.vanished, report.failed, report.total) == (3, 1, 1, 3), "a link to nothing is bad"
