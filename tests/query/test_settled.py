"""A question never compares vectors of two projections, and a server notices that the projection was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.collection import finish_switch, read_collection_projection, switch_projection
from ingest.errors import StoreInUse
from ingest.stores.embedded import EmbeddedStore
from query import PictureCollection, open_collection
from query.asking import context as context_module
from tests.ingest.runs import four_photographs, ingest, store_with_tags


@pytest.fixture
def store(originals: Path, tags_store: Path, tmp_path: Path) -> EmbeddedStore:
    store = store_with_tags(tags_store, tmp_path / "store")
    ingest(store, four_photographs(originals, tmp_path / "photos"))
    return store


def opened(store: EmbeddedStore) -> PictureCollection:
    return open_collection(store.root, collection="photos")


def turned(store: EmbeddedStore, *, until: str = "") -> None:
    """Another projection of the same kind and labels: its axes in another order."""
    with store.open("photos", write=True) as collection:
        projection = read_collection_projection(collection)
        for name, tensor in projection.tensors.items():
            if tensor.ndim == 2 and tensor.shape[1] == 50:
                projection.tensors[name] = np.ascontiguousarray(tensor[:, ::-1])

        def stop(_: int) -> None:
            raise InterruptedError(until)

        if until:
            with pytest.raises(InterruptedError):
                switch_projection(collection, projection, stop)
        else:
            switch_projection(collection, projection, lambda _: None)


def test_what_compares_semantic_vectors_is_refused_while_they_change(store: EmbeddedStore) -> None:
    turned(store, until="halfway")
    with opened(store) as photos:
        for question in (
            lambda: photos.text("cat", names=False),
            lambda: photos.similar("cat/chelsea.png", vector="semantic"),
            lambda: photos.tags("cat/chelsea.png"),
        ):
            with pytest.raises(StoreInUse, match="is being changed: ask again when `ingest` has ended"):
                question()
        assert len(photos.similar("cat/chelsea.png")) == 3
    with store.open("photos", write=True) as collection:
        finish_switch(collection, lambda _: None)
    with opened(store) as photos:
        assert len(photos.text("cat")) == 4


def test_one_who_has_the_collection_open_answers_by_the_new_projection(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind and labels are the same: only the checksum tells."""
    monkeypatch.setattr("ingest.stores.pooled.FRESH_SECONDS", 0.0)
    before = store.metadata("photos")
    with opened(store) as photos:
        first = [tag.word for tag in photos.tags("cat/chelsea.png", labels=["cat", "rocket", "coffee", "flower"])]
        turned(store)
        after = store.metadata("photos")
        assert (before.projection, before.trained) == (after.projection, after.trained)
        assert before.projection_sha256 != after.projection_sha256
        turned_words = [
            tag.word for tag in photos.tags("cat/chelsea.png", labels=["cat", "rocket", "coffee", "flower"])
        ]
    with opened(store) as fresh:
        expected = [tag.word for tag in fresh.tags("cat/chelsea.png", labels=["cat", "rocket", "coffee", "flower"])]
    assert turned_words == expected != first


def test_a_change_that_ends_while_a_question_is_answered_is_noticed(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = context_module.CollectionContext.__init__

    def older(self: context_module.CollectionContext, *args: object, **options: object) -> None:
        real(self, *args, **options)  # type: ignore[arg-type]
        self.projection_sha256 = "another"

    monkeypatch.setattr(context_module.CollectionContext, "__init__", older)
    with opened(store) as photos, pytest.raises(StoreInUse, match="was changed meanwhile: ask again"):
        photos.text("cat")
