"""`ingest run` on real files with the real bundled encoder, through the library."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ingest.collection import Options, creation, read_failures
from ingest.errors import CollectionMismatch
from ingest.pipeline import embedder as embedder_module
from ingest.records import Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder, Stopped
from model.errors import DatasetError, DiskFull
from model.pictures import signature_of
from tests.ingest.runs import direct_vector, ingest, points
from tests.photographs import labelled_folder


def test_every_picture_is_there_once_with_its_own_vector(store: EmbeddedStore, folder: Path, encoder: Encoder) -> None:
    report = ingest(store, folder)
    assert (report.added, report.total, report.failed) == (4, 4, 0)
    there = points(store)
    assert sorted(there) == ["cat/chelsea.png", "coffee/coffee.png", "flower.jpg", "rocket/rocket.jpg"]
    for path, point in there.items():
        np.testing.assert_allclose(point.vectors[VISUAL], direct_vector(encoder, folder / path), atol=1e-5)
        picture = Picture.from_payload(point.payload)
        with Image.open(folder / path) as image:
            signatures = picture.signature, signature_of(image)
            assert (picture.width, picture.height) == image.size
            difference = np.subtract(*(np.frombuffer(made, np.uint8).astype(int) for made in signatures))
            assert np.abs(difference).mean() < 1
        status = (folder / path).stat()
        assert (picture.size, picture.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert point.id == stable_id(path)
    assert there["flower.jpg"].payload["label"] is None
    assert there["cat/chelsea.png"].payload["label"] == "cat"


def test_a_second_run_encodes_nothing(store: EmbeddedStore, folder: Path, encoded: list[str]) -> None:
    ingest(store, folder)
    encoded.clear()
    report = ingest(store, folder)
    assert (report.unchanged, report.added, report.updated, report.removed) == (4, 0, 0, 0)
    assert encoded == []


def test_only_a_changed_file_is_encoded_again(
    store: EmbeddedStore, folder: Path, encoded: list[str], encoder: Encoder
) -> None:
    ingest(store, folder)
    encoded.clear()
    Image.open(folder / "rocket/rocket.jpg").rotate(180).save(folder / "rocket/rocket.jpg")
    report = ingest(store, folder)
    assert (report.updated, report.unchanged, report.total) == (1, 3, 4)
    assert encoded == ["rocket/rocket.jpg"]
    stored = points(store)["rocket/rocket.jpg"].vectors[VISUAL]
    np.testing.assert_allclose(stored, direct_vector(encoder, folder / "rocket/rocket.jpg"), atol=1e-5)


def test_moved_and_copied_files_are_known_by_their_content(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    ingest(store, folder)
    before = points(store)
    encoded.clear()
    (folder / "pets").mkdir()
    (folder / "cat/chelsea.png").rename(folder / "pets/tabby.png")
    shutil.copyfile(folder / "coffee/coffee.png", folder / "second.png")
    report = ingest(store, folder)
    assert (report.added, report.copied, report.removed, report.total) == (2, 2, 1, 5)
    assert encoded == []
    after = points(store)
    assert "cat/chelsea.png" not in after
    for new, old in (("pets/tabby.png", "cat/chelsea.png"), ("second.png", "coffee/coffee.png")):
        for name in (VISUAL, SEMANTIC):
            np.testing.assert_allclose(after[new].vectors[name], before[old].vectors[name], atol=1e-6)
    assert after["pets/tabby.png"].payload["label"] == "pets"


def test_content_that_moved_while_its_old_path_got_new_content_is_not_mixed_up(
    store: EmbeddedStore, folder: Path, encoder: Encoder
) -> None:
    """The old path is replaced in the same batch in which the new path asks for its former vector."""
    ingest(store, folder)
    shutil.copyfile(folder / "cat/chelsea.png", folder / "zz.png")
    shutil.copyfile(folder / "coffee/coffee.png", folder / "cat/chelsea.png")
    ingest(store, folder)
    for path, point in points(store).items():
        np.testing.assert_allclose(point.vectors[VISUAL], direct_vector(encoder, folder / path), atol=1e-5)


def test_files_that_change_names_with_the_same_size_and_time_change_vectors(
    store: EmbeddedStore, folder: Path, encoder: Encoder
) -> None:
    for name, colour in (("1.bmp", "red"), ("2.bmp", "blue")):
        Image.new("RGB", (40, 30), colour).save(folder / name)
        os.utime(folder / name, ns=(10**18, 10**18))
    os.link(folder / "1.bmp", folder / "same.bmp")
    (folder / "link.bmp").symlink_to("1.bmp")
    ingest(store, folder)
    assert ingest(store, folder).unchanged == 8, "a file of several names is none that changed"
    (folder / "same.bmp").unlink()
    (folder / "link.bmp").unlink()
    (folder / "1.bmp").rename(folder / "3.bmp")
    (folder / "2.bmp").rename(folder / "1.bmp")
    (folder / "3.bmp").rename(folder / "2.bmp")
    report = ingest(store, folder)
    assert (report.updated, report.copied, report.unchanged) == (2, 2, 4)
    there = points(store)
    for name in ("1.bmp", "2.bmp"):
        np.testing.assert_allclose(there[name].vectors[VISUAL], direct_vector(encoder, folder / name), atol=1e-5)
    assert ingest(store, folder).unchanged == 6


def test_what_lies_behind_links_stays_while_they_are_not_followed(
    store: EmbeddedStore, folder: Path, tmp_path: Path
) -> None:
    (folder / "rocket").rename(tmp_path / "rocket")
    (folder / "rocket").symlink_to(tmp_path / "rocket")
    follow = Options(offline=True, follow_links=True)
    assert ingest(store, folder, follow).total == 4
    assert ingest(store, folder).removed == 0
    (tmp_path / "rocket").rename(tmp_path / "unmounted")
    report = ingest(store, folder, follow)
    assert (report.removed, report.total) == (0, 4)
    assert report.left_out.unreadable == {"rocket": "No such file or directory"}
    (folder / "rocket").unlink()
    assert ingest(store, folder, follow).removed == 1


def test_a_folder_that_others_may_not_look_at_stops_nobody(
    store: EmbeddedStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder, name="theirs")
    shutil.copytree(folder, tmp_path / "ours")
    real = Path.stat

    def stat(path: Path, **options: Any) -> os.stat_result:
        if path == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert ingest(store, tmp_path / "ours").total == 4
    with pytest.raises(CollectionMismatch):
        ingest(store, tmp_path / "ours", name="theirs")


def test_vanished_files_go_unless_they_are_to_be_kept(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    shutil.rmtree(folder / "cat")
    kept = ingest(store, folder, Options(offline=True, keep_missing=True))
    assert (kept.missing, kept.removed, kept.total) == (1, 0, 4)
    gone = ingest(store, folder)
    assert (gone.missing, gone.removed, gone.total) == (0, 1, 3)
    assert "cat/chelsea.png" not in points(store)


def test_an_emptied_folder_empties_no_collection(store: EmbeddedStore, folder: Path) -> None:
    """A disk that is not mounted looks like an empty folder."""
    ingest(store, folder)
    for path in list(folder.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DatasetError, match="nothing was changed"):
        ingest(store, folder)
    assert len(points(store)) == 4


def test_names_of_every_kind_are_indexed(store: EmbeddedStore, folder: Path) -> None:
    names = [b"with space.jpg", b"new\nline.jpg", "émoji 😀.jpg".encode(), b"not utf-8 \xff.jpg", b"UPPER.JPG"]
    for name in names:
        shutil.copyfile(os.fsencode(folder / "flower.jpg"), os.fsencode(folder) + b"/" + name)
    ingest(store, folder)
    there = points(store)
    assert {os.fsdecode(name) for name in names} <= set(there)
    assert ingest(store, folder).unchanged == 9


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20))])
def test_a_picture_that_lies_is_recorded_as_it_is(
    orientation: int, size: tuple[int, int], store: EmbeddedStore, folder: Path
) -> None:
    _check_recorded_size(orientation, size, store, folder)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_picture_that_stands_is_recorded_upright(orientation: int, store: EmbeddedStore, folder: Path) -> None:
    _check_recorded_size(orientation, (20, 40), store, folder)


def _check_recorded_size(orientation: int, size: tuple[int, int], store: EmbeddedStore, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 20), "red").save(folder / "turned.jpg", exif=exif)
    ingest(store, folder)
    payload = points(store)["turned.jpg"].payload
    assert (payload["width"], payload["height"]) == size


def test_what_was_read_before_the_disk_went_away_is_kept_and_the_run_fails(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    real = embedder_module.embed

    def gone(files, encoder, **options):
        yield from list(real(files, encoder, **options))[:3]
        yield Stopped("9 files took too long: is their disk still there?")

    monkeypatch.setattr(embedder_module, "embed", gone)
    with pytest.raises(DatasetError, match="9 files took too long: is their disk still there"):
        ingest(store, folder)
    with store.open("photos") as collection:
        assert sorted(read_failures(collection)) == ["bad.png"]
    assert sorted(points(store)) == ["cat/chelsea.png", "flower.jpg"]
    monkeypatch.undo()
    again = ingest(store, folder)
    assert (again.added, again.unchanged, again.failed_before, again.total) == (2, 2, 1, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_the_encoder_never_gives_the_store_a_vector_without_a_direction(
    bad: float, store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = creation.open_encoder

    def poisoned(*args, **options):
        encoder = real(*args, **options)
        encode = encoder.encode

        def spoiled(pictures):
            features = encode(pictures)
            features[1] = bad
            return features

        encoder.encode = spoiled
        return encoder

    monkeypatch.setattr("ingest.collection.creation.open_encoder", poisoned)
    report = ingest(store, folder)
    assert (report.added, report.failed) == (3, 1)
    assert len(points(store)) == 3
    assert all(
        np.isfinite(point.vectors[VISUAL]).all() and point.vectors[VISUAL].any() for point in points(store).values()
    )
    with store.open("photos") as collection:
        assert [row.reason for row in read_failures(collection).values()] == ["the encoder finds nothing in it"]


def test_ctrl_c_keeps_what_was_acknowledged_and_the_next_run_goes_on(
    store: EmbeddedStore, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = labelled_folder(tmp_path / "many", originals, ("cat", "coffee", "rocket", "moon"), 20)
    monkeypatch.setattr(embedder_module, "ACK_PICTURES", 32)
    real = embedder_module.embed

    def interrupted(files, encoder, **options):
        for count, result in enumerate(real(files, encoder, **options)):
            if count == 50:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(embedder_module, "embed", interrupted)
    report = ingest(store, folder)
    assert report.interrupted
    assert (report.total, report.done, report.to_do) == (32, 32, 80)
    monkeypatch.setattr(embedder_module, "embed", real)
    again = ingest(store, folder)
    assert (again.unchanged, again.added, again.total) == (32, 48, 80)
    assert store.metadata("many").projection == "best"


def test_a_full_disk_is_foreseen_before_anything_is_written(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder)
    shutil.copyfile(folder / "flower.jpg", folder / "one more.jpg")
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(DiskFull, match="make room"):
        ingest(store, folder)
    monkeypatch.undo()
    assert len(points(store)) == 4


def test_two_folders_do_not_share_a_collection(store: EmbeddedStore, folder: Path, tmp_path: Path) -> None:
    ingest(store, folder)
    other = tmp_path / "elsewhere" / "photos"
    other.mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(other / "red.png")
    with pytest.raises(CollectionMismatch, match="--collection NAME"):
        ingest(store, other)
    shutil.rmtree(folder)
    with pytest.raises(CollectionMismatch, match="if it was moved here, say so with --collection photos; if not, "):
        ingest(store, other)  # a disk that is not mounted now looks the same
    assert len(points(store)) == 4


def test_a_folder_finds_the_collection_made_of_it_under_another_name(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder, name="mine")
    assert ingest(store, folder).collection == "mine"


def test_a_collection_made_by_another_encoder_is_refused(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    with pytest.raises(CollectionMismatch, match="efficientnet-lite0, not vgg16"):
        ingest(store, folder, Options(encoder="vgg16"))
