"""A key for one collection of a server, after somebody with all rights made it: it asks, and brings it up to date."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from ingest.collection import asking_tags
from ingest.errors import RightMissing
from ingest.pipeline import check_collection, reproject, retry_failures, run_folder
from ingest.stores import WORD
from ingest.stores.server import ServerStore
from ingest.stores.server.fault import answered
from model.encoders import Encoder
from model.words import Words
from tests.copies import copy_store
from tests.ingest.runs import OFFLINE, four_photographs
from tests.local_qdrant import local_qdrant

GLOBAL = ("create_collection", "update_collection", "delete_collection")


class ForOneCollection:
    """A client as a server answers one whose token holds ``[{"collection": "photos", "access": "rw"}]``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if not callable(call) or name in ("close", "patient", "one_wait"):
            return call

        def allowed(*args: Any, **options: Any) -> Any:
            if name == "get_collections":
                listed = call().collections
                return models.CollectionsResponse(collections=[it for it in listed if it.name == "photos"])
            if name in GLOBAL or args[:1] != ("photos",):
                raise answered(403, "Forbidden")
            return call(*args, **options)

        return allowed


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    return four_photographs(originals, tmp_path / "photos")


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerStore]:
    client = local_qdrant()
    with monkeypatch.context() as patch:
        patch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")  # it takes seconds to send
        run_folder(ServerStore(client, "memory"), folder, "", OFFLINE)
    store = ServerStore(ForOneCollection(client), "memory")  # type: ignore[arg-type]
    yield store
    store.close()


def test_every_command_about_that_collection_works(store: ServerStore, folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    shutil.copyfile(folder / "flower.jpg", folder / "again.jpg")
    report = run_folder(store, folder, "", OFFLINE)
    assert (report.added, report.failed) == (1, 1)
    assert retry_failures(store, "photos", OFFLINE).failed == 1
    assert reproject(store, "photos", "conse").header.kind == "conse"
    assert check_collection(store, "photos").problems == []
    assert store.summary("photos").points == report.total


def test_what_needs_all_rights_is_refused(store: ServerStore) -> None:
    with pytest.raises(RightMissing):
        store.drop("photos")
    assert store.names() == ["photos"]


def test_the_vocabulary_is_this_machines_own(
    store: ServerStore, tags_store: Path, tmp_path: Path, encoder: Encoder, words: Words
) -> None:
    copy_store(tags_store, tmp_path / "store")
    metadata = store.metadata("photos")
    with asking_tags(store, metadata, lambda: encoder) as tags:
        hits = tags.search(WORD, words.embed(["cat"])[0], 1)
    assert [hit.payload["word"] for hit in hits] == ["cat"]
