"""The vectors of a collection in place of encoding: unchanged files are not opened, all others are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import Options
from ingest.pipeline import find_stored_vectors, run_folder
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.embedded.record import METADATA_FILE
from model.encoders import Encoder
from model.pictures import LeftOut, dataset_root, scan
from model.projections.training import Labelled, encode
from tests import hostile
from tests.copies import copy_store

PICTURES = 6


@pytest.fixture
def place(tags_store: Path, tmp_path: Path) -> Path:
    """``photos`` and ``store`` with a collection of them."""
    copy_store(tags_store, tmp_path / "store")
    for number in range(PICTURES):
        path = tmp_path / f"photos/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.picture(number))
    (tmp_path / "photos/a/bad.png").write_bytes(b"no picture")
    run_folder(EmbeddedStore(tmp_path / "store"), tmp_path / "photos", "", Options(projection="conse", offline=True))
    return tmp_path


@pytest.fixture
def trained(place: Path, encoder: Encoder) -> Callable[[], Labelled]:
    return lambda: encode(list(scan(dataset_root(place / "photos"), LeftOut())), encoder, find_stored_vectors)


def test_unchanged_pictures_are_not_opened_and_the_others_are_encoded(
    place: Path, trained: Callable[[], Labelled], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = place / "photos/b/1.png"
    there = kept.stat()
    kept.write_bytes(b"x" * there.st_size)  # were it opened, it would be left out
    os.utime(kept, ns=(there.st_atime_ns, there.st_mtime_ns))
    (place / "photos/a/0.png").write_bytes(hostile.picture(100))
    (place / "photos/a/new.png").write_bytes(hostile.picture(101))
    found = trained()
    said = capsys.readouterr().err
    assert f"{PICTURES - 1} of {PICTURES + 2} pictures have stored vectors" in said
    assert "left out 'a/bad.png'" in said
    kept.write_bytes(hostile.picture(1))
    monkeypatch.setenv("WORDSIGHT_STORE", str(place / "none"))
    alone = trained()
    assert "have stored vectors" not in capsys.readouterr().err
    assert (found.labels, found.sha256, found.paths) == (alone.labels, alone.sha256, alone.paths)
    np.testing.assert_allclose(found.features, alone.features, atol=1e-4)


def test_a_collection_of_another_folder_or_encoder_says_nothing(
    place: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place / "photos", place / "copy")
    encode(list(scan(dataset_root(place / "copy"), LeftOut())), encoder, find_stored_vectors)
    monkeypatch.setattr(encoder, "sha256", "f" * 64)
    encode(list(scan(dataset_root(place / "photos"), LeftOut())), encoder, find_stored_vectors)
    assert "have stored vectors" not in capsys.readouterr().err


def test_a_store_that_cannot_be_asked_is_told_and_all_is_encoded(
    place: Path, trained: Callable[[], Labelled], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(place / "store/collections/photos/shard")
    assert len(trained().labels) == PICTURES
    assert "stored vectors are not used: " in capsys.readouterr().err
    assert (place / "store/collections/photos" / METADATA_FILE).exists()
