"""`ingest run --ocr`: text that stands in pictures, read once and found, with the models of the extra `ocr`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

import model.ocr.reader
from ingest.cli import app as ingest
from model.ocr import open_text_reader
from query.cli import app as query
from tests.commands import asked, refused
from tests.copies import copy_store

pytest.importorskip("rapidocr", reason="text in pictures needs the extra ocr")


def drawn(*lines: str, size: int = 44, ground: str = "white", ink: str = "black") -> Image.Image:
    image = Image.new("RGB", (900, 140 * len(lines) + 60), ground)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((40, 40 + 140 * row), line, font=ImageFont.load_default(size), fill=ink)
    return image


def test_what_is_read_of_a_picture() -> None:
    reader = open_text_reader()
    receipt = drawn("Bakery Corner", "Total  6,70 EUR", "x")
    assert reader.read(receipt) == "Bakery Corner\nTotal 6,70 EUR"
    assert reader.read(drawn("Museum", size=110, ground="#063", ink="white").rotate(4, fillcolor="#063")) == "Museum"
    assert reader.read(drawn("Umbrella 2047").rotate(180)) == "Umbrella 2047"
    assert reader.read(Image.new("RGB", (300, 200), "grey")) == ""
    assert reader.read(Image.new("RGB", (1, 1))) == ""


def test_text_is_read_once_and_found_wherever_its_picture_goes(
    tags_store: Path, tmp_path: Path, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    store: list[str | Path] = ["--store", tmp_path / "store"]
    (photos / "phone").mkdir(parents=True)
    drawn("Boarding pass", "Gate B14").save(photos / "phone" / "1.png")
    shutil.copyfile(originals / "rocket" / "rocket.jpg", photos / "rocket.jpg")
    copy_store(tags_store, tmp_path / "store")
    first = asked(ingest, "run", photos, "--offline", *store)
    assert "text" not in first.err
    assert {row["text"] for row in asked(query, "text", "boarding pass", "--json", *store).json} == {None}

    read = asked(ingest, "run", photos, "--offline", "--ocr", *store)
    assert "text was looked for in 2 pictures, and found in 1" in read.err
    found = asked(query, "text", "boarding passes", *store).rows
    assert [row[2:] for row in found] == [[str(photos / "phone" / "1.png"), "text"], [str(photos / "rocket.jpg")]]
    rows = {row["path"]: row for row in asked(query, "text", "boarding pass", "--json", *store).json}
    assert (rows["phone/1.png"]["text"], rows["phone/1.png"]["matched"]) == ("Boarding pass\nGate B14", "text")
    assert (rows["rocket.jpg"]["text"], rows["rocket.jpg"]["matched"]) == ("", None)
    assert "that stands in pictures is read" in asked(ingest, "status", *store).out
    no = asked(query, "text", "boarding pass", "--no-ocr", "--json", *store).json
    assert {row["matched"] for row in no} == {None}

    (photos / "phone" / "1.png").rename(photos / "moved.png")
    drawn("Invoice 1187").save(photos / "phone" / "2.png")
    later = asked(ingest, "run", photos, "--offline", *store)
    assert "text was looked for in 1 picture, and found in 1" in later.err
    texts = {row["path"]: row["text"] for row in asked(query, "text", "invoice", "--json", *store).json}
    assert texts == {"moved.png": "Boarding pass\nGate B14", "phone/2.png": "Invoice 1187", "rocket.jpg": ""}

    snapshot = tmp_path / "snapshot"
    assert asked(ingest, "export", snapshot, *store).status == 0
    carried = asked(query, "text", "gate b14", "--json", "-n", "1", "--snapshot", snapshot).json
    assert [(row["path"], row["matched"]) for row in carried] == [("moved.png", "text")]

    monkeypatch.setattr(model.ocr.reader, "find_spec", lambda name: importlib.util.find_spec("no_such_" + name))
    drawn("Later").save(photos / "phone" / "3.png")
    without = asked(ingest, "run", photos, "--offline", *store)
    assert without.status == 0
    assert "is not read, which earlier runs did: pip install 'wordsight[ocr]'" in without.err
    refused(asked(ingest, "run", photos, "--offline", "--ocr", *store), "pip install 'wordsight[ocr]'", "--ocr")


def test_a_run_without_it_is_for_that_run_alone(tags_store: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    store: list[str | Path] = ["--store", tmp_path / "store"]
    photos.mkdir()
    drawn("Museum").save(photos / "1.png")
    copy_store(tags_store, tmp_path / "store")
    asked(ingest, "run", photos, "--offline", "--ocr", *store)
    drawn("Library").save(photos / "2.png")
    assert "text was" not in asked(ingest, "run", photos, "--offline", "--no-ocr", *store).err
    assert "looked for in 1 picture" in asked(ingest, "run", photos, "--offline", *store).err
