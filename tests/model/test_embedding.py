"""Files to vectors: one record a file, in order, whatever happens in between, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.encoders import Embedded, Encoder, Failed, Vanished, embed
from model.encoders import embedding as embedding
from model.encoders.embedding import read_file
from model.errors import PictureError
from model.pictures import Framed, Framing, LeftOut, PictureFile, open_framed, open_picture, scan
from model.pictures.framing import frame


class CountingEncoder:
    """The real encoder with small batches, noting how large they were. ``after`` runs behind each."""

    def __init__(self, encoder: Encoder, batch_size: int = 4) -> None:
        self._encoder = encoder
        self.spec = encoder.spec
        self.batch_size, self.streams = batch_size, 1
        self.sha256 = encoder.sha256
        self.classifier = encoder.classifier
        self.batches: list[int] = []

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(pictures))
        return self._encoder.encode(pictures)


@pytest.fixture
def counting(encoder: Encoder) -> CountingEncoder:
    return CountingEncoder(encoder)


def paint(path: Path, seed: int) -> Path:
    """A picture that looks like no other: blocks of noise, on which a wrong vector would show."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.repeat(16, 0).repeat(16, 1)).save(path, "PNG")
    return path


def files_of(root: Path) -> list[PictureFile]:
    return list(scan(root, LeftOut()))


def own_vector(encoder: Encoder, path: Path) -> NDArray[np.float32]:
    (vector,) = encoder.encode(frame(open_picture(path.read_bytes()), encoder.spec.framing))
    return vector


def same(one: NDArray[np.float32] | None, other: NDArray[np.float32]) -> bool:
    return one is not None and float(np.abs(one - other).max()) < 1e-4


def names_of(records: list[Embedded | Failed]) -> list[str]:
    return [record.file.relative for record in records]


# One record a file


def test_every_picture_gets_its_own_vector_in_the_files_order(
    tmp_path: Path, counting: CountingEncoder, encoder: Encoder
) -> None:
    for i in range(11):
        paint(tmp_path / f"{i:02}.png", i)
    files = files_of(tmp_path)
    records = list(embed(files, counting))
    assert names_of(records) == [f"{i:02}.png" for i in range(11)]
    assert counting.batches == [4, 4, 3]
    vectors = [own_vector(encoder, file.path) for file in files]
    for i, record in enumerate(records):
        assert isinstance(record, Embedded)
        assert same(record.features, vectors[i])
        assert not same(record.features, vectors[i - 1])
        assert record.sha256 == hashlib.sha256(files[i].path.read_bytes()).hexdigest()
        assert (record.width, record.height) == (160, 128)
        assert (record.file.size, record.file.mtime_ns) == (files[i].size, files[i].mtime_ns)


def test_failures_between_good_pictures_take_nobodys_vector(
    tmp_path: Path, counting: CountingEncoder, encoder: Encoder
) -> None:
    for i in range(12):
        paint(tmp_path / f"{i:02}.png", i)
    (tmp_path / "01.png").write_bytes(b"")
    (tmp_path / "02.png").write_text("no picture")
    truncated = (tmp_path / "06.png").read_bytes()[:300]
    (tmp_path / "06.png").write_bytes(truncated)
    (tmp_path / "11.png").write_bytes(b"")
    records = list(embed(files_of(tmp_path), counting))
    assert names_of(records) == [f"{i:02}.png" for i in range(12)]
    assert [i for i, record in enumerate(records) if isinstance(record, Failed)] == [1, 2, 6, 11]
    for record in records:
        if isinstance(record, Embedded):
            assert same(record.features, own_vector(encoder, record.file.path)), record.file.relative
        else:
            assert record.reason
            assert not record.transient
    assert counting.batches == [4, 4]


def test_upright_size_is_recorded_for_turned_photos(tmp_path: Path, counting: CountingEncoder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32), "red").save(tmp_path / "a.jpg", exif=exif)
    (record,) = embed(files_of(tmp_path), counting)
    assert isinstance(record, Embedded)
    assert (record.width, record.height) == (32, 64)


def test_no_files_give_no_records_and_wake_no_encoder(counting: CountingEncoder) -> None:
    assert list(embed([], counting)) == []
    assert counting.batches == []


def test_only_bad_files_wake_no_encoder(tmp_path: Path, counting: CountingEncoder) -> None:
    for i in range(9):
        (tmp_path / f"{i}.jpg").write_bytes(b"bad")
    records = list(embed(files_of(tmp_path), counting))
    assert names_of(records) == [f"{i}.jpg" for i in range(9)]
    assert all(isinstance(record, Failed) for record in records)
    assert counting.batches == []


def test_pictures_over_the_limit_fail_and_lifting_it_lets_them_pass(tmp_path: Path, counting: CountingEncoder) -> None:
    Image.new("L", (2000, 1000)).save(tmp_path / "a.png")
    (record,) = embed(files_of(tmp_path), counting, max_megapixels=1)
    assert isinstance(record, Failed)
    assert "--max-megapixels" in record.reason
    (record,) = embed(files_of(tmp_path), counting, max_megapixels=0)
    assert isinstance(record, Embedded)


# Known content


