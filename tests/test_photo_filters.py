"""Questions about when, where and by which camera pictures were taken, from the folder to the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.pipeline import ExportOptions, export_collection
from query.cli import app
from tests.commands import Ran, asked, refused
from tests.ingest.runs import ingest, store_with_tags
from tests.shots import SHOTS, take


@pytest.fixture(scope="module")
def place(tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shots")
    take(place / "photos")
    with store_with_tags(tags_store, place / "store") as store:
        ingest(store, place / "photos")
        export_collection(store, "photos", place / "snapshot", ExportOptions())
    return place


@pytest.fixture(params=["store", "snapshot"])
def where(request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | Path]:
    monkeypatch.chdir(place / "photos")
    return [f"--{request.param}", place / request.param]


def paths(ran: Ran) -> list[str]:
    assert ran.status == 0, ran.err
    return [row["path"] for row in ran.json]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--after", "2019-07", "--before", "2019-08"], {"trip/b.jpg", "home/d.png"}),
        (["--after", "2019-07-01", "--before", "2019-08-15"], {"trip/b.jpg", "home/c.jpg", "home/d.png"}),
        (["--before", "2019-07"], {"trip/a.jpg"}),
        (["--after", "2019-08-14 12:00:00"], {"home/c.jpg"}),
        (["--camera", "d90"], {"trip/a.jpg", "trip/b.jpg"}),
        (["--near", "48.21,16.37,5"], {"trip/a.jpg"}),
        (["--camera", "nikon", "--under", "trip", "--after", "2019-07"], {"trip/b.jpg"}),
    ],
)
def test_only_what_was_taken_so_is_found(where: list[str], options: list[str], expected: set[str]) -> None:
    assert set(paths(asked(app, "text", "circle", "--json", *options, *where))) == expected
    similar = asked(app, "similar", "trip/b.jpg", "--json", *options, *where)
    found = {row["path"] for row in similar.json}
    assert found == expected - {"trip/b.jpg"}


def test_answers_in_another_order(where: list[str]) -> None:
    by_date = ["trip/a.jpg", "trip/b.jpg", "home/d.png", "home/c.jpg"]
    assert paths(asked(app, "text", "circle", "--json", "--sort", "date", *where)) == by_date
    assert paths(asked(app, "text", "circle", "--json", "--sort", "name", *where)) == sorted(SHOTS)
    standing = asked(app, "similar", "trip/b.jpg", "--json", "--sort", "name", "--min-score", "auto", *where).json
    first = [row["path"] for row in standing if row["stands_out"]]
    assert [row["path"] for row in standing] == first + sorted({*SHOTS} - {*first, "trip/b.jpg"})


def test_json_says_what_is_known(where: list[str]) -> None:
    rows = {row["path"]: row for row in asked(app, "text", "circle", "--json", *where).json}
    said = ("taken", "taken_from", "camera", "lens", "latitude", "longitude", "orientation")
    assert [rows["home/c.jpg"][name] for name in said] == [
        "2019-08-14T12:00:00", "exif", "iPhone 12", None, 40.7, -74.0, 1
    ]  # fmt: skip
    assert [rows["home/d.png"][name] for name in said[1:]] == ["file", None, None, None, None, 1]
    assert rows["home/d.png"]["taken"].startswith("2019-07-0")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--after", "yesterday", "--after takes a date such as 2019, 2019-07 or 2019-07-03, not 'yesterday'"),
        ("--before", "2019-02-30", "--before takes a date"),
        ("--camera", "--", "--camera takes words of its name"),
        ("--near", "48.2,16.37", "--near takes latitude, longitude and kilometres"),
        ("--near", "98.2,16.37,5", "--near takes"),
        ("--near", "48.2,16.37,-5", "--near takes"),
    ],
)
def test_what_is_no_date_or_place_is_refused(where: list[str], option: str, value: str, told: str) -> None:
    refused(asked(app, "text", "circle", f"{option}={value}", *where), told)
