"""What `query duplicates` lists may be removed by whoever reads the list: what must never be in it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from model.errors import UsageError
from query import open_collection
from query.asking import ask_duplicates, join_collections
from tests.commands import SCRIPTS, command, refused
from tests.photographs import sample

ASKING = Path(__file__).parents[2] / "docs/asking.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three copies of one content and two of another; what they hold is not decoded."""
    folder = tmp_path / "photos"
    for path, content in (
        ("a/1.jpg", b"one"),
        ("b/2.jpg", b"one"),
        ("c/3.jpg", b"one"),
        ("a/4.jpg", b"other"),
        ("c/5.jpg", b"other"),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        os.utime(folder / path, ns=(int(path[2]) * 10**18,) * 2)
    return folder


def indexed(folder: Path, paths: Iterable[str] = (), *, root: str = "") -> EmbeddedStore:
    """A collection ``photos`` of the files, with one vector for each content."""
    paths = list(paths) or sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    metadata = CollectionMetadata(
        "pictures",
        {VISUAL: 2, SEMANTIC: 2},
        "glove-6b-50d",
        "0" * 64,
        "efficientnet-lite0",
        "0" * 64,
        root=root or str(folder),
    )
    store = EmbeddedStore(folder.parent / "store")
    with store.create("photos", metadata) as collection:
        collection.upsert([point(folder, path) for path in paths])
    return store


def point(folder: Path, path: str) -> Point:
    status, data = os.stat(folder / path), (folder / path).read_bytes()
    picture = Picture(path, hashlib.sha256(data).hexdigest(), 40, 30, status.st_size, status.st_mtime_ns, 1.0)
    vector = np.array([1, 0] if data == b"one" else [0, 1], np.float32)
    return Point(picture.id, {VISUAL: vector, SEMANTIC: vector}, picture.to_payload())


def groups(store: EmbeddedStore, **options: object) -> list[list[str]]:
    with store.open("photos") as collection:
        found = ask_duplicates(collection, **options)  # type: ignore[arg-type]
    return [[member.picture.path for member in group.members] for group in found]


BOTH = [["a/1.jpg", "b/2.jpg", "c/3.jpg"], ["a/4.jpg", "c/5.jpg"]]


def test_files_that_are_as_they_were_are_listed(folder: Path) -> None:
    assert sorted(groups(indexed(folder))) == BOTH


def test_a_group_whose_first_is_gone_has_another_first_or_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = indexed(folder)
    (folder / "a/1.jpg").unlink()
    (folder / "a/4.jpg").unlink()
    assert groups(store) == [["b/2.jpg", "c/3.jpg"]]
    assert "files left out of the duplicates: gone 2\n" in capsys.readouterr().err


def test_content_is_read_again_where_size_or_time_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = indexed(folder)
    os.utime(folder / "a/1.jpg")  # the same content at another time
    (folder / "b/2.jpg").write_bytes(b"new")
    assert sorted(groups(store)) == [["a/1.jpg", "c/3.jpg"], ["a/4.jpg", "c/5.jpg"]]
    assert "changed since they were indexed 1" in capsys.readouterr().err


def test_the_first_is_read_as_a_whole_though_nothing_seems_to_have_changed(folder: Path) -> None:
    store = indexed(folder)
    (folder / "a/4.jpg").write_bytes(b"OTHER")
    os.utime(folder / "a/4.jpg", ns=(4 * 10**18,) * 2)
    assert groups(store) == [["a/1.jpg", "b/2.jpg", "c/3.jpg"]]


def test_links_and_other_names_of_one_file_are_never_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real file was removed once, and its link kept."""
    (folder / "0.jpg").symlink_to("a/1.jpg")
    os.link(folder / "a/1.jpg", folder / "d.jpg")
    (folder / "linked").symlink_to(folder / "c")
    store = indexed(folder, ["0.jpg", "a/1.jpg", "b/2.jpg", "d.jpg", "linked/3.jpg"])
    assert groups(store) == [["a/1.jpg", "b/2.jpg"]]
    assert "links 2, other names of the first file 1" in capsys.readouterr().err
    (folder / "b/2.jpg").unlink()
    assert groups(store) == []


def test_a_dataset_below_a_link_is_no_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").symlink_to(folder)
    assert sorted(groups(indexed(folder, root=str(tmp_path / "moved")))) == BOTH


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_first_that_cannot_be_read_is_none(folder: Path) -> None:
    store = indexed(folder)
    (folder / "a/4.jpg").chmod(0)
    assert groups(store) == [["a/1.jpg", "b/2.jpg", "c/3.jpg"]]


def test_a_path_outside_the_dataset_is_never_listed(folder: Path, tmp_path: Path) -> None:
    shutil.copy2(folder / "a/1.jpg", tmp_path / "out.jpg")
    assert groups(indexed(folder, ["a/1.jpg", "../out.jpg"])) == []


@pytest.mark.parametrize(
    ("prefer", "first"),
    [("oldest", "a/1.jpg"), ("newest", "c/3.jpg"), ("b", "b/2.jpg"), ("c", "c/3.jpg"), ("", "a/1.jpg")],
)
def test_which_is_first_can_be_chosen(prefer: str, first: str, folder: Path) -> None:
    assert first in [group[0] for group in groups(indexed(folder), prefer=prefer)]


def test_a_folder_that_is_not_there_is_no_preference(folder: Path) -> None:
    with pytest.raises(UsageError, match="--prefer oldesst"):
        groups(indexed(folder), prefer="oldesst")


def test_only_what_was_asked_for_is_listed_and_its_first_may_be_elsewhere(folder: Path) -> None:
    store = indexed(folder)
    assert sorted(groups(store, under="c")) == [["a/1.jpg", "c/3.jpg"], ["a/4.jpg", "c/5.jpg"]]
    assert groups(store, labels="b") == [["a/1.jpg", "b/2.jpg"]]
    assert groups(store, under="a") == []
    assert sorted(groups(store, under="a", prefer="c")) == [["c/3.jpg", "a/1.jpg"], ["c/5.jpg", "a/4.jpg"]]
    assert len(groups(store, limit=1)) == 1


@pytest.fixture
def phone(folder: Path) -> EmbeddedStore:
    """Beside ``photos`` a folder ``phone`` with one of its contents and one of its own, and a collection of each."""
    store = indexed(folder)
    phone = folder.with_name("phone")
    for path, content in (("a/1.jpg", b"one"), ("new.jpg", b"new")):
        (phone / path).parent.mkdir(parents=True, exist_ok=True)
        (phone / path).write_bytes(content)
        os.utime(phone / path, ns=(9 * 10**18,) * 2)
    metadata = replace(store.metadata("photos"), root=str(phone))
    with store.create("phone", metadata) as collection:
        collection.upsert([point(phone, path) for path in ("a/1.jpg", "new.jpg")])
    return store


def across(store: EmbeddedStore, *names: str, **options: object) -> list[list[str]]:
    with ExitStack() as opened:
        pictures = join_collections([opened.enter_context(store.open(name)) for name in names])
        found = ask_duplicates(pictures, **options)  # type: ignore[arg-type]
    return sorted([member.picture.path for member in group.members] for group in found)


def test_what_is_in_two_collections_is_found(folder: Path, phone: EmbeddedStore) -> None:
    """Two files of the same path in their datasets are two pictures."""
    of_both = [["photos/a/1.jpg", "photos/b/2.jpg", "photos/c/3.jpg", "phone/a/1.jpg"]]
    assert across(phone, "photos", "phone")[:1] == of_both
    assert across(phone, "photos", "phone", under="phone", prefer="photos") == [["photos/a/1.jpg", "phone/a/1.jpg"]]
    assert across(phone, "phone", "photos", under="photos/a", prefer="phone")[0] == ["phone/a/1.jpg", "photos/a/1.jpg"]


def test_a_file_that_two_collections_hold_is_there_once(folder: Path, phone: EmbeddedStore) -> None:
    with phone.create("part", replace(phone.metadata("photos"), root=str(folder / "a"))) as collection:
        collection.upsert([point(folder / "a", "1.jpg"), point(folder / "a", "4.jpg")])
    assert across(phone, "part", "photos") == BOTH


def test_collections_of_two_encoders_are_not_compared(phone: EmbeddedStore) -> None:
    with phone.open("phone", write=True) as collection:
        collection.save(replace(collection.metadata, encoder="vgg16", encoder_sha256="1" * 64))
    with pytest.raises(UsageError, match="'photos' was made with encoder efficientnet-lite0 and 'phone' with vgg16"):
        across(phone, "photos", "phone")


def test_the_command_and_python_compare_collections(folder: Path, phone: EmbeddedStore) -> None:
    ran = command("query", "duplicates", "-c", "phone", "-c", "photos", "-0", cwd=folder.parent)
    files = ["photos/b/2.jpg", "photos/c/3.jpg", "phone/a/1.jpg", "photos/c/5.jpg"]
    assert sorted(ran.out.split("\0")[:-1]) == sorted(files), ran.err
    with open_collection(phone.root, "phone") as opened:
        groups = opened.duplicates(others=["photos", "phone"])
        assert sorted(os.path.relpath(m.file, folder.parent) for g in groups for m in g.members[1:]) == sorted(files)
    refused(command("query", "duplicates", "-c", "phone", "-c", "nobody"), "no collection 'nobody'")


def test_the_recipe_moves_what_is_there_twice_and_leaves_one_of_each(tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos")
    cat = Image.open(photos / "cat/chelsea.png").convert("RGB")
    (photos / "smaller").mkdir()
    cat.resize((225, 150)).save(photos / "smaller/cat.jpg")
    cat.save(photos / "smaller/cat-again.jpg", quality=70)
    shutil.copyfile(photos / "rocket/rocket.jpg", photos / "rocket again.jpg")
    os.utime(photos / "rocket again.jpg", ns=(2_000_000_000 * 10**9,) * 2)
    (photos / "link.jpg").symlink_to("rocket/rocket.jpg")
    before = {path.read_bytes() for path in photos.rglob("*.*")}
    assert command("ingest", "run", photos, "--offline", "--projection", "conse").status == 0

    ran = command("query", "duplicates", "--prefer", "smaller", "--under", "cat", "--json", cwd=photos)
    told = [(picture["path"], picture["kind"]) for picture in ran.json[0]["pictures"]]
    assert told == [("smaller/cat-again.jpg", "copy"), ("cat/chelsea.png", "same")]
    assert 0.5 < ran.json[0]["pictures"][1]["score"] < 1
    refused(command("query", "duplicates", "--prefer", "nowhere"), "--prefer nowhere")

    page = tmp_path / "page.html"
    assert command("query", "duplicates", "--html", page, cwd=photos).status == 0
    html = page.read_text()
    assert html.count("<h2>") == 2
    assert ">first</span>" in html
    assert "451 \N{MULTIPLICATION SIGN} 300" in html

    recipe = re.search(r"<!-- recipe commands -->\n```sh\n(.*?)```", ASKING.read_text(), re.DOTALL)
    assert recipe
    env = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    listing = subprocess.run(
        ["bash", "-ec", recipe[1]], cwd=photos, env=env, capture_output=True, text=True, check=False
    )
    assert listing.returncode == 0, listing.stderr
    moved = {path.name for path in (photos.parent / "twice").iterdir()}
    assert moved == {"cat.jpg", "cat-again.jpg", "rocket again.jpg"}
    left = {path.read_bytes() for path in photos.rglob("*.*")}
    assert {(photos.parent / "twice" / name).read_bytes() for name in moved} | left == before
    assert (photos / "cat/chelsea.png").exists()
