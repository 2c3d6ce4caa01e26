"""Raw files and videos: the picture that stands for each, as it is seen."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import model.pictures.stills
from ingest.cli import app as ingest
from model.errors import PictureError
from model.pictures import is_picture_name, open_picture, read_photo_metadata
from query.cli import app as query
from tests.commands import asked
from tests.copies import copy_store
from tests.model.raw_files import dng

RED, GREEN = (200, 30, 30), (20, 200, 20)


def flag(size: tuple[int, int] = (800, 600)) -> Image.Image:
    """Red, its upper quarter green."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (0, 0, size[0], size[1] // 4))
    return image


def is_like(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(pixel, colour)).max() < 12)


def film(path: Path, *, blank: int = 0, rotation: int = 0, size: tuple[int, int] = (320, 240)) -> bytes:
    """Ten seconds of the flag, of which the first ``blank`` tenths are black; its header says when and where."""
    av = pytest.importorskip("av", reason="videos need the extra video")
    shown = np.asarray(flag(size))
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 10
        if rotation:
            stream.set_display_rotation(rotation)
        container.metadata["creation_time"] = "2021-05-04T10:00:00Z"
        container.metadata["location"] = "+48.2100+016.3700/"
        for number in range(100):
            pixels = np.zeros_like(shown) if number < blank else shown
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("as_jpeg", [True, False])
@pytest.mark.parametrize(("orientation", "size", "green"), [(1, (800, 600), (400, 20)), (6, (600, 800), (580, 400))])
def test_a_raw_file_is_seen_by_its_preview_upright(
    orientation: int, size: tuple[int, int], green: tuple[int, int], *, as_jpeg: bool
) -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    image = open_picture(dng(flag(), orientation=orientation, as_jpeg=as_jpeg), name="a.DNG")
    assert image.size == size
    assert is_like(image.getpixel(green), GREEN)
    assert is_like(image.getpixel((size[0] // 2, size[1] // 2)), RED)


@pytest.mark.parametrize("as_jpeg", [True, False])
def test_a_preview_that_the_camera_has_turned_is_not_turned_again(*, as_jpeg: bool) -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    image = open_picture(dng(flag((600, 800)), orientation=6, as_jpeg=as_jpeg), name="a.dng")
    assert image.size == (600, 800)
    assert is_like(image.getpixel((300, 20)), GREEN)


@pytest.mark.parametrize("preview", [None, flag((160, 120))])
def test_a_raw_file_without_a_preview_worth_the_name_is_developed(preview: Image.Image | None) -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    image = open_picture(dng(preview), name="a.dng")
    assert image.size == (400, 300)
    row = np.asarray(image)[150]
    bright, dark = (int(np.mean(row[x])) for x in (100, 300))
    assert (bright, dark < 60) == (255, True)


def test_a_raw_file_that_is_none_or_is_cut_short_is_refused() -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    for data in (b"II*\0nothing", b"x" * 5000):
        with pytest.raises(PictureError, match="LibRaw does not know"):
            open_picture(data, name="a.nef")


def test_a_raw_file_says_when_and_by_what_it_was_taken() -> None:
    said = read_photo_metadata(dng(flag()), 0, name="a.dng")
    assert said.camera == "Testwerk T1"


def test_a_video_is_seen_by_a_frame_that_shows_something(tmp_path: Path) -> None:
    for blank, name in ((0, "a.mp4"), (20, "b.mkv"), (40, "c.mov")):
        image = open_picture(film(tmp_path / name, blank=blank), name=name)
        assert image.size == (320, 240)
        assert is_like(image.getpixel((160, 20)), GREEN), name
    black = open_picture(film(tmp_path / "d.mp4", blank=100), name="d.mp4")
    assert is_like(black.getpixel((160, 20)), (0, 0, 0))


def test_a_video_is_upright_as_its_header_says(tmp_path: Path) -> None:
    image = open_picture(film(tmp_path / "a.mp4", rotation=90), name="a.mp4")  # against the clock
    assert image.size == (240, 320)
    assert is_like(image.getpixel((20, 160)), GREEN)
    assert is_like(image.getpixel((200, 160)), RED)


def test_a_video_cut_short_or_without_pictures_is_refused(tmp_path: Path) -> None:
    data = film(tmp_path / "a.mp4")
    with pytest.raises(PictureError, match=r"^broken video: "):
        open_picture(data[: len(data) // 2], name="a.mp4")
    with pytest.raises(PictureError, match=r"^broken video: "):
        open_picture(b"no video", name="a.avi")
    cut = film(tmp_path / "b.mkv")
    assert open_picture(cut[: len(cut) // 2], name="b.mkv").size == (320, 240)


def test_a_video_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    from model.errors import PictureTooSlow

    with pytest.raises(PictureTooSlow):
        open_picture(film(tmp_path / "a.mp4"), name="a.mp4", deadline=-math.inf)


def test_a_video_says_when_and_where_it_was_taken(tmp_path: Path) -> None:
    said = read_photo_metadata(film(tmp_path / "a.mp4"), 0, name="a.mp4")
    assert (said.taken_from, said.place) == ("video", (48.21, 16.37))
    assert said.taken.startswith("2021-05-04T")
    broken = read_photo_metadata(io.BytesIO(b"no video").getvalue(), 0, name="a.mp4")
    assert (broken.taken_from, broken.place) == ("file", None)


def test_without_their_packages_they_are_left_out_and_counted(
    tags_store: Path, tmp_path: Path, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    photos = tmp_path / "photos"
    store: list[str | Path] = ["--store", tmp_path / "store"]
    photos.mkdir()
    (photos / "rocket.jpg").write_bytes((originals / "rocket" / "rocket.jpg").read_bytes())
    (photos / "a.NEF").write_bytes(dng(flag()))
    film(photos / "b.mp4")
    copy_store(tags_store, tmp_path / "store")
    with monkeypatch.context() as patch:
        for available in ("raw_available", "video_available"):
            patch.setattr(model.pictures.stills, available, lambda: False)
        told = asked(ingest, "run", photos, "--offline", *store).err
        assert "raw files are left out, 1, without another package: pip install 'wordsight[raw]'" in told
        assert "videos are left out, 1, without another package: pip install 'wordsight[video]'" in told
        assert not is_picture_name("a.nef")
        with pytest.raises(PictureError, match=r"raw file needs another package: pip install 'wordsight\[raw\]'"):
            open_picture(b"II*\0", name="a.nef")
    assert "2 new" in asked(ingest, "run", photos, "--offline", *store).err
    found = asked(query, "similar", photos / "a.NEF", "--json", "-n", "2", *store).json
    assert [os.path.basename(row["path"]) for row in found] == ["b.mp4", "rocket.jpg"]
    assert found[0]["score"] > 0.9
