"""Duplicates: who is in a group, who is first, what is said of them, in all three stores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from query.asking import duplicates, find_duplicates
from tests.commands import command, refused
from tests.photographs import sample

METADATA = CollectionMetadata(
    "pictures", {VISUAL: 2, SEMANTIC: 2}, "glove-6b-50d", "0" * 64, "efficientnet-lite0", "0" * 64, root="/r"
)


def point(path: str, degrees: float, *, sha256: str = "", side: int = 100, size: int = 1000, time: int = 1) -> Point:
    picture = Picture(path, (sha256 or path).ljust(64, "0"), side, side, size, time, 1.0)
    direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)
    return Point(picture.id, {VISUAL: direction, SEMANTIC: direction}, picture.to_payload())


def groups_of(tmp_path: Path, points: list[Point], threshold: float) -> list[list[str]]:
    with EmbeddedStore(tmp_path).create("made", METADATA) as collection:
        collection.upsert(points)
        found = find_duplicates(collection, threshold, alike=True)
    return [[member.picture.path for member in group.members] for group in found]


def test_a_chain_is_not_one_group_and_nobody_is_in_two(tmp_path: Path) -> None:
    """Steps of 10 degrees: each is near the next, the ends are strangers."""
    chain = [point(f"{i}.jpg", 10 * i, side=100 - i) for i in range(7)]
    assert groups_of(tmp_path, chain, float(np.cos(np.radians(15)))) == [
        ["0.jpg", "1.jpg"],
        ["2.jpg", "3.jpg"],
        ["4.jpg", "5.jpg"],
    ]


def test_the_first_has_the_most_pixels_then_bytes_then_age(tmp_path: Path) -> None:
    points = [
        point("old.jpg", 0, time=1),
        point("new.jpg", 0, time=9),
        point("heavy.jpg", 1, size=2000),
        point("large.jpg", 2, side=200),
        point("other.jpg", 90),
    ]
    assert groups_of(tmp_path, points, 0.99) == [["large.jpg", "heavy.jpg", "old.jpg", "new.jpg"]]


def test_more_copies_than_are_asked_for_at_once_are_all_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "NEIGHBOURS", 4)
    monkeypatch.setattr(duplicates, "PAGE", 5)
    near = [point(f"{i:02}.jpg", i / 10, side=200 - i) for i in range(40)]
    exact = [point(f"copy-{i}.jpg", 60, sha256="same", side=50, time=i) for i in range(9)]
    groups = groups_of(tmp_path, [*exact, *near], 0.99)
    assert groups == [[f"{i:02}.jpg" for i in range(40)], [f"copy-{i}.jpg" for i in range(9)]]


def test_the_command_groups_copies_tells_exact_ones_and_changes_nothing(tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos")
    cat, rocket = photos / "cat/chelsea.png", photos / "rocket/rocket.jpg"
    shutil.copyfile(cat, photos / "again.png")
    os.utime(photos / "again.png", ns=(2_000_000_000 * 10**9,) * 2)
    ImageEnhance.Brightness(Image.open(rocket)).enhance(1.05).save(photos / "small.jpg", quality=60)
    before = sorted(photos.rglob("*"))
    assert command("ingest", "run", photos, "--offline", "--projection", "conse").status == 0
    store = tmp_path / "store"
    here = EmbeddedStore(store)
    assert here.names()

    ran = command("query", "duplicates", "--json", cwd=photos)
    assert ran.status == 0, ran.err
    told = {row["pictures"][0]["path"]: [(p["path"], p["exact_copy"]) for p in row["pictures"][1:]] for row in ran.json}
    assert told["cat/chelsea.png"] == [("again.png", True)]
    assert told["rocket/rocket.jpg"] == [("small.jpg", False)]
    rows = command("query", "duplicates", cwd=photos).rows
    assert {row[2] for row in rows} == {"first", "copy", "same"}
    bare = command("query", "duplicates", "--paths-only", cwd=photos).out.splitlines()
    assert {"again.png", "small.jpg"} <= set(bare)
    assert not {"cat/chelsea.png", "rocket/rocket.jpg"} & set(bare)  # what a reader might remove
    assert command("query", "duplicates", "-0", cwd=photos).out == "".join(path + "\0" for path in bare)

    assert command("ingest", "export", tmp_path / "snapshot").status == 0
    carried = command("query", "duplicates", "--json", "--snapshot", tmp_path / "snapshot", cwd=photos)
    assert [json.dumps(row) for row in carried.json] == [json.dumps(row) for row in ran.json]

    assert {row["kind"] for row in ran.json} == {"copy", "same"}
    near = command("query", "duplicates", "--threshold", "0.3", "--alike", "--json", cwd=photos).json
    assert {row["kind"] for row in near} >= {"alike"}
    refused(command("query", "duplicates", "--threshold", "0"), "--threshold")
    refused(command("query", "duplicates", "--threshold", "nan"), "--threshold")
    refused(command("query", "duplicates", "--json", "-0"), "--json")
    (photos / "again.png").unlink()
    (photos / "small.jpg").unlink()
    before = [path for path in before if path.name not in ("again.png", "small.jpg")]
    assert command("ingest", "run", photos, "--offline").status == 0
    nothing = command("query", "duplicates", cwd=photos)
    assert (nothing.status, nothing.out) == (1, "")
    assert sorted(photos.rglob("*")) == before


def test_a_small_copy_is_found_whatever_its_vector_says(tmp_path: Path) -> None:
    """A copy of 75 pixels, plain or mirrored, whose vectors have nothing in common with the original's."""
    photos = sample(tmp_path / "photos")
    rocket = Image.open(photos / "rocket/rocket.jpg").convert("RGB")
    small = rocket.resize((75, round(75 * rocket.height / rocket.width)))
    files = {"rocket.png": rocket, "small.png": small, "mirrored.png": ImageOps.mirror(small)}
    files["cat.png"] = Image.open(photos / "cat/chelsea.png").convert("RGB").resize((75, 50))
    points = []
    for number, (name, image) in enumerate(files.items()):
        image.save(tmp_path / name)
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        made = point(name, 90 * min(number, 1) + number)
        picture = Picture(name, digest, *image.size, 1000, 1, 1.0)
        points.append(Point(picture.id, made.vectors, picture.to_payload()))
    metadata = dataclasses.replace(METADATA, root=str(tmp_path))
    with EmbeddedStore(tmp_path / "store").create("made", metadata) as collection:
        collection.upsert(points)
        found = find_duplicates(collection)
    assert [[member.picture.path for member in group.members] for group in found] == [
        ["rocket.png", "mirrored.png", "small.png"]
    ]
    assert {member.score < 0.1 for member in found[0].members[1:]} == {True}


def test_a_long_comparison_gives_way_to_a_writer(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    with store.create("made", METADATA) as collection:
        collection.upsert([point(f"{i}.jpg", i) for i in range(20)])
    with store.open("made") as reading:
        seen = []

        def write_at_the_fifth(_: int) -> None:
            seen.append(1)
            if len(seen) == 5:
                import threading

                def write() -> None:
                    with store.open("made", write=True) as writing:
                        writing.upsert([point("late.jpg", 3)])
                    written.append(True)

                written: list[bool] = []
                thread = threading.Thread(target=write)
                thread.start()
                while not written:
                    reading.yield_lock()
                thread.join()

        assert find_duplicates(reading, 0.9999, write_at_the_fifth) == []
        assert reading.count() == 21
