"""Which projection `ingest run` gives a collection, when it trains one, and what of one that was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.collection import (
    PROJECTION_FILE,
    Options,
    build_conse,
    read_collection_projection,
    train_kind,
)
from ingest.collection.projection import NEXT_FILE
from ingest.pipeline import run as run_module
from ingest.records import Pending
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder
from model.errors import DatasetError, ProjectionError, UsageError
from model.projections import ConseProjection
from model.words import Words
from tests.copies import copy_store
from tests.ingest.runs import ingest, points
from tests.photographs import labelled_folder


def test_a_labelled_folder_gets_a_head_that_is_kept(
    store: EmbeddedStore, originals: Path, tmp_path: Path, words: Words
) -> None:
    folder = labelled_folder(tmp_path / "labelled", originals, ("cat", "rocket", "coffee"), 12)
    (folder / "2019").mkdir()
    ingest(store, folder)
    metadata = store.metadata("labelled")
    assert (metadata.projection, metadata.pending, metadata.trained) == ("best", "", ("cat", "coffee", "rocket"))
    for path, point in points(store, "labelled").items():
        own = words.phrase(path.split("/")[0]).vector
        others = [words.phrase(label).vector for label in ("cat", "rocket", "coffee") if label not in path]
        assert all(own @ point.vectors[SEMANTIC] > other @ point.vectors[SEMANTIC] for other in others), path
    with store.open("labelled") as collection:
        header = read_collection_projection(collection).header
        before = collection.read_file(PROJECTION_FILE)
    assert header.figures["train"]["2"] == 100.0
    assert len(header.test) == 4  # a fifth of twelve, three times, less crops that look the same as one in the training
    Image.new("RGB", (50, 50), "white").save(folder / "cat" / "new.jpg")
    ingest(store, folder)
    with store.open("labelled") as collection:
        assert collection.read_file(PROJECTION_FILE) == before, "a new picture must never retrain silently"


def test_labels_of_which_all_pictures_are_alike_are_trained_and_told(
    store: EmbeddedStore, originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("cat", "rocket"):
        picture = next((originals / label).iterdir())
        for number in range(10):
            (tmp_path / "burst" / label).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, tmp_path / "burst" / label / f"{number}{picture.suffix}")
    ingest(store, tmp_path / "burst")
    assert (store.metadata("burst").projection, store.metadata("burst").pending) == ("best", "")
    assert "no picture could be held back" in capsys.readouterr().err


def test_a_projection_that_cannot_be_used_changes_nothing(
    store: EmbeddedStore, folder: Path, tmp_path: Path, encoder: Encoder, words: Words
) -> None:
    ingest(store, folder)
    right = build_conse(encoder, words)
    wide = {name: np.concatenate([right.tensors[name]] * 2, axis=1) for name in ("classes", "related")}
    endless = {"weight": np.full_like(right.tensors["weight"], 3e38)}
    for number, tensors in enumerate((wide, endless, {"weight": right.tensors["weight"][:, :100]})):
        bad = tmp_path / f"{number}.safetensors"
        broken = ConseProjection(right.header, right.tensors)
        broken.tensors = {**right.tensors, **tensors}
        broken.save(bad)
        before = points(store)
        with pytest.raises(ProjectionError):
            ingest(store, folder, Options(offline=True, projection=str(bad)))
        assert store.metadata("photos").pending == ""
        assert ingest(store, folder).unchanged == 4
        after = points(store)
        assert all(np.array_equal(after[path].vectors[SEMANTIC], before[path].vectors[SEMANTIC]) for path in before)


def test_a_small_folder_keeps_conse_until_a_head_is_asked_for(
    store: EmbeddedStore, originals: Path, tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "grows", originals, ("cat", "rocket"), 9)
    ingest(store, folder)
    assert store.metadata("grows").projection == "conse"
    labelled_folder(tmp_path / "more", originals, ("cat", "rocket"), 12)
    for label in ("cat", "rocket"):
        for i in range(9, 12):
            shutil.copyfile(tmp_path / f"more/{label}/{i:02}.jpg", folder / label / f"{i:02}.jpg")
    ingest(store, folder)
    assert store.metadata("grows").projection == "conse"
    ingest(store, folder, Options(offline=True, projection="document"))
    assert store.metadata("grows").projection == "document"
    ingest(store, folder, Options(offline=True, projection="conse"))
    assert store.metadata("grows").projection == "conse"


def test_a_change_of_projection_that_was_killed_halfway_is_finished_by_the_next_run(
    store: EmbeddedStore, originals: Path, tmp_path: Path, encoder: Encoder, words: Words
) -> None:
    folder = labelled_folder(tmp_path / "halfway", originals, ("cat", "rocket"), 12)
    ingest(store, folder, Options(offline=True, projection="conse"))
    conse = points(store, "halfway")
    with store.open("halfway", write=True) as collection:
        head = train_kind(collection, encoder, words, "best")
        from dataclasses import replace

        collection.write_file(NEXT_FILE, head.to_bytes())
        collection.save(replace(collection.metadata, pending=Pending.SWITCHING))
    ingest(store, folder)
    metadata = store.metadata("halfway")
    assert (metadata.projection, metadata.pending) == ("best", "")
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

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "settle_projection", killed)
        ingest(store, folder)
    assert store.metadata("undecided").pending == Pending.UNDECIDED
    copy_store(store.root, tmp_path / "copy")
    ingest(store, folder)
    assert (store.metadata("undecided").projection, store.metadata("undecided").pending) == ("best", "")
    copy = EmbeddedStore(tmp_path / "copy")
    ingest(copy, folder, Options(offline=True, projection="conse"))
    metadata = copy.metadata("undecided")
    assert (metadata.projection, metadata.pending) == ("conse", ""), "what is asked for is not overruled"


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
    metadata = store.metadata("small")
    assert (metadata.projection, metadata.pending, metadata.trained) == ("best", "", ("cat", "rocket"))
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
        ingest(store, folder, Options(offline=True, projection="document"))
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
    assert "projection changed from best to best" in capsys.readouterr().err
    assert store.metadata("first").trained == ("coffee", "moon")
    ingest(store, folder, Options(offline=True, projection=str(tmp_path / "head.safetensors")))
    assert "projection changed" not in capsys.readouterr().err
    ingest(store, folder, Options(offline=True, projection="best"))
    assert "has a best projection already, which is kept" in capsys.readouterr().err


def test_a_kind_by_its_old_name_is_refused_with_the_new_before_anything_is_made(
    store: EmbeddedStore, folder: Path, encoded: list[str]
) -> None:
    for before, now in (("joint", "best"), ("devise", "document")):
        with pytest.raises(UsageError, match=f"{before!r} is now called {now!r}: use --projection {now}"):
            ingest(store, folder, Options(offline=True, projection=before))
    assert encoded == []
    assert store.collections() == {}
