"""Several commands and one store: at once, moved, read-only. Each outcome is one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ingest.stores.embedded import EmbeddedStore
from tests import hostile
from tests.commands import command, refused
from tests.copies import copy_store
from tests.kills import small_pictures
from tests.staged import UPSERT, Held, Moment

PICTURES = 20
CREATE = "ingest.stores.embedded:EmbeddedStore.create"


@pytest.fixture(scope="module")
def made(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("together")
    copy_store(tags_store, place / "store")
    small_pictures(place / "photos", PICTURES)
    env = {**os.environ, "WORDSIGHT_STORE": str(place / "store"), "WORDSIGHT_CACHE": str(shared_cache)}
    ran = command("ingest", "run", place / "photos", "--offline", "--projection", "conse", env=env)
    assert ran.status == 0, ran.err
    return place


def test_two_first_ingests_at_once_one_is_refused_and_the_other_completes(
    made: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store(tags_store, tmp_path / "store")
    words: list[str | Path] = ["ingest", "run", made / "photos", "--offline", "--projection", "conse"]
    with (
        Held(words, Moment(CREATE, "before"), tmp_path) as first,
        Held(words, Moment(CREATE, "after"), tmp_path) as other,
    ):
        first.go_on()  # neither saw a collection when it began
        assert first.end() == 2
        other.go_on()
        assert other.end() == 0
    assert "collection 'photos' is being written by another process: wait until that ends" in first.said
    with EmbeddedStore(tmp_path / "store").open("photos") as collection:
        assert collection.count() == PICTURES


def test_a_store_that_was_moved_goes_on_where_it_is(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store(made / "store", tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").rename(tmp_path / "elsewhere/store")
    monkeypatch.chdir(made)
    refused(command("query", "text", "cat"), "no collection in", "`ingest run FOLDER` makes one")
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "elsewhere/store"))
    assert command("query", "text", "cat", "-n", "1").status == 0
    again = command("ingest", "run", "photos", "--offline")
    assert f"photos: {PICTURES} pictures; {PICTURES} unchanged\n" in again.err


def test_pictures_that_were_moved_keep_their_vectors(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store(made / "store", tmp_path / "store")
    aside = made / "photos.aside"
    (made / "photos").rename(aside)
    try:
        shutil.copytree(aside, tmp_path / "photos")
        ran = command("ingest", "run", tmp_path / "photos", "--offline", "-c", "photos")
    finally:
        aside.rename(made / "photos")
    assert f"the dataset moved from {made / 'photos'} to {tmp_path / 'photos'}" in ran.err
    assert f"photos: {PICTURES} pictures; {PICTURES} unchanged\n" in ran.err
    row = command("query", "text", "cat", "-n", "1", "--json").json[0]
    assert Path(row["file"]).is_relative_to(tmp_path / "photos")


def test_a_read_only_store_is_not_asked_and_the_way_out_is_told(made: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "--bind", made / "store", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        for words in (["query", "text", "cat"], ["ingest", "run", made / "photos", "--offline"]):
            refused(command(*words, "--store", disk), "Read-only file system", "copy the store to a disk you may write")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_store_moved_away_under_a_running_ingest_ends_it_with_a_sentence(made: Path, tmp_path: Path) -> None:
    copy_store(made / "store", tmp_path / "store")
    more = small_pictures(tmp_path / "more", 130)
    with Held(["ingest", "run", more, "--offline", "--projection", "conse"], Moment(UPSERT, "after"), tmp_path) as run:
        (tmp_path / "store").rename(tmp_path / "moved")
        run.go_on()
        assert run.end() == 2
    assert run.said.splitlines()[-1].startswith("error: "), run.said
    assert "--store names the new place" in run.said
    assert EmbeddedStore(tmp_path / "store").names() == [], "nothing may be made under the old name"
    assert command("ingest", "run", more, "--offline", "--store", tmp_path / "moved").status == 0
    with EmbeddedStore(tmp_path / "moved").open("more") as collection:
        assert collection.count() == 130


def test_bad_files_are_tried_again_when_asked_for(made: Path, tags_store: Path, tmp_path: Path) -> None:
    copy_store(tags_store, tmp_path / "store")
    folder = small_pictures(tmp_path / "few", 2, bad=2)
    assert command("ingest", "run", folder, "--offline").status == 0
    picture = hostile.picture(9, "jpg")
    (folder / "bad-0.png").write_bytes(b"x" * len(picture))
    there = (folder / "bad-0.png").stat()
    assert "1 bad, 1 bad before" in command("ingest", "run", folder, "--offline").err
    (folder / "bad-0.png").write_bytes(picture)  # as a disk that is mended: the same size and time, other bytes
    os.utime(folder / "bad-0.png", ns=(there.st_atime_ns, there.st_mtime_ns))
    assert "2 bad before and not tried again" in command("ingest", "run", folder, "--offline").err
    good = next(folder.rglob("*.jpg"))
    good.unlink()
    (folder / "other.jpg").write_bytes(picture)
    ran = command("ingest", "failures", "--retry", "--json")
    assert "few: 3 pictures; 1 new, 1 bad\n" in ran.err, "no other picture comes or goes"
    assert [row["path"] for row in ran.json] == ["bad-1.png"]
    (folder / "bad-1.png").unlink()
    assert command("ingest", "failures", "--retry").err == "few: 3 pictures; nothing to do\nno bad files\n"
