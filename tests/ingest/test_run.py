"""`ingest run` on real files with the real bundled encoder, through the library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest import run as run_module
from ingest.creation import Options
from ingest.embedded import EmbeddedStore
from ingest.ledger import read_failures
from ingest.record import Picture, stable_id
from ingest.run import Report, run_folder
from ingest.semantics import (
    NEXT_FILE,
    PROJECTION_FILE,
    SWITCHING,
    UNDECIDED,
    read_collection_projection,
    train_kind,
)
from ingest.store import SEMANTIC, VISUAL, Point
from model.encoder import Encoder
from model.errors import CollectionMismatch, DatasetError, DiskFull
from model.picture import frame, open_picture
from model.words import Words
from tests.photographs import labelled_folder

OFFLINE = Options(offline=True)


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    """Four photographs, in three labels and at the top."""
    target = tmp_path / "photos"
    for label in ("cat", "coffee", "rocket"):
        shutil.copytree(originals / label, target / label)
    shutil.copyfile(next((originals / "flower").iterdir()), target / "flower.jpg")
    return target


@pytest.fixture
def store(tmp_path: Path, tags_store: Path) -> EmbeddedStore:
    shutil.copytree(tags_store, tmp_path / "store")
    return EmbeddedStore(tmp_path / "store")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Paths that reached the encoder, in order."""
    seen: list[str] = []
    real = run_module.embed

    def spy(files, encoder, **options):
        for result in real(files, encoder, **options):
            if getattr(result, "features", None) is not None:
                seen.append(result.file.relative)
            yield result

    monkeypatch.setattr(run_module, "embed", spy)
    return seen


def points(store: EmbeddedStore, name: str = "photos") -> dict[str, Point]:
    with store.open(name) as collection:
        every = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
    return {Picture.from_payload(point.payload).path: point for point in every}


def ingest(store: EmbeddedStore, folder: Path, options: Options = OFFLINE, name: str = "") -> Report:
    return run_folder(store, folder, name, options)


def direct_vector(encoder: Encoder, path: Path) -> np.ndarray:
    pixels = frame(open_picture(path.read_bytes()), encoder.spec.framing)
    features = encoder.encode(pixels[None])[0]
    return features / np.linalg.norm(features)


def test_every_picture_is_there_once_with_its_own_vector(store: EmbeddedStore, folder: Path, encoder: Encoder) -> None:
    report = ingest(store, folder)
    assert (report.added, report.total, report.failed) == (4, 4, 0)
    there = points(store)
    assert sorted(there) == ["cat/chelsea.png", "coffee/coffee.png", "flower.jpg", "rocket/rocket.jpg"]
    for path, point in there.items():
        np.testing.assert_allclose(point.vectors[VISUAL], direct_vector(encoder, folder / path), atol=1e-5)
        picture = Picture.from_payload(point.payload)
        with Image.open(folder / path) as image:
            assert (picture.width, picture.height) == image.size
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


