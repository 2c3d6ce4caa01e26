"""The README and the pages of docs/ are true: what they show is run, what they name is there.

Each block of commands is run by the marker above it. One newcomer's folder, ingested by the README's main command,
serves all of them.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import Typer
from typer.core import TyperGroup
from typer.main import get_command

import ingest.cli
import model.cli
import query.cli
from tests.commands import SCRIPTS, Ran, asked, command
from tests.copies import copy_store
from tests.photographs import labelled_folder
from tests.serving import serve

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
"""What users read."""

RUN_HERE = {"main", "", "page", "curl", "training", "fetch", "python", "recipe"}
"""Blocks that a test below runs, or `tests/query/test_verifying.py`. Of the others, ``test`` is what runs this,
``compose`` wants a container engine, a ``cluster`` several machines, and a ``benchmark`` takes minutes."""

NOT_RUN = {"test", "compose", "cluster", "benchmark"}
FINDS_NOTHING = (["ingest", "failures"], ["query", "duplicates"])
"""The sample holds no bad file and no copy, so these end with status 1."""


def blocks(kind: str, *pages: Path) -> list[str]:
    """The blocks under a marker: ``kind`` "page" is marked ``<!-- page commands -->``."""
    marker = f"{kind} commands?".strip()
    found = re.compile(rf"<!-- {marker} -->\n```sh\n(.*?)```", re.DOTALL)
    return [block for page in pages for block in found.findall(page.read_text())]


def lines(kind: str, *pages: Path) -> list[str]:
    """The lines of all these blocks without comments, each once."""
    plain = (re.sub(r"\s+# .*", "", line) for block in blocks(kind, *pages) for line in block.splitlines())
    return list(dict.fromkeys(plain))


def parts(line: str) -> list[list[str]]:
    return [shlex.split(part) for part in line.split(" && ")]


def is_ours(words: list[str]) -> bool:
    return words[0] in ("ingest", "query", "model")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a newcomer stands: a folder with a picture and a list of words of their own."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    return tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def answers(place: Path, shared_cache: Path) -> list[Ran]:
    """What the main command's parts said; the photos and their collection are there after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        patch.setenv("WORDSIGHT_STORE", str(place / "store"))
        patch.setenv("WORDSIGHT_OFFLINE", "1")
        patch.delenv("WORDSIGHT_WORDS")
        ran = [command(*words, cwd=place) for words in parts(lines("main", README)[0]) if is_ours(words)]
    shutil.copyfile(place / "photos/cat/chelsea.png", place / "new.jpg")
    (place / "words.txt").write_text("cat\ndog\n")
    return ran


