"""Duplicates: who is in a group, who is first, what is said of them, in all three stores."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from model.pictures import Looks, signature_of
from query.asking import duplicates, find_duplicates, judging, nearest
from query.asking.judging import read_looks
from tests.commands import command, refused
from tests.copies import copy_store
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
    monkeypatch.setattr(duplicates, "MOST_PROPOSED", 4)
    monkeypatch.setattr(nearest, "ROWS", 5)
    monkeypatch.setattr(nearest, "COLUMNS", 7)
    near = [point(f"{i:02}.jpg", i / 10, side=200 - i) for i in range(40)]
    exact = [point(f"copy-{i}.jpg", 60, sha256="same", side=50, time=i) for i in range(9)]
    groups = groups_of(tmp_path, [*exact, *near], 0.99)
    assert groups == [[f"{i:02}.jpg" for i in range(40)], [f"copy-{i}.jpg" for i in range(9)]]


class Files:
    """Pictures that are files, and a collection of them whose vectors lie at the angles that a test gives them."""

    def __init__(self, place: Path, originals: Path) -> None:
        self.folder = place / "files"
        self.folder.mkdir()
        self._store = place / "store"
        self._points: list[Point] = []
        self.signed = False
        self.photos = {path.stem: Image.open(path).convert("RGB") for path in originals.rglob("*.*g")}

    def add(self, path: str, image: Image.Image, degrees: float, *, side: tuple[int, int] | None = None) -> None:
        image.save(self.folder / path)
        data = (self.folder / path).read_bytes()
        width, height = side or image.size
        signature = signature_of(image) if self.signed else b""
        picture = Picture(path, hashlib.sha256(data).hexdigest(), width, height, len(data), 1, 1.0, signature=signature)
        direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)
        self._points.append(Point(picture.id, {VISUAL: direction, SEMANTIC: direction}, picture.to_payload()))

    def groups(self, threshold: float = 0.9, *, alike: bool = False) -> list[list[tuple[str, str, float]]]:
        metadata = replace(METADATA, root=str(self.folder))
        with EmbeddedStore(self._store).create("made", metadata) as collection:
            collection.upsert(self._points)
            found = find_duplicates(collection, threshold, alike=alike)
        return [
            [(member.picture.path, str(member.kind), round(member.score, 4)) for member in group.members]
            for group in found
        ]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []

    def noted(file: Path, picture: Picture) -> Looks | None:
        names.append(file.name)
        return read_looks(file, picture)

    monkeypatch.setattr(judging, "read_looks", noted)
    return names


@pytest.fixture
def files(tmp_path: Path, originals: Path) -> Files:
    made = Files(tmp_path, originals)
    made.add("cat.png", made.photos["chelsea"], 0)
    return made


def test_a_copy_whose_vector_is_far_away_is_told_by_its_pixels(files: Files) -> None:
    files.add("small.png", ImageOps.scale(files.photos["chelsea"], 0.5), 60)
    files.add("coffee.png", files.photos["coffee"], 50)
    assert files.groups() == [[("cat.png", "copy", 1.0), ("small.png", "same", 0.5)]]


def test_files_are_opened_only_of_pairs_that_signatures_do_not_refute(files: Files, opened: list[str]) -> None:
    files.signed = True
    files.add("mirrored.png", ImageOps.mirror(ImageOps.scale(files.photos["rocket"], 0.5)), 20)
    files.add("rocket.png", files.photos["rocket"], 21)
    files.add("coffee.png", files.photos["coffee"], 22)
    files.add("small.png", files.photos["coffee"].resize((75, 50)), 80)
    assert [[path for path, *_ in group] for group in files.groups()] == [
        ["rocket.png", "mirrored.png"],
        ["coffee.png", "small.png"],
    ]
    assert sorted(opened) == ["cat.png", "coffee.png", "mirrored.png", "rocket.png", "small.png"]


def test_a_file_without_a_signature_is_opened_once(files: Files, opened: list[str]) -> None:
    """The cat has none; it is compared with both others."""
    files.signed = True
    files.add("rocket.png", files.photos["rocket"].resize((451, 300)), 1)
    files.add("coffee.png", files.photos["coffee"].resize((451, 300)), 2)
    assert files.groups() == []
    assert opened == ["cat.png"]


def test_a_signature_proves_nothing_without_the_file(files: Files) -> None:
    files.signed = True
    files.add("small.png", ImageOps.scale(files.photos["chelsea"], 0.5), 10)
    (files.folder / "small.png").unlink()
    assert files.groups() == []


def test_below_a_cosine_of_four_tenths_no_pixels_are_compared(files: Files) -> None:
    files.add("small.png", ImageOps.scale(files.photos["chelsea"], 0.5), 67)
    assert files.groups() == []


def test_what_looks_alike_by_its_vectors_only_is_told_where_it_is_asked_for(files: Files) -> None:
    files.add("coffee.png", files.photos["coffee"], 10)
    files.add("rocket.png", files.photos["rocket"], 40)
    (files.folder / "coffee.png").unlink()  # it is not looked at for that
    assert files.groups(alike=True) == [[("coffee.png", "copy", 1.0), ("cat.png", "alike", 0.9848)]]


def test_what_looks_alike_is_not_told_unasked(files: Files) -> None:
    files.add("coffee.png", files.photos["coffee"], 10)
    assert files.groups() == []


def test_a_file_that_changed_since_it_was_indexed_is_no_proof(files: Files) -> None:
    files.add("small.png", files.photos["coffee"], 10)
    ImageOps.scale(files.photos["chelsea"], 0.5).save(files.folder / "small.png")
    assert files.groups() == []


def test_a_file_that_is_gone_is_no_proof_and_its_copies_are_told_all_the_same(files: Files) -> None:
    small = ImageOps.scale(files.photos["chelsea"], 0.5)
    files.add("small.png", small, 10)
    files.add("small again.png", small, 10)
    (files.folder / "small.png").unlink()
    (files.folder / "small again.png").unlink()
    assert files.groups() == [[("small again.png", "copy", 1.0), ("small.png", "copy", 1.0)]]


def test_a_pipe_in_the_place_of_a_picture_is_no_proof_and_not_waited_for(files: Files) -> None:
    files.add("small.png", ImageOps.scale(files.photos["chelsea"], 0.5), 10)
    (files.folder / "small.png").unlink()
    os.mkfifo(files.folder / "small.png")
    assert files.groups() == []


@pytest.mark.parametrize(("height", "groups"), [(138, 1), (140, 0)])
def test_pictures_of_other_shapes_are_not_opened(files: Files, height: int, groups: int) -> None:
    """300 x 200 beside 160 x 138, by which it is 1.29 times as wide, and beside 160 x 140, 1.31 times."""
    files.add("wide.png", files.photos["rocket"], 30, side=(300, 200))
    files.add("small.png", ImageOps.scale(files.photos["rocket"], 0.5), 40, side=(160, height))
    assert len(files.groups()) == groups


@pytest.mark.parametrize(("threshold", "found"), [(0.9, []), (0.7, [("cat.png", "copy"), ("small.png", "same")])])
def test_only_the_nearest_are_proposed_and_all_that_are_alike(
    files: Files, threshold: float, found: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest but the cat itself is the cup of coffee; its copy has a cosine of 0.766."""
    monkeypatch.setattr(duplicates, "MOST_PROPOSED", 1)
    files.add("coffee.png", files.photos["coffee"].resize((300, 200)), 20)
    files.add("small.png", ImageOps.scale(files.photos["chelsea"], 0.5), 40)
    assert [(path, kind) for group in files.groups(threshold) for path, kind, _ in group] == found


def test_the_command_groups_copies_tells_exact_ones_and_changes_nothing(tags_store: Path, tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos")
    copy_store(tags_store, tmp_path / "store")
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
    metadata = replace(METADATA, root=str(tmp_path))
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
