"""Each option of a question reaches its answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ingest.options import takes_records
from query.cli import app
from tests.commands import asked

CAT = "photos/cat/chelsea.png"


def found(*words: str | Path) -> list[str]:
    return [row[2] for row in asked(app, *words).rows]


@pytest.mark.parametrize("question", [("similar", CAT), ("similar", CAT, "--plus", "snow"), ("text", "animal")])
def test_only_pictures_below_the_folder_are_found(place: Path, question: tuple[str, ...]) -> None:
    assert found(*question, "--under", "moon") == ["photos/moon/moon.png"]
    assert found(*question, "--under", place / "photos" / "moon") == ["photos/moon/moon.png"]
    assert len(found(*question, "--under", ".", "-n", "20")) > 10
    absent = asked(app, *question, "--under", "absent")
    assert (absent.status, absent.out, absent.err) == (
        1,
        "",
        "no picture found: none in the collection lies under absent\n",
    )


@pytest.mark.parametrize("question", [("similar", CAT), ("text", "animal")])
def test_only_pictures_with_the_labels_are_found(place: Path, question: tuple[str, ...]) -> None:
    assert found(*question, "--label", "moon") == ["photos/moon/moon.png"]
    assert set(found(*question, "--label", "moon", "--label", "rocket")) == {
        "photos/moon/moon.png",
        "photos/rocket/rocket.jpg",
    }
    absent = asked(app, *question, "--label", "mooon")
    assert absent.err.startswith("no picture found: no label mooon; labels there are: moon, ")


def test_a_score_leaves_out_what_is_lower(place: Path) -> None:
    every = asked(app, "text", "animal", "-n", "20", "--json").json
    kept = asked(app, "text", "animal", "-n", "20", "--json", "--min-score", str(every[3]["score"])).json
    assert kept == every[:4]
    none = asked(app, "text", "animal", "--min-score", "0.999")
    assert none.status == 1
    assert none.err.startswith("no picture scores 0.999 or more: the nearest scores 0.")


@dataclass(frozen=True)
class Place:
    at: Annotated[str, typer.Option("--at", help="Where.")] = "here"


@dataclass(frozen=True)
class Wider(Place):
    many: Annotated[list[str] | None, typer.Option("--many")] = None
    at: Annotated[str, typer.Option("--at", help="Where else.")] = "there"


def test_a_record_stands_for_its_options() -> None:
    small = typer.Typer()

    @small.command()
    @takes_records
    def go(word: Annotated[str, typer.Argument()], *, times: int = 1, place: Wider) -> None:
        """Go there."""
        typer.echo(f"{word} {times} {place}")

    def run(*words: str) -> str:
        return CliRunner().invoke(small, list(words)).stdout

    assert "Wider(at='there', many=None)" in run("x")
    assert run("x", "--at", "a", "--many", "b", "--many", "c", "--times", "2") == (
        "x 2 " + repr(Wider("a", ["b", "c"])) + "\n"
    )
    told = run("--help")
    assert "Go there." in told
    assert "Where else." in told
    assert "--place" not in told
