"""The page of `model evaluate --report`: whole in itself, bounded, and safe for any name."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import UsageError
from model.judging import check_target, write_report
from model.judging.charts import Series, line_chart
from model.judging.evaluation import (
    ALL_LABELS,
    TAG_VOCABULARY,
    TEST,
    TRAIN,
    TRAINED_LABELS,
    UNSEEN,
    Estimate,
    Evaluation,
    Prediction,
    Sample,
)
from model.projections import Tag

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = "\"'><img src=x onerror=alert(2)> {policy} %s"
NOT_UTF8 = os.fsdecode(b"caf\xe9 \xff")


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.source = file.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def within(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag and text.strip()]

    @property
    def text(self) -> str:
        return " ".join(" ".join(text for _, text in self.texts).split())

    def order(self, *texts: str) -> bool:
        places = [self.source.index(text) for text in texts]
        return places == sorted(places)


def predicted(path: str | Path, label: str, words: str, trained: str = "", accepted: str = "") -> Prediction:
    tags = tuple(Tag(word, 0.5, word in trained.split()) for word in words.split())
    return Prediction(Sample(str(path), label, UNSEEN, "0" * 64), "cat", tags, frozenset({accepted or label}))


def estimate(percent: float) -> Estimate:
    return Estimate(percent, percent - 1, percent + 1, 10)


def evaluation(**changes: Any) -> Evaluation:
    hits = {k: estimate(50 + k) for k in (1, 2, 3, 5, 10)}
    made = {
        "name": "best",
        "labels": ["cat", "dog", "owl"],
        "unseen": ["lamp"],
        "hits": {
            (TRAIN, TRAINED_LABELS): hits,
            (TEST, TRAINED_LABELS): hits,
            (UNSEEN, ALL_LABELS): hits,
            (UNSEEN, TAG_VOCABULARY): hits,
        },
        "harmonic_mean": {1: 61.5},
        "unseen_tagged": (1, 2),
        "mean_ap": {TEST: estimate(90.5)},
        "r_precision": {TEST: estimate(80.5)},
        "confusion": np.array([[5, 2, 0], [0, 7, 0], [0, 1, 3]]),
        "predictions": [],
        "history": [{"loss": 0.9, "hit@2": 40.0}, {"loss": 0.3, "hit@2": 80.0}, {"loss": 0.1, "hit@2": 90.0}],
    }
    return Evaluation(**{**made, **changes})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos" / "lamp"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (600, 300), (80 * i, 40, 90)).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_a_page_shows_figures_curves_confusions_and_pictures(tmp_path: Path, photos: Path) -> None:
    seen = [
        predicted(photos / "0.png", "lamp", "lamp cat stove", trained="cat"),
        predicted(photos / "1.png", "lamp", "dog stove hose", trained="dog"),
        predicted(photos / "2.png", "lamp", "dog hose lamp", trained="dog"),
    ]
    written = write_report(tmp_path / "new" / "report", [evaluation(predictions=seen)])
    assert written == tmp_path / "new" / "report" / "report.html"
    page = Page(written)
    assert {"test hit@2, trained labels", "53.0 (52.0-54.0)"} <= set(page.within("th") + page.within("td"))
    assert "52.0 (51.0-53.0)" in page.within("td")
    assert "60.9" in page.within("td")  # the document's
    assert {"loss", "test hit@2, in percent"} <= set(page.within("figcaption"))
    curves = [of["points"].split() for of in page.all("polyline")]
    assert sorted(map(len, curves)) == [3, 3, 5, 5, 5, 5]
    descriptions = [of["aria-label"] for of in page.all("svg") if of.get("role") == "img"]
    assert "15 of 18 pictures on the diagonal, 3 beside it" in descriptions
    assert "loss. best: from 0.9 to 0.1" in descriptions
    assert [text for text in page.within("li") if "taken for" in text] == [
        "cat taken for dog: 2 of 7",
        "owl taken for dog: 1 of 4",
    ]
    # The worst picture first.
    assert page.order("lamp/1.png</span>", "lamp/2.png</span>", "lamp/0.png</span>")
    assert "found by best 2 of 3" in page.text
    assert page.source.count("<mark>lamp</mark>") == 2
    assert page.source.count('title="trained on">dog<') == 2
    assert "best: tag 3" in page.text
    assert "best: missed" in page.text
    images = [Image.open(io.BytesIO(base64.b64decode(of["src"].split(",")[1]))) for of in page.all("img")]
    assert [image.size for image in images] == [(256, 128)] * 3


def test_the_dots_of_a_curve_are_where_the_numbers_are() -> None:
    drawn = line_chart("hits", [Series("a", [(1, 0.0), (10, 100.0)]), Series("b", [(1, 50.0)])], across="k", top=100)
    (low, low_y), (high, high_y) = (
        map(float, point.split(",")) for point in re.findall(r'points="([^"]*)"', drawn)[0].split()
    )
    assert low < high
    assert high_y < low_y
    middle = float(re.findall(r'cy="([\d.]+)"', drawn)[2])
    assert middle == pytest.approx((low_y + high_y) / 2, abs=0.1)


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    label = f"{SCRIPT} {NOT_UTF8}"
    path = f"/nowhere/{SCRIPT}/{BREAKOUT}{NOT_UTF8}\n.png"
    page = Page(
        write_report(
            tmp_path,
            [
                evaluation(
                    name=f"{BREAKOUT}\n\x1b[31m{NOT_UTF8}",
                    labels=[label, BREAKOUT, "cat"],
                    predictions=[predicted(path, label, SCRIPT, trained=SCRIPT)],
                )
            ],
        )
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.all("img") == []
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [tag for tag, attributes in page.tags if {"src", "href", "style"} & attributes.keys()]
    assert "<script>alert(1)</script> caf\ufffd \ufffd taken for \"'><img" in page.text
    assert "{policy} %s\\n\\x1b[31mcaf" in page.text
    assert "\x1b" not in page.source
    (style,) = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(of["content"] for of in page.all("meta") if of.get("http-equiv") == "Content-Security-Policy")
    assert policy == (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"
    )
    assert not re.search(r"url\(|@import|https?://", page.source)


def test_files_that_are_gone_or_bad_are_shown_as_that(tmp_path: Path, photos: Path) -> None:
    paths = [photos / name for name in ("0.png", "bad.png", "pipe.png", "gone.png")]
    page = Page(write_report(tmp_path, [evaluation(predictions=[predicted(path, "lamp", "cat") for path in paths])]))
    assert len(page.all("img")) == 1
    assert page.text.count("missing, or not readable") == 3


def test_what_is_not_there_leaves_no_trace(tmp_path: Path) -> None:
    bare = evaluation(history=[], predictions=[], unseen=[], hits={}, confusion=np.zeros((3, 3), np.int64))
    page = Page(write_report(tmp_path, [bare]))
    assert page.within("h2") == ["Figures"]
    assert page.all("svg") == []
    once = Page(write_report(tmp_path, [evaluation(history=[{"loss": 0.5, "hit@2": 97.5}, {"loss": 0.25}])]))
    assert "After step 1, test hit@2, in percent: 97.5" in once.text
    perfect = Page(write_report(tmp_path, [evaluation(confusion=np.diag([3, 4, 5]))]))
    assert "No test picture is taken for another label." in perfect.text


def test_projections_are_side_by_side_and_a_picture_is_there_once(tmp_path: Path, photos: Path) -> None:
    both = [
        evaluation(predictions=[predicted(photos / "0.png", "lamp", "lamp cat")]),
        evaluation(name="conse", predictions=[predicted(photos / "0.png", "lamp", "stove cat")], history=[]),
    ]
    page = Page(write_report(tmp_path, both))
    assert len(page.all("img")) == 1
    assert "found by best 1 of 1, conse 0 of 1" in page.text
    assert len(page.all("dt")) == 2


def test_a_page_is_bounded_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    many = [
        predicted(f"/gone/{label}/{i:02}.png", f"label{label}", f"label{label}" if i < label % 5 else "cat")
        for label in range(43)
        for i in range(20)
    ]
    count = 90
    confusion = np.eye(count, dtype=np.int64) * 3
    confusion[7, 8] = confusion[80, 81] = 1
    labels = [f"name{i}" for i in range(count)]
    page = Page(write_report(tmp_path, [evaluation(predictions=many, labels=labels, confusion=confusion)]))
    assert len(page.all("ol")) == 41
    assert page.text.count("missing, or not readable") == 480
    assert "The 40 of 43 labels that are missed most." in page.text
    assert "the 8 worst and the 4 best of 20 pictures" in page.text
    best = [text for text in page.within("h3") if text.startswith("label3:")]
    assert best == ["label3: found by best 3 of 20; the 8 worst and the 4 best of 20 pictures"]
    assert "The 60 of 90 labels with the most mistakes." in page.text
    assert "name80 taken for name81: 1 of 4" in page.text
    assert page.source.count('<rect class="cell"') == 2


def test_a_report_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    for folder, reason in (("file", "file"), ("file/below", "file"), ("taken", "it is a folder")):
        with pytest.raises(UsageError, match=reason):
            check_target(tmp_path / folder)
    with pytest.raises(UsageError, match="cannot write"):
        check_target(Path("/proc/nowhere"))
    assert (tmp_path / "file").read_text() == "dear"
    check_target(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_full_disk_leaves_the_older_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_report(tmp_path, [evaluation()]).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_report(tmp_path, [evaluation(name="other")])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
