"""Answers as lines: whole in a narrow terminal, harmless in any, and exact in a pipe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import hostile
from tests.commands import SCRIPTS, command
from tests.copies import copy_store
from tests.terminal import PLAIN, in_terminal

LONG = "a/rather/deep/folder/of/pictures/that/somebody/sorted/by/year/and/by/month/and/by/place/2019/07/cat"
STEERING = "\x1b[2J\x1b]0;gone\x07.png"


@pytest.fixture(scope="module")
def made(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three pictures: one far down, one whose name would steer a terminal, and one at the top."""
    place = tmp_path_factory.mktemp("lines")
    copy_store(tags_store, place / "store")
    for seed, path in enumerate((f"{LONG}/far.png", STEERING, "near.png")):
        (place / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "photos" / path).write_bytes(hostile.picture(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_STORE", str(place / "store"))
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        assert command("ingest", "run", place / "photos", "--offline").status == 0
    return place


@pytest.fixture(autouse=True)
def _here(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_STORE", str(made / "store"))
    monkeypatch.chdir(made)


def test_a_path_too_long_for_the_terminal_is_whole_and_can_be_copied() -> None:
    status, got, _ = in_terminal("query", "text", "cat", answers=PLAIN)
    lines = [line.rstrip() for line in got.decode().replace("\r", "").splitlines()]
    assert status == 0
    assert re.fullmatch(r"score +label +picture", lines[0])
    (far,) = [line for line in lines if "far.png" in line]
    assert re.fullmatch(rf"-?\d\.\d{{4}}  cat +photos/{LONG}/far\.png  name", far)
    assert {line.index("photos/") for line in lines[1:]} == {far.index("photos/")}, "in columns"


def test_a_name_steers_no_terminal_and_is_exact_in_a_pipe() -> None:
    for options in ([], ["--paths-only"]):
        status, got, _ = in_terminal("query", "text", "cat", *options, answers=PLAIN)
        assert status == 0
        assert b"near.png" in got
        assert b"[2J" in got
        assert b"\x1b[2J" not in got
        assert b"\x07" not in got
    piped = command("query", "text", "cat", "-0")
    assert f"photos/{STEERING}" in piped.out.split("\0")


def test_status_tells_why_a_collection_cannot_be_opened(made: Path, tmp_path: Path) -> None:
    copy_store(made / "store", tmp_path / "store")
    shard = next((tmp_path / "store/collections/photos").glob("*/segments")).parent
    shutil.rmtree(shard)
    shard.write_bytes(b"")
    store = ("--store", tmp_path / "store")
    row = command("ingest", "status", "--json", *store).json[0]
    assert (row["pictures"], row["labels"]) == (3, None)
    assert row["problem"]
    assert f"  problem     {row['problem']}" in command("ingest", "status", *store).out


@pytest.mark.skipif(not shutil.which("localedef"), reason="no localedef here to make a locale with")
def test_a_locale_without_the_letters_of_a_name_spells_them_out(
    tags_store: Path, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")]
    if subprocess.run(made, capture_output=True).returncode > 1:
        pytest.skip("no such locale can be made here")
    folder = tmp_path / "photos" / "日本"
    folder.mkdir(parents=True)
    shutil.copyfile(next((originals / "cat").iterdir()), folder / "猫.png")
    copy_store(tags_store, tmp_path / "store")
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))
    assert command("ingest", "run", tmp_path / "photos", "--offline").status == 0
    latin = {**os.environ, "LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0"}
    told = command("query", "text", "cat", env=latin)
    assert (told.status, told.err) == (0, "")
    assert [row["label"] for row in command("query", "text", "cat", "--json", env=latin).json] == ["日本"]
    words = [SCRIPTS / "query", "text", "cat", "-0"]
    raw = subprocess.run(words, capture_output=True, check=True, env=latin).stdout
    assert Path(os.fsdecode(raw.rstrip(b"\0"))) == folder / "猫.png"
    again = command("ingest", "run", tmp_path / "photos", "--offline", env=latin)
    assert again.err.startswith("photos: 1 pictures; 1 unchanged")
