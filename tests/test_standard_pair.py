"""With the standard pair in the cache, the same commands use VGG16 and GloVe 300-d.

Their published files cannot be had here: seeded weights of the right shapes and a made-up zip take their place.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores import CLASSES, SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders.torchvision import imagenet_class_names, import_torchvision
from model.words import Words, minilm_export, tag_vocabulary
from query import open_collection
from tests.commands import command, refused
from tests.photographs import sample


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory, words: Words) -> Iterator[Path]:
    """A folder with ``vgg16.pth`` and ``glove.zip``."""
    folder = tmp_path_factory.mktemp("handed-over")
    torch.manual_seed(0)
    torch.save(import_torchvision().models.vgg16(weights=None).state_dict(), folder / "vgg16.pth")
    known = {word for name in imagenet_class_names() for word in name.lower().split() if word in words}
    rng = np.random.default_rng(0)
    with (
        zipfile.ZipFile(folder / "glove.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("glove.6B.300d.txt", "w") as text,
    ):
        for word in ["ocean", *sorted(known)]:
            numbers = " ".join(f"{number:.4f}" for number in rng.standard_normal(300))
            text.write(f"{word} {numbers}\n".encode())
    yield folder
    shutil.rmtree(folder)  # pytest would keep half a gigabyte


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own: the pair must not become the other tests' default."""
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_files_handed_over_become_the_pair_that_is_used(
    handed_over: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.delenv("WORDSIGHT_WORDS")
    weights, zipped = handed_over / "vgg16.pth", handed_over / "glove.zip"
    refused(command("model", "fetch", "--weights", weights), str(weights), "397923af", "--unverified")
    refused(command("model", "fetch", "--words", zipped), str(zipped), "617afb2f", "--unverified")
    refused(command("model", "fetch", "--weights", zipped, "--unverified"), "vgg16")
    refused(command("model", "fetch", "--words", weights, "--unverified"), "glove.6B.300d.txt")
    refused(command("model", "fetch", "--weights", tmp_path / "absent"), "absent")
    assert "vgg16               4096 wide  not here" in command("model", "info").out
    fetched = command("model", "fetch", "--weights", weights, "--words", zipped, "--unverified")
    assert fetched.status == 0, fetched.err
    assert "143,064,044" in command("model", "info").out
    photos = sample(tmp_path / "sample")
    for label in ("cat", "coffee"):
        shutil.copytree(photos / label, tmp_path / "photos" / label)
    photos = tmp_path / "photos"
    assert command("ingest", "run", photos).status == 0
    row = command("ingest", "status", "--json").json[0]
    assert (row["encoder"], row["words"]) == ("vgg16", "glove-6b-300d")
    shutil.copyfile(photos / "cat/chelsea.png", tmp_path / "new.png")
    answer = command("query", "similar", tmp_path / "new.png", "-n", "1", "--json").json[0]
    assert (answer["path"], answer["score"]) == ("cat/chelsea.png", 1.0)
    assert command("query", "text", "ocean", "-n", "1").status == 0
    assert not [path for path in cache.rglob("*") if path.suffix in (".tmp", ".part")]
    _asked_by_sentences(photos, tmp_path, monkeypatch)


def _asked_by_sentences(photos: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG16 with the space of sentences, few of whose words are embedded beforehand."""
    monkeypatch.setattr(minilm_export, "frequent_words", lambda: ["ocean", "cat"])
    monkeypatch.setattr(minilm_export, "tag_words", list)
    monkeypatch.setattr("ingest.collection.tags.tag_vocabulary", lambda *of: tag_vocabulary(*of)[:100])
    with EmbeddedStore(place / "sentences") as store:
        run_folder(store, photos, "photos", Options(encoder="vgg16", words="minilm", offline=True))
        metadata = store.metadata("photos")
    assert dict(metadata.vectors) == {VISUAL: 4096, SEMANTIC: 384}
    assert tuple(metadata.sparse) == (CLASSES,)
    with open_collection(place / "sentences") as opened:
        assert {hit.picture.path for hit in opened.text("a cat on a sofa")} == {"cat/chelsea.png", "coffee/coffee.png"}
        assert len(opened.tags(photos / "cat" / "chelsea.png", limit=3)) == 3
