"""Files kept with a collection on a server that are lost while its pictures are there: noticed, and made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from ingest.collection import NEXT_FILE, read_collection_projection, read_label_classes
from ingest.errors import StoreDamaged
from ingest.pipeline import check_collection, repair, run_folder
from ingest.records import Pending
from ingest.stores import SEMANTIC
from ingest.stores.server import ServerStore
from ingest.stores.server.records import record_id
from tests.ingest.runs import OFFLINE, four_photographs, points
from tests.local_qdrant import local_qdrant

PROJECTION = "projection.safetensors"


@pytest.fixture(autouse=True)
def _without_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending the vocabulary takes seconds, and none of it is asked for."""
    monkeypatch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")


@pytest.fixture(scope="module")
def folder(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_photographs(originals, tmp_path_factory.mktemp("lost") / "photos")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[ServerStore]:
    """With the collection "photos", which each test leaves whole."""
    store = ServerStore(local_qdrant(), "memory")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")
        run_folder(store, folder, "", OFFLINE)
    yield store
    store.close()


def lose(store: ServerStore, kind: str, name: str = "") -> None:
    store.client.delete("photos", [record_id(kind, name)])


def lose_parts(store: ServerStore) -> None:
    parts = models.FieldCondition(key="wordsight", match=models.MatchValue(value="part"))
    store.client.delete("photos", models.FilterSelector(filter=models.Filter(must=[parts])))


def lose_next(store: ServerStore) -> None:
    """A change of projection was begun, and what it was prepared with is gone."""
    with store.open("photos") as collection:
        collection.write_file(NEXT_FILE, b"the next one")
        collection.save(replace(collection.metadata, pending=Pending.SWITCHING, stale=True))
    lose(store, "file", NEXT_FILE)


def lose_label_classes(store: ServerStore) -> None:
    with store.open("photos") as collection:
        collection.write_file("label-classes.npz", b"what labels mean")
        collection.save(collection.metadata)
    lose(store, "file", "label-classes.npz")


LOSSES: dict[str, Callable[[ServerStore], None]] = {
    "all parts": lose_parts,
    "the projection's record": lambda store: lose(store, "file", PROJECTION),
    "the collection's record": lambda store: lose(store, "metadata"),
    "all records": lambda store: (lose(store, "metadata"), lose(store, "file", PROJECTION), lose_parts(store))[0],
    "the next projection": lose_next,
    "what labels mean": lose_label_classes,
}


@pytest.mark.parametrize("way_out", ["run", "check"])
@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_is_made_again(
    store: ServerStore, folder: Path, loss: str, way_out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, metadata = points(store), store.metadata("photos")
    LOSSES[loss](store)
    if way_out == "run":
        report = run_folder(store, folder, "", OFFLINE)
        assert (report.unchanged, report.added, report.total) == (len(before), 0, len(before))
    else:
        checked = check_collection(store, "photos")
        assert checked.problems
        assert repair(store, checked).mended == f"{len(before)} pictures kept"
    after = points(store)
    assert after.keys() == before.keys()
    for path, point in after.items():
        np.testing.assert_allclose(point.vectors[SEMANTIC], before[path].vectors[SEMANTIC], atol=1e-6)
    with store.open("photos") as collection:
        assert collection.lost_files() == []
        assert read_collection_projection(collection).header.kind == "conse"
        assert read_label_classes(collection) is None
        assert (collection.metadata.projection, collection.metadata.pending) == ("conse", Pending.NOTHING)
        assert collection.metadata.projection_sha256 == metadata.projection_sha256
    assert check_collection(store, "photos").problems == []
    assert "lost" in capsys.readouterr().err


def test_a_question_says_the_way_out(store: ServerStore, folder: Path) -> None:
    lose_parts(store)
    with (
        store.open("photos") as collection,
        pytest.raises(StoreDamaged, match=r"lost 'projection.*: `ingest run`, or `ingest check --repair`, makes"),
    ):
        read_collection_projection(collection)
    run_folder(store, folder, "", OFFLINE)