def test_known_content_is_neither_decoded_nor_encoded(
    tmp_path: Path, counting: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(9):
        paint(tmp_path / f"{i}.png", i % 3)
    known = hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    decoded: list[str] = []

    def watch(data: bytes, framing: Framing, *, name: str, **limits: float) -> Framed:
        decoded.append(name)
        return open_framed(data, framing, name=name, **limits)

    monkeypatch.setattr(embedding, "open_framed", watch)
    records = list(embed(files_of(tmp_path), counting, is_known=lambda sha256: sha256 == known))
    assert names_of(records) == [f"{i}.png" for i in range(9)]
    for i, record in enumerate(records):
        assert isinstance(record, Embedded)
        assert (record.features is None) == (i % 3 == 1)
        assert (record.sha256 == known) == (i % 3 == 1)
    assert sorted(decoded) == [f"{i}.png" for i in range(9) if i % 3 != 1]
    assert sum(counting.batches) == 2  # of six pictures of two contents


def test_copies_on_their_way_are_encoded_once_and_keep_their_own_vector(
    tmp_path: Path, counting: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that comes just before its original would be forgotten still finds it."""
    monkeypatch.setattr(embedding, "REMEMBERED", 16)
    for i in range(60):
        paint(tmp_path / f"{i:02}.png", 0 if i % 15 == 0 else i)
    records = [record for record in embed(files_of(tmp_path), counting) if isinstance(record, Embedded)]
    assert names_of(records) == [f"{i:02}.png" for i in range(60)]
    assert sum(counting.batches) == 57
    for i, record in enumerate(records):
        assert record.features is not None
        assert np.array_equal(record.features, records[0].features) == (i % 15 == 0)
        assert (record.width, record.height) == (160, 128)


def test_records_behind_one_that_waits_for_its_batch_are_bounded(
    tmp_path: Path, counting: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One new picture before a million known ones: they must not all be kept until the end."""
    paint(tmp_path / "000.png", 0)
    for i in range(1, 80):
        (tmp_path / f"{i:03}.png").write_bytes(b"known")
    known = hashlib.sha256(b"known").hexdigest()
    taken = 0

    def files() -> Iterator[PictureFile]:
        nonlocal taken
        for file in files_of(tmp_path):
            taken += 1
            yield file

    records = embed(files(), counting, is_known=lambda sha256: sha256 == known)
    first = next(records)
    assert first.file.relative == "000.png"
    assert taken <= 50  # twelve batches of four, and two at hand
    assert names_of([first, *records]) == [f"{i:03}.png" for i in range(80)]


# Files that change under the run


def test_a_file_that_vanished_is_told_from_a_bad_one(tmp_path: Path, counting: CountingEncoder) -> None:
    for i in range(3):
        paint(tmp_path / f"{i}.png", i)
    files = files_of(tmp_path)
    (tmp_path / "1.png").unlink()
    records = list(embed(files, counting))
    assert names_of(records) == ["0.png", "1.png", "2.png"]
    assert isinstance(records[1], Vanished)
    assert isinstance(records[2], Embedded)


def test_a_file_that_was_replaced_is_told_as_it_was_read(tmp_path: Path, counting: CountingEncoder) -> None:
    paint(tmp_path / "a.png", 1)
    files = files_of(tmp_path)
    paint(tmp_path / "a.png", 2)
    os.utime(tmp_path / "a.png", ns=(1, 42))
    (record,) = embed(files, counting)
    assert isinstance(record, Embedded)
    assert record.file.mtime_ns == 42
    assert record.file.size == (tmp_path / "a.png").stat().st_size
    assert record.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()


@pytest.mark.parametrize("how", ["longer", "shorter", "touched"])
def test_a_file_that_changes_while_it_is_read_fails_and_may_be_tried_again(
    tmp_path: Path, counting: CountingEncoder, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = paint(tmp_path / "a.png", 1)
    files = files_of(tmp_path)
    real = os.fstat
    asked: list[int] = []

    def fstat(handle: int) -> os.stat_result:
        """The first answer is given just before another process changes the file."""
        status = real(handle)
        if not asked:
            asked.append(handle)
            if how == "longer":
                with path.open("ab") as file:
                    file.write(b"more")
            elif how == "shorter":
                os.truncate(path, 100)
            else:
                os.utime(path, ns=(1, 42))
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    (record,) = embed(files, counting)
    assert isinstance(record, Failed)
    assert (record.reason, record.transient) == ("changed while it was read", True)


@pytest.mark.timeout(20)
def test_what_is_no_file_any_more_fails_without_waiting(tmp_path: Path, counting: CountingEncoder) -> None:
    for name in ("fifo.png", "folder.png", "loop.png"):
        paint(tmp_path / name, 1)
    files = files_of(tmp_path)
    for file in files:
        file.path.unlink()
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    reasons = [record.reason for record in embed(files, counting) if isinstance(record, Failed)]
    assert reasons[0] == "no regular file"
    assert "directory" in reasons[1] or "regular" in reasons[1]
    assert "symbolic links" in reasons[2]


def test_a_folder_in_a_pictures_place_leaves_no_file_open(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc to count open files in")
    (tmp_path / "folder.png").mkdir()
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        with pytest.raises((OSError, PictureError)):
            read_file(PictureFile(tmp_path, "folder.png", 0, 0))
    assert len(list(descriptors.iterdir())) == before


def test_a_file_too_large_to_be_a_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1_073_741_825)  # sparse: takes no space
    (found,) = files_of(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match=r"a file of 1024 MB, over the limit of 1024 MB"):
            read_file(found)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_names_that_are_no_utf_8_are_read(tmp_path: Path, counting: CountingEncoder) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(paint(tmp_path / "a.png", 1), tmp_path / name)
    except OSError:
        pytest.skip("this file system does not allow the name")
    records = list(embed(files_of(tmp_path), counting))
    assert sorted(names_of(records)) == ["a.png", name]
    assert all(isinstance(record, Embedded) for record in records)
