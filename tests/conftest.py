"""What every test shares: a cache and a store of its own, and the bundled encoder made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.embedded import EmbeddedStore
from ingest.tags import ensure_tags
from model.encoder import BUNDLED_ENCODER, Encoder, open_encoder
from model.glove import BUNDLED_WORDS, open_words
from model.words import Words


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the session: exporting the encoder and converting the words takes seconds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_folders(shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WORDSIGHT_", "QDRANT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORDSIGHT_CACHE", str(shared_cache))
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def words(shared_cache: Path) -> Words:
    """The real bundled word vectors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        return open_words(BUNDLED_WORDS)


@pytest.fixture(scope="session")
def encoder(shared_cache: Path) -> Encoder:
    """The real bundled encoder on ONNX Runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        return open_encoder(BUNDLED_ENCODER)


@pytest.fixture(scope="session")
def tags_store(tmp_path_factory: pytest.TempPathFactory, words: Words, encoder: Encoder) -> Path:
    """A store with nothing but the tag vocabulary, to be copied: filling it takes seconds."""
    store = EmbeddedStore(tmp_path_factory.mktemp("tags") / "store")
    ensure_tags(store, words, encoder.classifier.names)
    return store.root