@pytest.fixture
def newcomer(place: Path, answers: list[Ran], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The newcomer's folder, ingested."""
    monkeypatch.delenv("WORDSIGHT_WORDS")
    monkeypatch.setenv("WORDSIGHT_STORE", str(place / "store"))
    monkeypatch.setenv("WORDSIGHT_OFFLINE", "1")
    return place


def test_the_main_command_gives_the_answers_shown(answers: list[Ran]) -> None:
    """Scores may differ in their last digits between processors; what is found, and its order, may not."""
    assert [ran.status for ran in answers] == [0] * 5
    shown = re.search(r"<!-- answers -->\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert shown
    expected = [line.split() for line in shown[1].splitlines()]
    found = [row for ran in answers[2:] for row in ran.rows]
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    assert [float(row[0]) for row in found] == pytest.approx([float(row[0]) for row in expected], abs=2e-3)


@pytest.fixture(scope="module")
def run_before() -> set[str]:
    """Commands that an earlier page showed too."""
    return set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_runs(page: Path, newcomer: Path, run_before: set[str]) -> None:
    for line in lines("", page):
        if line in run_before:
            continue
        run_before.add(line)
        words = shlex.split(line.partition(" > ")[0])
        ran = command(*words, cwd=newcomer)
        assert ran.status == (1 if words[:2] in FINDS_NOTHING else 0), (line, ran.err)


def test_the_page_is_served_as_shown(newcomer: Path, tmp_path: Path) -> None:
    for block in blocks("page", *PAGES):
        shown = block.splitlines()
        assert shown[0].startswith("pip install ")
        assert shown[-1] == "query serve --open"
        assert set(shown[1:-1]) <= {"ingest sample photos && ingest run photos --offline"}  # as in the main command
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    with serve("--open", env={**os.environ, "BROWSER": f"{browser} %s"}) as served:
        assert served.address.startswith("http://127.0.0.1:")


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_every_curl_command_shown_is_answered(newcomer: Path) -> None:
    with serve() as served:
        for line in lines("curl", *PAGES):
            words = shlex.split(line.replace("http://127.0.0.1:8000/", served.address))
            ran = subprocess.run(
                [*words, "--silent", "--fail-with-body"], cwd=newcomer, capture_output=True, timeout=60
            )
            answer = json.loads(ran.stdout)
            assert ran.returncode == 0, answer
            assert answer["total"] == 15
            assert len(answer["results"]) == 3  # the other pictures show neither beach nor sunset
            assert answer["standing"] == (None if "limit=3" in line else 0)  # no beach stands out there


@pytest.fixture
def labelled(originals: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``photos`` and ``more``, ten pictures a label."""
    monkeypatch.setenv("WORDSIGHT_OFFLINE", "1")
    copy_store(tags_store, tmp_path / "store")
    labelled_folder(tmp_path / "photos", originals, ("cat", "rocket", "coffee"), 10)
    (tmp_path / "photos/coffee").rename(tmp_path / "photos/dog")
    return labelled_folder(tmp_path / "more", originals, ("moon", "clock"), 10).parent


def test_every_training_command_shown_runs(labelled: Path) -> None:
    for line in lines("training", *PAGES):
        ran = command(*shlex.split(line), cwd=labelled)
        assert ran.status == 0, (line, ran.err)


def test_the_files_to_hand_over_are_asked_for_by_their_names(tmp_path: Path) -> None:
    """They cannot be downloaded here; `tests/test_standard_pair.py` hands over others."""
    for line in lines("fetch", *PAGES):
        ran = command(*shlex.split(line), cwd=tmp_path)
        assert (ran.status, ran.out) == (2, "")
        assert "cannot read vgg16-397923af.pth" in ran.err


def test_the_python_shown_runs(newcomer: Path) -> None:
    for page in PAGES:
        for shown in re.findall(r"<!-- python -->\n```python\n(.*?)```", page.read_text(), re.DOTALL):
            done = subprocess.run(
                [sys.executable, "-c", shown], cwd=newcomer, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stderr
            assert re.search(r"^0\.\d{3} \w+ /.*/photos/", done.stdout, re.MULTILINE), done.stdout


def test_the_compose_file_is_valid() -> None:
    """It is not started: that would fetch an image and take a port of this machine."""
    compose = [shutil.which("docker") or "", "compose"]
    if not compose[0] or subprocess.run([*compose, "version"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine with compose here")
    done = subprocess.run([*compose, "config", "--quiet"], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_benchmark_is_shown_as_its_file_says() -> None:
    shown = [line.split(maxsplit=2) for line in lines("benchmark", *PAGES)]
    assert [line[1] for line in shown] == sorted(f"benchmarks/{path.name}" for path in ROOT.glob("benchmarks/*.py"))
    for words in shown:
        usage = ast.get_docstring(ast.parse((ROOT / words[1]).read_text())) or ""
        assert " ".join(words) in usage.splitlines()[2]


def test_no_block_of_commands_escapes_these_tests() -> None:
    known = {f"{kind} commands".strip() for kind in RUN_HERE | NOT_RUN} | {"main command", "test command", "python"}
    unknown = [
        (page.name, before)
        for page in PAGES
        for before in re.findall(r"(.*)\n```(?:sh|python)\n", page.read_text())
        if before.removeprefix("<!-- ").removesuffix(" -->") not in known
    ]
    assert unknown == []


def test_the_test_command_is_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert "<!-- test command -->" in ci
    assert parts(lines("test", README)[0])[-1] == ["pytest"]


def test_the_checks_are_the_same_for_ci_and_before_each_commit() -> None:
    shown = re.search(r"<!-- checks -->\n```sh\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)
    assert shown
    checks = [line.removesuffix(" .") for line in shown[1].splitlines()]
    hooks = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    ci = [
        f"{tool}{arguments}".removesuffix(" .")
        for tool, arguments in re.findall(
            r'^"\$environment/venv/bin/(ruff|mypy)"(.*)', (ROOT / ".ci/run").read_text(), re.MULTILINE
        )
    ]
    assert checks == hooks == ci


def test_the_single_test_shown_is_there() -> None:
    shown = re.search(r"pytest -n0 (tests/\S+)::(\w+)", CONTRIBUTING.read_text())
    assert shown
    assert f"def {shown[2]}(" in (ROOT / shown[1]).read_text()


def named_files(page: Path) -> Iterator[str]:
    """Files and folders of this repository that a page names in code, as in `model/errors.py` or `ingest/stores`."""
    for name in re.findall(r"`((?:model|ingest|query|tests|benchmarks|docs|\.ci)/[^` ]*)`", page.read_text()):
        yield name.partition("::")[0]


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_file_and_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [name for name in named_files(page) if not (ROOT / name).exists()] == []
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        headings = re.findall(r"^#+ (.*)", there.read_text() if anchor else "", re.MULTILINE)
        anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert not anchor or anchor in anchors, target


def test_the_table_of_formats_says_what_is_read() -> None:
    migration = pytest.importorskip("ingest.records.migration")
    newest = migration.READABLE[-1]
    assert f"| collection | {newest} |" in (ROOT / "docs/formats.md").read_text()


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.read_text().splitlines()) <= 170


def test_every_command_is_documented_and_helps_itself() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for program, app in {"ingest": ingest.cli.app, "query": query.cli.app, "model": model.cli.app}.items():
        assert (SCRIPTS / program).exists()
        for name in names_of(app):
            assert f"{program} {name}" in text
            assert asked(app, name, "--help").status == 0


def names_of(app: Typer) -> list[str]:
    """Of all its commands."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return sorted(group.commands)
