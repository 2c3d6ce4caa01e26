"""Collections that earlier versions left on a server: read as they are, and kept as of today from the next write on."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ingest.errors import StoreDamaged, StoreInUse
from ingest.records import CollectionMetadata, stable_id
from ingest.stores import VISUAL, Point
from ingest.stores.server import ServerStore
from ingest.stores.server.fault import answered
from tests.local_qdrant import local_qdrant

RECORD = {
    "kind": "pictures",
    "vectors": {"visual": 4},
    "words": "glove",
    "words_sha256": "00",
    "projection": "conse",
    "format": 2,
    "program": "1.0",
}
FILES = {"projection.safetensors": bytes(range(256)) * 2048, "failures.json": b"[]"}


def older_collection(client: QdrantClient) -> None:
    """As version 1.0 kept it: literally what that wrote."""
    vector = models.VectorParams(size=4, distance=models.Distance.COSINE)
    client.create_collection("a", vectors_config={"visual": vector}, metadata={"wordsight": RECORD})
    client.create_collection("a--files", vectors_config={}, metadata={"wordsight-files-of": "a"})
    client.upsert(
        "a", [models.PointStruct(id=str(UUID(int=7)), vector={"visual": [1, 0, 0, 0]}, payload={"path": "1"})]
    )
    for file, data in FILES.items():
        sha256 = hashlib.sha256(data).hexdigest()
        for start in range(0, len(data), 2**18):
            part = {"data": base64.b64encode(data[start : start + 2**18]).decode()}
            id = str(stable_id(f"{file}/{sha256}/{start}"))
            client.upsert("a--files", [models.PointStruct(id=id, vector={}, payload=part)])
        record = {"sha256": sha256, "size": len(data), "part": 2**18}
        client.update_collection("a", metadata={f"wordsight-file:{file}": record})
    client.update_collection("a", metadata={"wordsight-writer": None})


@pytest.fixture
def store() -> Iterator[ServerStore]:
    store = ServerStore(local_qdrant(), "memory")
    older_collection(store.client)
    yield store
    store.close()


def assert_whole(store: ServerStore) -> None:
    assert store.names() == ["a"]
    assert store.metadata("a") == CollectionMetadata("pictures", {VISUAL: 4}, "glove", "00", projection="conse")
    with store.open("a") as collection:
        assert {name: collection.read_file(name) for name in FILES} == FILES
        assert collection.read_file("never written") is None
        assert [point.id for page in collection.scroll() for point in page] == [UUID(int=7)]
        assert collection.count() == 1


def assert_turned(store: ServerStore) -> None:
    assert_whole(store)
    assert {it.name for it in store.client.get_collections().collections} == {"a"}
    kept = {key: value for key, value in store._requests.metadata("a").items() if value}
    assert kept.keys() == {"wordsight"}
    assert kept["wordsight"]["made"]["projection"] == "conse"


def test_it_is_read_as_it_is(store: ServerStore) -> None:
    before = store.client.scroll("a"), store.client.scroll("a--files"), store._requests.metadata("a")
    assert_whole(store)
    assert (store.client.scroll("a"), store.client.scroll("a--files"), store._requests.metadata("a")) == before


def test_the_next_writing_turns_it(store: ServerStore) -> None:
    with store.writing("a"), store.open("a", write=True) as collection:
        collection.upsert([Point(UUID(int=7), {VISUAL: np.ones(4, np.float32)}, {})])
    assert_turned(store)
    with store.open("a", write=True):
        pass
    assert_turned(store)


CHANGES = ("upsert", "delete_collection", "update_collection")


@pytest.mark.parametrize("killed_at", range(8))
def test_killed_at_any_change_it_goes_on(store: ServerStore, killed_at: int) -> None:
    """Of the eight: parts and record of two files, where one has two parts in one message; record, drop, mark."""
    with pytest.MonkeyPatch.context() as patch:
        left = [killed_at]

        def unless_killed(call: Any) -> Any:
            def counted(*args: Any, **options: Any) -> Any:
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                return call(*args, **options)

            return counted

        for name in CHANGES:
            patch.setattr(store.client, name, unless_killed(getattr(store.client, name)))
        try:
            store.open("a", write=True)
        except KeyboardInterrupt:
            assert killed_at < 7
        else:
            assert left == [0]
    assert_whole(store)
    store.open("a", write=True).close()
    assert_turned(store)


def test_a_file_that_was_lost_before_is_noticed_after(store: ServerStore) -> None:
    store.client.delete_collection("a--files")
    with pytest.raises(StoreDamaged, match=r"lost 'failures\.json' of collection 'a': `ingest run`"):
        store.open("a").read_file("failures.json")
    assert sorted(store.open("a", write=True).lost_files()) == ["failures.json", "projection.safetensors"]


def test_a_collection_of_somebody_elses_is_not_dropped_for_its_name(store: ServerStore) -> None:
    store.client.update_collection("a--files", metadata={"wordsight-files-of": "another"})
    store.open("a", write=True).close()
    store.drop("a")
    assert [it.name for it in store.client.get_collections().collections] == ["a--files"]


def test_it_is_dropped_whole(store: ServerStore) -> None:
    store.drop("a")
    assert store.client.get_collections().collections == []


def test_a_key_that_may_write_alone_leaves_the_rest(
    store: ServerStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise answered(403, "Global manage access is required")

    monkeypatch.setattr(store.client, "delete_collection", refuse)
    store.open("a", write=True).close()
    assert "is left on the server until a key with all rights writes it" in capsys.readouterr().err
    assert_whole(store)
    monkeypatch.undo()
    store.open("a", write=True).close()
    assert_turned(store)


@pytest.mark.parametrize(("age", "elsewhere", "refused"), [(10, True, True), (1000, True, False), (10, False, False)])
def test_an_earlier_version_that_writes_is_respected(
    store: ServerStore, age: int, elsewhere: bool, refused: bool
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = "elsewhere" if elsewhere else socket.gethostname()
    mark = {"host": host, "pid": dead.pid, "token": "other", "at": time.time() - age}
    store.client.update_collection("a", metadata={"wordsight-writer": mark})
    if refused:
        with pytest.raises(StoreInUse, match=f"{dead.pid} on elsewhere: wait until that ends"):
            store.writing("a").__enter__()
        return
    with store.writing("a"):
        store.open("a", write=True).close()
    assert_turned(store)


def test_ids_of_records_are_none_of_pictures(store: ServerStore) -> None:
    store.open("a", write=True).close()
    namespace = UUID("b3c1f7b2-6f0d-5a0e-9c55-0d6a8f6f2a11")
    found = store.client.retrieve("a", [str(uuid5(namespace, "metadata/"))])
    assert found[0].payload["wordsight"] == "metadata"
