"""Scanning a folder: which files, in which order, under which labels, and what is passed over."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from model.errors import DatasetError
from model.pictures import LeftOut, PictureFile, dataset_root, label_of, scan
from tests.model.datasets import names, touch


def test_the_order_is_that_of_names_whatever_the_disk_says(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/10.jpg", "c.jpg", "a/z.jpg", "a/deep/1.jpg", "B.jpg", "a.jpg", "b/1.jpg")
    wanted = ["B.jpg", "a.jpg", "c.jpg", "a/z.jpg", "a/deep/1.jpg", "b/1.jpg", "b/10.jpg", "b/2.jpg"]
    assert names(tmp_path) == wanted


def test_a_file_is_told_with_size_time_and_label(tmp_path: Path) -> None:
    touch(tmp_path, "animals/dog/rex.jpg", "top.jpg")
    os.utime(tmp_path / "top.jpg", ns=(5, 123_456_789))
    top, rex = scan(tmp_path, LeftOut())
    inode = (tmp_path / "top.jpg").stat().st_ino
    assert top == PictureFile(tmp_path, "top.jpg", size=len("top.jpg"), mtime_ns=123_456_789, inode=inode)
    assert (top.label, rex.label) == (None, "dog")
    assert rex.path.read_bytes() == b"animals/dog/rex.jpg"


def test_the_label_is_the_name_of_the_folder() -> None:
    assert label_of("dog/rex.jpg") == "dog"
    assert label_of("animals/big dogs/rex.jpg") == "big dogs"
    assert label_of("rex.jpg") is None


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg", ".git/a.jpg", "._a.jpg", "a.jpg", "b/.c/d.jpg")
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["a.jpg"]
    assert left_out == LeftOut()


def test_endings_count_in_any_case_and_others_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.JPG", "b.Jpeg", "c.PNG", "d.txt", "e.TXT", "f", "g.tar.gz", "h.HEIC")
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["a.JPG", "b.Jpeg", "c.PNG", "h.HEIC"]
    assert left_out.endings == {".txt": 2, "no ending": 1, ".gz": 1}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a b  c.jpg", id="spaces"),
        pytest.param("two\nlines.jpg", id="newline"),
        pytest.param("\N{DOG FACE}\N{CAT FACE}/\N{DOLPHIN}.jpg", id="emoji"),
        pytest.param(os.fsdecode(b"caf\xe9/gr\xfc\xdfe.jpg"), id="latin-1"),
        pytest.param("back\\slash.jpg", id="backslash"),
        pytest.param("-rf *.jpg", id="like-an-option"),
        pytest.param("n" * 250 + ".jpg", id="long"),
    ],
)
def test_any_name_the_disk_allows_is_found_and_opens(tmp_path: Path, name: str) -> None:
    try:
        touch(tmp_path, name)
    except (OSError, UnicodeError):
        pytest.skip("this file system does not allow the name")
    (found,) = scan(tmp_path, LeftOut())
    assert found.relative == name
    assert found.path.read_bytes() == os.fsencode(name)


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    link, real = scan(tmp_path, LeftOut())
    assert (link.relative, real.relative) == ("link.jpg", "real/a.jpg")
    assert link.size == real.size


def test_links_to_folders_are_counted_and_followed_only_on_request(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.jpg")
    touch(tmp_path / "root", "b.jpg")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    left_out = LeftOut()
    assert names(tmp_path / "root", left_out) == ["b.jpg"]
    assert left_out.links == ["linked"]
    left_out = LeftOut()
    assert names(tmp_path / "root", left_out, follow_links=True) == ["b.jpg", "linked/a.jpg"]
    assert left_out.links == []


def test_a_folder_that_is_there_itself_keeps_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "zebra/a.jpg")
    (tmp_path / "animal").symlink_to(tmp_path / "zebra")
    assert names(tmp_path, follow_links=True) == ["zebra/a.jpg"]


def test_a_link_that_may_lead_to_a_folder_is_told_where_it_leads_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "album").symlink_to(tmp_path / "unmounted")
    left_out = LeftOut()
    assert names(tmp_path, left_out, follow_links=True) == ["a.jpg"]
    assert left_out.unreadable == {"album": "No such file or directory"}


def test_a_snapshot_in_the_folder_is_no_part_of_it(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.jpg",
        "kept/manifest.json",
        "kept/pictures.parquet",
        "kept/pictures/a.jpg",
        "b/manifest.json",
        "b/b.jpg",
    )
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["a.jpg", "b/b.jpg"]
    assert left_out.snapshots == ["kept"]


@pytest.mark.timeout(20)
def test_loops_of_links_end_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "over").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    found = names(tmp_path, follow_links=True)
    assert found == ["self.jpg", "a/1.jpg", "b/2.jpg"]
    assert names(tmp_path) == found


def test_a_broken_link_is_not_lost_but_left_to_whoever_reads_it(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert list(scan(tmp_path, LeftOut())) == [PictureFile(tmp_path, "gone.jpg", size=0, mtime_ns=0)]


@pytest.mark.timeout(20)
def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)  # a socket's path may have about 100 letters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
        left_out = LeftOut()
        assert names(tmp_path, left_out) == ["a.jpg"]
    assert left_out.special == 2


def test_an_unreadable_folder_is_told_and_the_rest_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.jpg", "locked/2.jpg", "z/3.jpg")
    real = os.scandir

    def scandir(path: Path) -> object:  # root may read everything: permissions cannot be used here
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["a/1.jpg", "z/3.jpg"]
    assert left_out.unreadable == {"locked": "Permission denied"}


def test_a_folder_that_vanishes_during_the_scan_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    left_out = LeftOut()
    scanning = scan(tmp_path, left_out)
    assert next(scanning).relative == "a/1.jpg"
    (tmp_path / "b" / "2.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert list(scanning) == []
    assert left_out.unreadable == {"b": "No such file or directory"}


def test_an_empty_folder_has_no_pictures(tmp_path: Path) -> None:
    assert names(tmp_path) == []


def test_the_root_is_absolute_and_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    real = (tmp_path / "real").resolve()
    assert dataset_root(Path("link")) == dataset_root(Path("real/../real/")) == real
    monkeypatch.setenv("HOME", str(tmp_path))
    assert dataset_root(Path("~/real")) == real


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "no folder .*nowhere: check the path"),
        ("a.jpg", "is a file: name the folder it lies in"),
        ("a.jpg/below", "cannot read the folder .*: Not a directory"),
        ("loop", "cannot read the folder .*: (a loop|Too many levels) of (symbolic )?links"),
    ],
)
def test_a_root_that_is_none_is_refused_with_the_reason(tmp_path: Path, name: str, told: str) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DatasetError, match=told):
        dataset_root(tmp_path / name)
