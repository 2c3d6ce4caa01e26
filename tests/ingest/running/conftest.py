"""What the tests of a run share: a folder of photographs, and a store that has the tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.stores.embedded import EmbeddedStore
from tests.ingest.runs import four_photographs, store_with_tags


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    return four_photographs(originals, tmp_path / "photos")


@pytest.fixture
def store(tmp_path: Path, tags_store: Path) -> EmbeddedStore:
    return store_with_tags(tags_store, tmp_path / "store")
