"""`query tags --all`: words for every picture of a collection, as lines, CSV, JSON and sidecars."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from query.cli import app
from tests.commands import Ran, asked, refused
from tests.ingest.runs import four_photographs, ingest, store_with_tags

PATHS = ["cat/chelsea.png", "coffee/coffee.png", "flower.jpg", "rocket/rocket.jpg"]


@pytest.fixture(scope="module")
def place(originals: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("all-tags")
    with store_with_tags(tags_store, place / "store") as store:
        ingest(store, four_photographs(originals, place / "photos"))
    return place


def every(place: Path, *options: str | Path) -> Ran:
    return asked(app, "tags", "--all", "--store", place / "store", *options)


def test_each_picture_gets_the_words_that_it_gets_alone(place: Path) -> None:
    rows = {row["path"]: row for row in every(place, "--json", "-n", "3").json}
    assert sorted(rows) == PATHS
    for path in PATHS:
        alone = asked(app, "tags", place / "photos" / path, "--json", "-n", "3", "--store", place / "store").json
        assert rows[path]["tags"] == alone
        assert rows[path]["file"] == str(place / "photos" / path)


def test_csv_has_a_line_for_each_word(place: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat\ncoffee\n")
    ran = every(place, "--csv", "--vocabulary", tmp_path / "words.txt", "-n", "1")
    header, *rows = csv.reader(io.StringIO(ran.out))
    assert header == ["file", "word", "score"]
    words = {Path(file).name: word for file, word, _ in rows}
    assert words.keys() == {"chelsea.png", "coffee.png", "flower.jpg", "rocket.jpg"}
    assert (words["chelsea.png"], words["coffee.png"]) == ("cat", "coffee")


def test_lines_and_what_is_left_out(place: Path) -> None:
    lines = every(place, "--labels", "cat,coffee", "-n", "1", "--under", "cat").rows
    assert [(word, Path(file).name) for _, word, file in lines] == [("cat", "chelsea.png")]
    assert len(every(place, "--label", "cat", "--label", "rocket", "-n", "1").rows) == 2
    assert every(place, "--min-score", "2").status == 1


def test_sidecars_lie_beside_the_pictures_and_nothing_else_is_touched(
    originals: Path, tags_store: Path, tmp_path: Path
) -> None:
    photos = four_photographs(originals, tmp_path / "photos")
    with store_with_tags(tags_store, tmp_path / "store") as store:
        ingest(store, photos)
    (photos / "cat/chelsea.png.xmp").write_text("<x:xmpmeta>somebody's</x:xmpmeta>")
    (photos / "rocket/rocket.jpg").unlink()
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    options = ["--xmp", "--labels", "coffee,cat", "-n", "1"]
    ran = every(tmp_path, *options)
    assert ran.status == 0
    assert "sidecars written: 2" in ran.err
    assert "sidecars of other programs left as they are: 1" in ran.err
    assert "sidecars that could not be written: 1, the first " in ran.err
    assert "rocket.jpg is missing" in ran.err
    made = set(photos.rglob("*.*")) - before.keys()
    assert made == {photos / "coffee/coffee.png.xmp", photos / "flower.jpg.xmp"}
    assert {path: path.read_bytes() for path in before} == before
    packet = (photos / "coffee/coffee.png.xmp").read_bytes()
    assert b"<rdf:li>coffee</rdf:li>" in packet
    assert "sidecars written: 2" in every(tmp_path, *options).err, "its own are replaced"


def test_options_that_exclude_each_other(place: Path) -> None:
    refused(every(place, "--csv", "--json"), "--csv, --json and --xmp exclude each other")
    refused(asked(app, "tags", place / "photos/flower.jpg", "--csv"), "go with --all")
    refused(asked(app, "tags", place / "photos/flower.jpg", "--all"), "leave out PICTURE")
    refused(asked(app, "tags"), "no picture was named")
