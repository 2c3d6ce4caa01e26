"""Answers whose files are gone: they say so, and can be left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from query import open_collection
from query.cli import app
from tests.commands import asked, command
from tests.ingest.runs import four_photographs, ingest, store_with_tags


@pytest.fixture
def photos(originals: Path, tags_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = four_photographs(originals, tmp_path / "photos")
    ingest(store_with_tags(tags_store, tmp_path / "store"), folder)
    (folder / "cat/chelsea.png").unlink()
    monkeypatch.chdir(folder)
    return folder


def test_an_answer_whose_file_is_gone_says_so(photos: Path) -> None:
    rows = asked(app, "text", "cat").rows
    assert rows[0][1:] == ["cat", "cat/chelsea.png", "name missing"]
    assert [row[3:] for row in rows[1:]] == [[]] * 3
    assert [row["missing"] for row in asked(app, "text", "cat", "--json").json] == [True, False, False, False]
    with open_collection(collection="photos") as collection:
        assert [hit.missing for hit in collection.text("cat")] == [True, False, False, False]


def test_what_is_missing_can_be_left_out_and_others_take_its_place(photos: Path) -> None:
    ran = asked(app, "text", "cat", "-n", "1", "--existing", "--paths-only")
    assert ran.status == 0
    assert ran.out.splitlines()[0] in ("coffee/coffee.png", "flower.jpg", "rocket/rocket.jpg")
    assert "left out because their files are missing: 1" in ran.err
    assert len(asked(app, "text", "cat", "--existing", "--paths-only").out.splitlines()) == 3
    shutil.rmtree(photos / "rocket")
    none = asked(app, "text", "cat", "--label", "cat", "--existing")
    assert (none.status, none.out) == (1, "")
    assert "no picture found whose file is there" in none.err


def test_existing_with_what_stands_out(photos: Path) -> None:
    answer = command("query", "text", "cat", "--min-score", "auto", "--existing", "--json")
    assert all(row["path"] != "cat/chelsea.png" for row in answer.json)