def test_pictures_in_a_folder_that_cannot_be_read_are_kept(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("model.dataset.os.scandir", scandir)
    report = ingest(store, folder)
    assert report.left_out.unreadable == {"cat": "Permission denied"}
    assert (report.removed, report.total) == (0, 4)


def test_bad_files_are_recorded_and_tried_again_only_when_they_change(store: EmbeddedStore, folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "empty.png").touch()
    first = ingest(store, folder)
    assert (first.added, first.failed) == (4, 2)
    second = ingest(store, folder)
    assert (second.failed, second.failed_before) == (0, 2)
    with store.open("photos") as collection:
        reasons = {path: row.reason for path, row in read_failures(collection).items()}
    assert reasons == {"bad.jpg": "not a picture of a known format", "empty.png": "empty file"}
    assert ingest(store, folder, Options(offline=True, retry=True)).failed == 2
    shutil.copyfile(folder / "flower.jpg", folder / "bad.jpg")
    (folder / "empty.png").unlink()
    mended = ingest(store, folder)
    assert (mended.added, mended.failed, mended.failed_before) == (1, 0, 0)
    with store.open("photos") as collection:
        assert read_failures(collection) == {}


def test_another_limit_tries_what_it_may_now_read(store: EmbeddedStore, folder: Path) -> None:
    Image.new("RGB", (1100, 1000)).save(folder / "large.png")
    tight = ingest(store, folder, Options(offline=True, max_megapixels=1))
    assert tight.failed == 1
    assert ingest(store, folder).added == 1


def test_a_picture_that_turns_bad_loses_its_vector(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    (folder / "flower.jpg").write_bytes((folder / "flower.jpg").read_bytes()[:5000])
    report = ingest(store, folder)
    assert (report.failed, report.removed, report.total) == (1, 1, 3)


def test_a_folder_where_nothing_can_be_read_leaves_no_collection(store: EmbeddedStore, tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/a.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match="none of the 1 pictures"):
        ingest(store, tmp_path / "junk")
    assert store.collections() == {}


def test_names_of_every_kind_are_indexed(store: EmbeddedStore, folder: Path) -> None:
    names = [b"with space.jpg", b"new\nline.jpg", "émoji 😀.jpg".encode(), b"not utf-8 \xff.jpg", b"UPPER.JPG"]
    for name in names:
        shutil.copyfile(os.fsencode(folder / "flower.jpg"), os.fsencode(folder) + b"/" + name)
    ingest(store, folder)
    there = points(store)
    assert {os.fsdecode(name) for name in names} <= set(there)
    assert ingest(store, folder).unchanged == 9


def test_the_encoder_never_gives_the_store_a_vector_that_is_not_finite(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_module.open_encoder

    def poisoned(*args, **options):
        encoder = real(*args, **options)
        encode = encoder.encode

        def with_nan(pictures):
            features = encode(pictures)
            features[1] = np.nan
            return features

        encoder.encode = with_nan
        return encoder

    monkeypatch.setattr("ingest.creation.open_encoder", poisoned)
    report = ingest(store, folder)
    assert (report.added, report.failed) == (3, 1)
    assert all(np.isfinite(point.vectors[VISUAL]).all() for point in points(store).values())


def test_ctrl_c_keeps_what_was_acknowledged_and_the_next_run_goes_on(
    store: EmbeddedStore, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = labelled_folder(tmp_path / "many", originals, ("cat", "coffee", "rocket", "moon"), 20)
    monkeypatch.setattr(run_module, "ACK_PICTURES", 32)
    real = run_module.embed

    def interrupted(files, encoder, **options):
        for count, result in enumerate(real(files, encoder, **options)):
            if count == 50:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(run_module, "embed", interrupted)
    report = ingest(store, folder)
    assert report.interrupted
    assert (report.total, report.done, report.to_do) == (32, 32, 80)
    monkeypatch.setattr(run_module, "embed", real)
    again = ingest(store, folder)
    assert (again.unchanged, again.added, again.total) == (32, 48, 80)
    assert store.facts("many").projection == "joint"


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


def test_a_labelled_folder_gets_a_head_that_is_kept(
    store: EmbeddedStore, originals: Path, tmp_path: Path, words: Words
) -> None:
    folder = labelled_folder(tmp_path / "labelled", originals, ("cat", "rocket", "coffee"), 12)
    (folder / "2019").mkdir()
    ingest(store, folder)
    facts = store.facts("labelled")
    assert (facts.projection, facts.pending, facts.trained) == ("joint", "", ("cat", "coffee", "rocket"))
    for path, point in points(store, "labelled").items():
        own = words.phrase(path.split("/")[0]).vector
        others = [words.phrase(label).vector for label in ("cat", "rocket", "coffee") if label not in path]
        assert all(own @ point.vectors[SEMANTIC] > other @ point.vectors[SEMANTIC] for other in others), path
    with store.open("labelled") as collection:
        header = read_collection_projection(collection).header
        before = collection.read_file(PROJECTION_FILE)
    assert header.figures["train"]["2"] == 100.0
    assert len(header.test) == 6  # a fifth of twelve, three times
    Image.new("RGB", (50, 50), "white").save(folder / "cat" / "new.jpg")
    ingest(store, folder)
    with store.open("labelled") as collection:
        assert collection.read_file(PROJECTION_FILE) == before, "a new picture must never retrain silently"


def test_a_small_folder_keeps_conse_until_a_head_is_asked_for(
    store: EmbeddedStore, originals: Path, tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "grows", originals, ("cat", "rocket"), 9)
    ingest(store, folder)
    assert store.facts("grows").projection == "conse"
    labelled_folder(tmp_path / "more", originals, ("cat", "rocket"), 12)
    for label in ("cat", "rocket"):
        for i in range(9, 12):
            shutil.copyfile(tmp_path / f"more/{label}/{i:02}.jpg", folder / label / f"{i:02}.jpg")
    ingest(store, folder)
    assert store.facts("grows").projection == "conse"
    ingest(store, folder, Options(offline=True, projection="devise"))
    assert store.facts("grows").projection == "devise"
    ingest(store, folder, Options(offline=True, projection="conse"))
    assert store.facts("grows").projection == "conse"


def test_a_change_of_projection_that_was_killed_halfway_is_finished_by_the_next_run(
    store: EmbeddedStore, originals: Path, tmp_path: Path, encoder: Encoder, words: Words
) -> None:
    folder = labelled_folder(tmp_path / "halfway", originals, ("cat", "rocket"), 12)
    ingest(store, folder, Options(offline=True, projection="conse"))
    conse = points(store, "halfway")
    with store.open("halfway", write=True) as collection:
        head = train_kind(collection, encoder, words, "joint")
        from dataclasses import replace

        collection.write_file(NEXT_FILE, head.to_bytes())
        collection.save(replace(collection.facts, pending=SWITCHING))
    ingest(store, folder)
    facts = store.facts("halfway")
    assert (facts.projection, facts.pending) == ("joint", "")
    after = points(store, "halfway")
    features = np.stack([p.vectors[VISUAL] * p.payload["visual_norm"] for p in after.values()])
    np.testing.assert_allclose(
        np.stack([p.vectors[SEMANTIC] for p in after.values()]), head.project(features), atol=1e-5
    )
    assert not np.allclose(after["cat/00.jpg"].vectors[SEMANTIC], conse["cat/00.jpg"].vectors[SEMANTIC])


def test_a_head_that_a_killed_run_did_not_come_to_is_trained_by_the_next(
    store: EmbeddedStore, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = labelled_folder(tmp_path / "undecided", originals, ("cat", "rocket"), 12)

    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module.Ingest, "_settle_projection", killed)
        ingest(store, folder)
    assert store.facts("undecided").pending == UNDECIDED
    ingest(store, folder)
    assert store.facts("undecided").projection == "joint"


def test_a_given_projection_file_is_used_and_one_of_other_models_is_refused(
    store: EmbeddedStore, originals: Path, tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "given", originals, ("cat", "rocket"), 12)
    ingest(store, folder)
    with store.open("given") as collection:
        head = read_collection_projection(collection)
    head.save(tmp_path / "head.safetensors")
    small = tmp_path / "small"
    shutil.copytree(folder / "cat", small / "cat")
    ingest(store, small, Options(offline=True, projection=str(tmp_path / "head.safetensors")))
    facts = store.facts("small")
    assert (facts.projection, facts.pending, facts.trained) == ("joint", "", ("cat", "rocket"))
    from dataclasses import replace

    from model.errors import ProjectionError

    head.header = replace(head.header, encoder_sha256="0" * 64)
    head.save(tmp_path / "other.safetensors")
    with pytest.raises(ProjectionError, match="the projection is for"):
        ingest(store, small, Options(offline=True, projection=str(tmp_path / "other.safetensors")), name="third")
    assert "third" not in store.names()


def test_a_head_asked_for_where_nothing_can_be_learnt_is_refused_before_a_picture_is_embedded(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    with pytest.raises(DatasetError, match="nothing to learn from"):
        ingest(store, folder, Options(offline=True, projection="devise"))
    assert encoded == []
    assert store.collections() == {}


def test_another_head_given_for_an_existing_collection_replaces_its_own_and_is_told(
    store: EmbeddedStore, originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = labelled_folder(tmp_path / "first", originals, ("cat", "rocket"), 12)
    other = labelled_folder(tmp_path / "second", originals, ("coffee", "moon"), 12)
    ingest(store, folder)
    ingest(store, other)
    with store.open("second") as collection:
        read_collection_projection(collection).save(tmp_path / "head.safetensors")
    capsys.readouterr()
    ingest(store, folder, Options(offline=True, projection=str(tmp_path / "head.safetensors")))
    assert "projection changed from joint to joint" in capsys.readouterr().err
    assert store.facts("first").trained == ("coffee", "moon")
    ingest(store, folder, Options(offline=True, projection=str(tmp_path / "head.safetensors")))
    assert "projection changed" not in capsys.readouterr().err
    ingest(store, folder, Options(offline=True, projection="joint"))
    assert "has such a projection already" in capsys.readouterr().err


def test_two_folders_do_not_share_a_collection_but_a_moved_one_keeps_its(
    store: EmbeddedStore, folder: Path, tmp_path: Path, encoded: list[str]
) -> None:
    ingest(store, folder)
    other = tmp_path / "elsewhere" / "photos"
    shutil.copytree(folder, other)
    with pytest.raises(CollectionMismatch, match="--collection NAME"):
        ingest(store, other)
    shutil.rmtree(folder)
    encoded.clear()
    report = ingest(store, other)
    assert encoded == []
    assert (report.total, store.facts("photos").root) == (4, str(other))


def test_a_folder_finds_the_collection_made_of_it_under_another_name(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder, name="mine")
    assert ingest(store, folder).collection == "mine"


def test_a_collection_made_by_another_encoder_is_refused(store: EmbeddedStore, folder: Path) -> None:
    ingest(store, folder)
    with pytest.raises(CollectionMismatch, match="efficientnet-lite0, not vgg16"):
        ingest(store, folder, Options(encoder="vgg16"))
