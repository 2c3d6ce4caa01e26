"""Answers to look at: pages that stand alone, safe for any file name, and pictures in the terminal."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from PIL import Image

from query.cli import app as query_app
from tests.commands import asked, command, refused
from tests.copies import copy_store
from tests.photographs import sample
from tests.terminal import PLAIN, SIXEL, in_terminal

HOSTILE = [
    b"bold<script>alert(1)</script>",
    b'"><img src=x onerror=alert(2)>.png',
    b"' onmouseover='alert(3).png",
    b"&amp;&lt;.png",
    b"{policy}{answers} %s $x.png",
    "مرحبا \u202egnp.exe.png".encode(),
    b"caf\xe9 \xff.png",
    b"new\nline\ttab\x1b[31m.png",
    b"#hash?query=%41.png",
    ("long " * 48 + ".png").encode(),
]
"""File names, of which the first is a folder's and hence a label, too."""


@pytest.fixture(scope="module")
def made(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos``, their names hostile, ``store``, and ``snapshot`` with thumbnails only."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    place = tmp_path_factory.mktemp("made")
    originals = sorted(path for path in sample(place / "originals").rglob("*.*") if path.is_file())
    photos = os.fsencode(place / "photos")
    for original, name in zip(originals, [*HOSTILE[1:], b"plain.png", b"gone.png", b"10.png", b"11.png"], strict=False):
        folder = os.path.join(photos, HOSTILE[0].replace(b"/", b""))
        os.makedirs(folder, exist_ok=True)
        Image.open(original).convert("RGB").resize((320, 240)).save(os.fsdecode(os.path.join(folder, name)))
    copy_store(tags_store, place / "store")
    env = {**os.environ, "WORDSIGHT_STORE": str(place / "store"), "WORDSIGHT_CACHE": str(shared_cache)}
    for words in (["run", "photos", "--offline"], ["export", "snapshot", "--with-thumbnails"]):
        ran = command("ingest", *words, cwd=place, env=env)
        assert ran.status == 0, ran.err
    next((place / "photos").rglob("gone.png")).unlink()
    return place


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def pictures(self) -> list[Image.Image]:
        """Every picture in it, decoded."""
        return [Image.open(io.BytesIO(base64.b64decode(of["src"].split(",", 1)[1]))) for of in self.all("img")]


def page_of(*words: str | Path) -> Page:
    ran = asked(query_app, *words, "--html", "page.html")
    assert ran.status == 0, ran.err
    assert "page.html, " in ran.err
    return Page(Path("page.html").read_bytes())


def test_a_page_shows_every_answer_and_leads_to_its_file(place: Path) -> None:
    page = page_of("text", "animal", "-n", "20")
    lines = asked(query_app, "text", "animal", "-n", "20", "--json").json
    assert len(lines) == 13
    cards = page.all("img")
    assert len(cards) == 12  # one file is gone
    assert all(max(picture.size) == 320 and picture.format == "JPEG" for picture in page.pictures())
    leads_to = [unquote_to_bytes(urlsplit(link["href"]).path) for link in page.all("a")]
    assert all(link["href"].startswith("file:///") for link in page.all("a"))
    assert [os.path.exists(path) for path in leads_to] == [True] * 12
    assert any(path.endswith(b"caf\xe9 \xff.png") for path in leads_to)
    text = " ".join(page.text)
    assert [f"{line['score']:.4f}" in text for line in lines] == [True] * 13
    assert "13 of 13 pictures in collection photos" in text
    assert "not here" in text
    assert all(len(card["alt"]) > 3 for card in cards)


def test_hostile_names_stay_text_and_nothing_runs_or_is_fetched(place: Path) -> None:
    page = page_of("similar", next(Path("photos").rglob("plain.png")), "-n", "20", "--plus", "sea", "--minus", "car")
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "a", "img", "div", "h1", "p", "main", "ol"}
    assert {tag for tag, _ in page.tags} <= allowed | {"li", "figure", "figcaption", "span"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert {attributes["src"].split(",")[0] for attributes in page.all("img")} == {"data:image/jpeg;base64"}
    names = {attributes["alt"].rpartition("/")[2] for attributes in page.all("img")}
    assert {'"><img src=x onerror=alert(2)>.png', "&amp;&lt;.png", "' onmouseover='alert(3).png"} <= names
    assert r"new\nline\ttab\x1b[31m.png" in names
    assert "مرحبا \\u202egnp.exe.png" in names
    assert "bold<script>alert(1)<script>" in {attributes.get("title") for attributes in page.all("span")}
    (style,) = re.findall(r"<style>(.*?)</style>", Path("page.html").read_text(), re.DOTALL)
    policy = next(of["content"] for of in page.all("meta") if of.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"
    )
    heading = re.search(r"<h1>(.*?)</h1>", Path("page.html").read_text())
    assert heading
    assert re.sub("<[^>]*>", "", heading[1]) == "plain.png + sea \N{MINUS SIGN} car"


def test_the_picture_asked_about_is_on_top_wherever_it_came_from(place: Path) -> None:
    plain = next(Path("photos").rglob("plain.png"))
    new = Image.open(plain).rotate(5)
    new.save("new.png")
    by_stdin = command("query", "tags", "-", "--html", "page.html", stdin=Path("new.png").read_bytes())
    assert by_stdin.status == 0, by_stdin.err
    page = Page(Path("page.html").read_bytes())
    assert [picture.size for picture in page.pictures()] == [(320, 240)]
    assert "a picture from standard input" in " ".join(page.text)
    assert by_stdin.out.splitlines()[0].split("\t")[1] in page.text  # the first tag
    stored = page_of("tags", plain)
    assert unquote_to_bytes(urlsplit(stored.all("a")[0]["href"]).path) == os.fsencode(place / plain)
    gone = page_of("similar", plain.with_name("gone.png"), "-n", "1")  # known by its vectors only
    assert "no preview of the picture asked about" in " ".join(gone.text)
    assert len(gone.all("img")) == 1


def test_a_snapshot_shows_the_thumbnails_it_carries(place: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree("snapshot", tmp_path / "snapshot")
    shutil.move("photos", "moved away")
    monkeypatch.chdir(tmp_path)
    try:
        page = page_of("text", "animal", "-n", "20", "--snapshot", "snapshot")
    finally:
        shutil.move(place / "moved away", place / "photos")
    assert [max(picture.size) for picture in page.pictures()] == [256] * 13
    assert page.all("a") == []


def test_a_page_can_go_to_standard_output_alone(place: Path) -> None:
    ran = asked(query_app, "text", "animal", "--html", "-", "-n", "3")
    assert ran.err == ""
    assert ran.out.startswith("<!doctype html>")
    assert ran.out.endswith("</html>\n")
    assert len(Page(ran.out.encode()).all("li")) == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--html", "no such/page.html"], "no folder"),
        (["--html", "photos"], "is not a file"),
        (["--html", "/dev/null"], "is not a file"),
        (["--html", "original.png"], "exists and is not a page"),
        (["--html", "-", "--json"], "exclude each other"),
        (["--html", "-", "--open"], "leave out"),
        (["--preview", "-0"], "exclude each other"),
        (["--min-score", "much"], "'much'"),
        (["--min-score", "nan"], "'nan'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_asked(place: Path, options: list[str], told: str) -> None:
    Path("original.png").write_bytes(b"\x89PNG a dear picture")
    refused(asked(query_app, "text", "animal", *options), told)
    assert Path("original.png").read_bytes() == b"\x89PNG a dear picture"
    assert Path("/dev/null").is_char_device()


def test_an_older_page_is_replaced_and_a_link_is_followed(place: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "pages.html", tmp_path / "link.html"
    link.symlink_to(target)
    for word in ("animal", "building"):
        assert asked(query_app, "text", word, "--html", link).status == 0
        assert f"<h1>{word}</h1>" in target.read_text()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.glob("*html*")) == ["link.html", "pages.html"]


def test_a_page_is_opened_and_kept_for_a_while(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    cache = Path(os.environ["WORDSIGHT_CACHE"]) / "pages"
    cache.mkdir(exist_ok=True)
    for number in range(25):
        (cache / f"2020-01-01 {number:02}.html").touch()
    ran = command("query", "text", "animal", "--open", "-n", "2")
    assert (ran.status, len(ran.rows)) == (0, 2), ran.err
    page = Path(unquote_to_bytes(urlsplit((tmp_path / "opened").read_text()).path).decode())
    assert page.parent == cache
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert len(list(cache.iterdir())) == 20


def test_a_full_disk_leaves_the_older_page(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    assert asked(query_app, "text", "animal", "--html", page).status == 0
    before = page.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran = asked(query_app, "text", "building", "--html", page)
    assert ran.status == 2
    assert "No space left on device; what was there is as before" in ran.err
    assert page.read_bytes() == before
    assert list(tmp_path.glob("*.tmp")) == []


# In the terminal


def test_a_terminal_that_draws_sixels_gets_them_and_the_lines(place: Path) -> None:
    status, got, told = in_terminal("query", "text", "animal", "-n", "5", "--preview", answers=SIXEL)
    assert (status, told) == (0, "")
    assert got.count(b"\x1bP") == 2  # 100 columns hold four in a row
    text = got.decode(errors="replace")
    assert re.search(r"1  0\.\d{4}  bold<scrip…", text)
    assert "5  0." in text
    assert text.count("photos/") == 5


def test_kitty_gets_its_own_protocol_in_full_colour(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # which the protocol must not be touched by
    status, got, told = in_terminal("query", "text", "animal", "-n", "4", "--preview", answers=PLAIN, kitty=True)
    assert (status, told) == (0, "")
    (number,) = set(re.findall(rb"\x1b_Ga=p,i=(\d+),c=94", got))
    red, green, blue = (int(number) >> 16 & 255, int(number) >> 8 & 255, int(number) & 255)
    assert f"\x1b[38;2;{red};{green};{blue}m\U0010eeee".encode() in got
    data = b"".join(re.findall(rb"\x1b_Gi=\d+,m=[01],f=100,q=2;([^\x1b]*)\x1b", got))
    strip = Image.open(io.BytesIO(base64.b64decode(data)))
    assert strip.size == (940, 160)
    assert strip.convert("L").getextrema()[1] > 200


@pytest.mark.parametrize(("term", "answers"), [("xterm", PLAIN), ("xterm", {}), ("dumb", SIXEL)])
def test_a_terminal_without_graphics_says_so_and_gets_the_lines(
    place: Path, term: str, answers: dict[bytes, bytes]
) -> None:
    status, got, told = in_terminal("query", "text", "animal", "-n", "5", "--preview", answers=answers, term=term)
    assert status == 0
    assert told.startswith(f"no preview: this terminal ({term}) draws neither sixels nor kitty's graphics")
    assert got.decode().count("photos/") == 5
    assert b"\x1bP" not in got


def test_a_pipe_gets_no_preview_and_is_told_why(place: Path) -> None:
    ran = command("query", "text", "animal", "-n", "3", "--preview")
    assert (ran.status, len(ran.rows)) == (0, 3)
    assert ran.err.startswith("no preview: standard output is not a terminal")


def test_who_wants_lines_pays_for_nothing_else(place: Path) -> None:
    code = (
        "import sys\nfrom query.__main__ import main\nsys.argv = ['query', 'text', 'animal']\n"
        "try:\n    main()\nfinally:\n"
        "    print([m for m in ('markupsafe', 'textual_image', 'webbrowser', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


# The cut-off


def test_what_stands_out_comes_first_and_the_nearest_are_told_apart(place: Path) -> None:
    every = asked(query_app, "text", "motorcycle", "-n", "20").rows
    ran = asked(query_app, "text", "motorcycle", "-n", "20", "--min-score", "auto")
    standing = [row for row in ran.rows if row[-1] != "nearest"]
    assert ran.status == 0
    assert 0 < len(standing) < len(every)
    assert [row[:3] for row in ran.rows] == [row[:3] for row in every]
    assert ran.rows[: len(standing)] == standing
    sentence = r"\d pictures? stands? out, at 0\.\d{4} or more(?: or by name)?; what follows is only the nearest\n"
    assert re.fullmatch(sentence, ran.err)
    assert "stand" in " ".join(page_of("text", "motorcycle", "-n", "20", "--min-score", "auto").text)
    bare = asked(query_app, "text", "motorcycle", "-n", "20", "--min-score", "auto", "--paths-only")
    assert bare.out.splitlines() == [row[2] for row in standing]
    told = asked(query_app, "text", "motorcycle", "-n", "20", "--min-score", "auto", "--json")
    assert sum(json.loads(line)["stands_out"] for line in told.out.splitlines()) == len(standing)


def test_a_word_for_nothing_there_ends_with_status_1_and_shows_the_nearest(place: Path) -> None:
    for extra in ([], ["--html", "never.html"]):
        ran = asked(query_app, "text", "mortgage", "--min-score", "auto", *extra)
        assert ran.status == 1
        assert {row[-1] for row in ran.rows} == {"nearest", "nearest missing"}
        assert "nothing stands out: the nearest picture scores 0." in ran.err
        assert "what is shown is only the nearest" in ran.err
    page = Path("never.html").read_text()
    assert "mortgage" in page
    assert "othing stands out: the nearest picture scores 0." in page
    assert page.index("The nearest of the others") < page.index("<img")
    assert asked(query_app, "text", "mortgage", "--min-score", "auto", "--paths-only").out == ""


def test_the_cut_is_the_same_in_a_snapshot_and_filters_do_not_move_it(place: Path) -> None:
    words = ("text", "motorcycle", "--min-score", "auto", "-n", "20")
    live = asked(query_app, *words)
    assert asked(query_app, *words, "--snapshot", "snapshot").rows == live.rows
    under = asked(query_app, *words, "--under", "bold<script>alert(1)<script>")
    assert [row for row in under.rows if row[-1] != "nearest"] == [row for row in live.rows if row[-1] != "nearest"]
    absent = asked(query_app, *words, "--label", "absent")
    assert (absent.status, absent.out) == (1, "")
    assert "no label absent" in absent.err


def test_pictures_that_stand_out_by_looks_or_meaning_are_kept_when_both_count(place: Path) -> None:
    picture = next(Path("photos").rglob("plain.png"))
    kept = [
        {
            row[2]
            for row in asked(query_app, "similar", picture, "-n", "20", "--vector", by, "--min-score", "auto").rows
            if row[-1] != "nearest"
        }
        for by in ("visual", "semantic", "both")
    ]
    assert kept[2] == kept[0] | kept[1]
    assert 0 < len(kept[2]) < 12
