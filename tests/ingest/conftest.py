"""What several files here share: an embedded store, a snapshot, and what reached the encoder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.pipeline import embedder as embedder_module
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore, annoy
from model.encoders import Embedded, Encoder, Record, embed
from model.pictures import PictureFile
from tests.copies import copy_store
from tests.ingest.batches import BATCH, METADATA, points
from tests.ingest.fake_qdrant import FakeQdrant, fake_qdrant
from tests.ingest.pictures import PICTURES, WIDTHS, make_points
from tests.snapshots import SmallStore, make_facts, make_snapshot

pytest.register_assert_rewrite("tests.ingest.reading_scenarios", "tests.ingest.writing_scenarios")
"""So that their failed assertions are explained as those of a test."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def store(root: Path) -> EmbeddedStore:
    """With a collection "a" of 64 points."""
    store = EmbeddedStore(root)
    with store.create("a", METADATA) as collection:
        for first in range(0, 64, BATCH):
            collection.upsert(points(first, BATCH))
    return store


@pytest.fixture
def folder(store: EmbeddedStore, root: Path) -> Path:
    return root / "collections" / "a"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> SnapshotStore:
    """``snapshot`` and the ``store`` that it came from; not to be changed."""
    root = tmp_path_factory.mktemp("made")
    return make_snapshot(root, make_facts(*WIDTHS.values(), root="/photos"), make_points(PICTURES))


@pytest.fixture
def source(snapshot: SnapshotStore, tmp_path: Path) -> SmallStore:
    copy_store(snapshot.folder.parent / "store", tmp_path / "store")
    return SmallStore(tmp_path / "store")


@pytest.fixture
def copied(snapshot: SnapshotStore, tmp_path: Path) -> Path:
    shutil.copytree(snapshot.folder, tmp_path / "snapshot")
    return tmp_path / "snapshot"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQdrant]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_qdrant() as fake:
        yield fake


@pytest.fixture
def approximate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annoy, "EXACT_NUMBERS", 0)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that reached the encoder, in order."""
    seen: list[str] = []
    real = embed

    def spy(files: Iterable[PictureFile], encoder: Encoder, **options: Any) -> Iterator[Record]:
        for result in real(files, encoder, **options):
            if isinstance(result, Embedded) and result.features is not None:
                seen.append(result.file.relative)
            yield result

    monkeypatch.setattr(embedder_module, "embed", spy)
    return seen
