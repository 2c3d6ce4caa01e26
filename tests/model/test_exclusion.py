"""What a scan leaves out: junk of other programs, what patterns name, and what is no picture by its first bytes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from model.errors import DatasetError, UsageError
from model.pictures import Exclusions, LeftOut
from tests.model.datasets import names, touch


def rules(*patterns: str) -> LeftOut:
    return LeftOut(Exclusions(patterns))


JUNK = (
    "2019/@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/a.jpg",
    "@Recycle/a.jpg",
    "2019/.@__thumb/s800a.jpg",
    "$RECYCLE.BIN/S-1-5-21/a.jpg",
    ".thumbnails/1.jpg",
    "__MACOSX/2019/a.jpg",
    "lost+found/a.jpg",
    "Archive Previews.lrdata/3/a.jpg",
    "Family.photoslibrary/resources/derivatives/a.jpg",
    "Family.photoslibrary/Thumbnails/a.jpg",
)


def test_junk_of_other_programs_is_left_out_and_counted_by_name(tmp_path: Path) -> None:
    touch(tmp_path, *JUNK, "2019/IMG_1.jpg", "Family.photoslibrary/originals/3/a.jpg", "recycled bottles/a.jpg")
    left_out = LeftOut()
    wanted = ["2019/IMG_1.jpg", "Family.photoslibrary/originals/3/a.jpg", "recycled bottles/a.jpg"]
    assert names(tmp_path, left_out) == wanted
    assert left_out.junk.total() == len(JUNK)
    assert left_out.junk["@eaDir"] == 1
    assert left_out.junk["Thumbnails"] == 1


def test_a_dataset_may_lie_in_what_would_be_junk(tmp_path: Path) -> None:
    touch(tmp_path, "@Recycle/a.jpg")
    assert names(tmp_path / "@Recycle") == ["a.jpg"]


def test_patterns_are_those_of_gitignore(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "keep.png", "raw/b.jpg", "sub/raw/b.jpg", "sub/cache/c.jpg", "sub/x/cache/c.jpg")
    left_out = rules("*.png", "!keep.png", "/raw/", "sub/**/cache")
    assert names(tmp_path, left_out) == ["a.jpg", "keep.png", "sub/raw/b.jpg"]
    assert left_out.excluded == {"*.png": 1, "/raw/": 1, "sub/**/cache": 2}


def test_each_folder_may_have_rules_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "sub/a.jpg", "sub/b.jpg", "sub/deep/b.jpg")
    (tmp_path / ".wordsightignore").write_text("# not these\nb.jpg\n\n")
    (tmp_path / "sub/.wordsightignore").write_text("!b.jpg\n/a.jpg\n", encoding="utf-8-sig")
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["a.jpg", "sub/b.jpg", "sub/deep/b.jpg"]
    assert names(tmp_path, rules("b.jpg")) == ["a.jpg"], "the command line outweighs them"


def test_what_is_junk_can_be_taken_in(tmp_path: Path) -> None:
    touch(tmp_path, "@eaDir/a.jpg", "lost+found/a.jpg", ".hidden/a.jpg")
    (tmp_path / ".wordsightignore").write_text("!lost+found/\n!.hidden\n")
    assert names(tmp_path) == ["lost+found/a.jpg"]


def test_a_path_is_known_to_be_left_out_without_a_scan_of_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.jpg")
    (tmp_path / "sub/.wordsightignore").write_text("b*.jpg\n")
    left_out = rules("private/")
    assert names(tmp_path, left_out) == ["sub/a.jpg"]
    for path in ("sub/b1.jpg", "sub/deep/b2.jpg", "private/a.jpg", "x/private/y/a.jpg", "x/@eaDir/a.jpg/b.jpg"):
        assert left_out.rules.leaves_out(path), path
    for path in ("b1.jpg", "sub/a.jpg", "private.jpg", "x/a.jpg"):
        assert not left_out.rules.leaves_out(path), path


def test_names_that_are_no_utf8_are_matched(tmp_path: Path) -> None:
    touch(tmp_path, "caf\udce9.jpg", "caf\udce9.png")
    assert names(tmp_path, rules("*.png")) == ["caf\udce9.jpg"]


def test_a_wrong_pattern_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--exclude: .*'!'.*\.gitignore"):
        Exclusions(["!"])
    touch(tmp_path, "a.jpg")
    (tmp_path / ".wordsightignore").write_text("ok\n!\n")
    with pytest.raises(UsageError, match=r"\.wordsightignore: "):
        names(tmp_path)


def test_rules_that_cannot_be_read_end_the_scan(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / ".wordsightignore").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read .*\.wordsightignore: .*what to leave out"):
        names(tmp_path)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_a_file_without_an_ending_is_known_by_its_first_bytes(tmp_path: Path, format: str) -> None:
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(written, format)
    (tmp_path / "IMG_0001").write_bytes(written.getvalue())
    (tmp_path / "IMG_0002.bak").write_bytes(written.getvalue())
    left_out = LeftOut()
    assert names(tmp_path, left_out) == ["IMG_0001"]
    assert left_out.endings == {".bak": 1}


def test_other_files_without_an_ending_are_counted(tmp_path: Path) -> None:
    for name, data in {
        "text": b"BMW drivers",
        "film": b"\0\0\0\x20ftypisom",
        "sound": b"RIFF\0\0\0\0WAVE",
        "P5 is no map": b"P5 is no map",
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    left_out = LeftOut()
    assert names(tmp_path, left_out) == []
    assert left_out.endings == {"no ending": 5}
