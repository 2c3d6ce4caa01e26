"""The README is true: its commands are run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import SCRIPTS, Ran, command
from tests.photographs import labelled_folder
from tests.serving import serve

README = Path(__file__).parent.parent / "README.md"


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, f"no block {marker!r} in the README"
    return found[1]


def parts(line: str) -> list[list[str]]:
    return [shlex.split(part, comments=True) for part in line.split(" && ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a newcomer stands: an empty folder."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    return tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def answers(place: Path, shared_cache: Path) -> list[Ran]:
    """What the main command's parts said; the photos and their collection are there after it."""
    ours = [words for words in parts(block("main command")) if words[0] in ("ingest", "query", "model")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        patch.setenv("WORDSIGHT_STORE", str(place / "store"))
        patch.setenv("WORDSIGHT_OFFLINE", "1")
        return [command(*words, cwd=place) for words in ours]


@pytest.fixture
def env(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_STORE", str(place / "store"))
    monkeypatch.setenv("WORDSIGHT_OFFLINE", "1")


def test_the_main_command_answers_all_three_questions(answers: list[Ran]) -> None:
    assert [ran.status for ran in answers] == [0] * 5
    text, similar, tags = (ran.rows for ran in answers[2:])
    assert {row[1] for row in text} == {"rocket", "motorcycle"}
    assert similar[0][2] == "photos/motorcycle/motorcycle_right.png"
    assert {"espresso", "coffee", "latte"} & {row[1] for row in tags}


def test_every_command_shown_runs(place: Path, answers: list[Ran], env: None) -> None:
    shutil.copyfile(place / "photos/cat/chelsea.png", place / "new.jpg")
    blocks = re.findall(r"<!-- commands -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    for line in "".join(blocks).splitlines():
        words = shlex.split(line.partition(" > ")[0], comments=True)
        ran: Ran = command(*words, cwd=place)
        finds_nothing = words[:2] in (["ingest", "failures"], ["query", "duplicates"])
        assert ran.status == (1 if finds_nothing else 0), (line, ran.err)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_every_curl_command_shown_is_answered(place: Path, answers: list[Ran], env: None) -> None:
    shutil.copyfile(place / "photos/cat/chelsea.png", place / "new.jpg")
    with serve() as served:
        for line in block("curl commands").splitlines():
            words = shlex.split(line.replace("http://127.0.0.1:8000/", served.address))
            ran = subprocess.run([*words, "--silent", "--fail-with-body"], cwd=place, capture_output=True, timeout=60)
            answer = json.loads(ran.stdout)
            assert ran.returncode == 0, answer
            assert answer["total"] == 15
            assert len(answer["results"]) == (3 if "limit=3" in line else 0)  # no beach stands out there


def test_every_training_command_shown_runs(
    originals: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDSIGHT_OFFLINE", "1")
    shutil.copytree(tags_store, tmp_path / "store")
    labelled_folder(tmp_path / "photos", originals, ("cat", "rocket", "coffee"), 10)
    (tmp_path / "photos/coffee").rename(tmp_path / "photos/dog")
    labelled_folder(tmp_path / "more", originals, ("moon", "clock"), 10)
    for line in block("training commands").splitlines():
        ran = command(*shlex.split(line, comments=True), cwd=tmp_path)
        assert ran.status == 0, (line, ran.err)


def test_the_test_command_is_what_ci_runs() -> None:
    ci = (README.parent / ".ci" / "run").read_text()
    assert "<!-- test command -->" in ci
    assert parts(block("test command"))[-1] == ["pytest"]


def test_every_command_and_option_is_documented_or_helps_itself() -> None:
    text = README.read_text()
    for program, commands in {
        "ingest": ("run", "reproject", "status", "failures", "drop", "sample", "export", "verify"),
        "query": ("similar", "text", "tags", "words", "duplicates", "serve"),
        "model": ("info", "fetch", "train", "evaluate"),
    }.items():
        assert (SCRIPTS / program).exists()
        for name in commands:
            assert f"{program} {name}" in text
            assert command(program, name, "--help").status == 0
