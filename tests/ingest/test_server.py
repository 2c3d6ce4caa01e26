"""A Qdrant server: which one is taken, and what the store keeps there."""

from __future__ import annotations

import importlib.metadata
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from qdrant_client import models

from ingest.errors import CollectionNotFound, StoreDamaged, StoreError, StoreUnreachable
from ingest.records import CollectionMetadata, Pending
from ingest.stores import VISUAL, Filter, Point
from ingest.stores.server import ServerStore, connect
from ingest.stores.server.fault import Fault, Kind
from ingest.stores.server.records import record_id
from model.errors import UsageError
from tests.ingest.fake_qdrant import FakeQdrant
from tests.local_qdrant import answer, local_qdrant

METADATA = CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00")


@pytest.fixture
def memory() -> Iterator[ServerStore]:
    store = ServerStore(local_qdrant(), "memory")
    yield store
    store.close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# Connecting


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: pytest.fail("a server that is down is not waited for"))
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(StoreUnreachable, match="no Qdrant server answers") as raised:
        connect(url, None)
    assert url in str(raised.value)
    assert "docker compose up -d" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_fails_at_once(fake: FakeQdrant) -> None:
    fake.always["GET", "/"] = 502, b"<html>Bad gateway</html>"
    with pytest.raises(StoreUnreachable, match=r"at http://127.0.0.1:\d+ fails \(502 Bad Gateway\)"):
        connect(fake.url, None)


def test_the_wrong_key(fake: FakeQdrant) -> None:
    fake.always["GET", "/collections"] = 401, b"Invalid API key or JWT"
    with pytest.raises(StoreUnreachable, match="refuses the API key that was given") as raised:
        connect(fake.url, "wrong")
    assert fake.url in str(raised.value)
    assert "QDRANT_API_KEY" in str(raised.value)
    assert "wrong" not in str(raised.value), "the key itself is nobody's to read"
    assert len(fake.asked("GET", "/collections")) == 1


def test_no_key(fake: FakeQdrant) -> None:
    fake.always["GET", "/collections"] = 401, b"Must provide an API key or an Authorization bearer token"
    with pytest.raises(StoreUnreachable, match=r"wants an API key .*: give it, in QDRANT_API_KEY"):
        connect(fake.url, None)


def test_a_key_that_lacks_a_right(fake: FakeQdrant) -> None:
    fake.always["GET", "/collections"] = 403, b"Forbidden"
    with pytest.raises(StoreUnreachable, match="the API key that was given lacks a right on") as raised:
        connect(fake.url, "weak")
    assert "QDRANT_API_KEY" not in str(raised.value)


def test_the_key_is_sent(fake: FakeQdrant) -> None:
    connect(fake.url, "secret").close()
    assert {request.headers["api-key"] for request in fake.requests} == {"secret"}


@pytest.mark.parametrize("version", ["1.15.9", "0.11.0"])
def test_a_server_that_is_too_old(fake: FakeQdrant, version: str) -> None:
    fake.version = version
    with pytest.raises(StoreError, match=rf"is version {version}: upgrade it to 1\.16 or newer") as raised:
        connect(fake.url, None)
    assert fake.url in str(raised.value)


def other_version(minors: int) -> str:
    major, minor, *_ = importlib.metadata.version("qdrant-client").split(".")
    return f"{major}.{int(minor) + minors}.3-dev"


@pytest.mark.parametrize(("minors", "lines"), [(0, 0), (1, 0), (2, 1), (30, 1)])
def test_versions_far_apart_are_noted_once(
    fake: FakeQdrant, capsys: pytest.CaptureFixture[str], minors: int, lines: int
) -> None:
    fake.version = other_version(minors)
    connect(fake.url, None).close()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert all(f"is version {fake.version}, the client " in line for line in said)


@pytest.mark.parametrize("answer", [b"<html>It works!</html>", {"message": "hello"}, {"title": "x", "version": "v?"}])
def test_a_server_that_is_no_qdrant(fake: FakeQdrant, answer: object) -> None:
    fake.always["GET", "/"] = 200, answer
    with pytest.raises(StoreError, match=r"is not a Qdrant server|none of Qdrant's") as raised:
        connect(fake.url, None)
    assert fake.url in str(raised.value)


def test_a_path_that_is_not_there(fake: FakeQdrant) -> None:
    fake.always["GET", "/"] = 404, b"<html>404 Not Found</html>"
    with pytest.raises(StoreError, match=r"is not a Qdrant server"):
        connect(fake.url, None)


@pytest.mark.parametrize("url", ["ftp://localhost", "http://[::1", "http://localhost:port", "http://a:1,b", "http://,"])
def test_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a Qdrant server"):
        connect(url, None)


# Collections and files


def test_our_own_mistakes_are_no_store_errors(memory: ServerStore) -> None:
    def mistake() -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError):
        memory._requests.ask(mistake)


def test_collections_of_others_are_left_alone(memory: ServerStore) -> None:
    client = memory.client
    client.create_collection("theirs", vectors_config={})
    client.create_collection("other", vectors_config={}, metadata={"wordsight": "something else"})
    memory.create("ours", METADATA).close()
    client.create_collection("with metadata", vectors_config={}, metadata={"owner": "somebody"})
    assert "theirs" not in memory.names()
    assert "with metadata" not in memory.names()
    for name in ("theirs", "with metadata", "other"):
        for call in (memory.open, memory.metadata, memory.summary, memory.drop):
            with pytest.raises(StoreError, match="was not made by this program"):
                call(name)
    with pytest.raises(StoreError, match="'theirs' on memory already exists and was not made by this program: choose"):
        memory.create("theirs", METADATA)
    memory.open("ours").write_file("f", b"1")
    memory.drop("ours")
    assert {c.name for c in client.get_collections().collections} == {"theirs", "with metadata", "other"}


def test_wide_vectors_stay_on_disk_and_nothing_builds_a_graph(memory: ServerStore) -> None:
    memory.create("a", CollectionMetadata("pictures", {"wide": 1024, "narrow": 1023}, "glove", "00")).close()
    made = memory.client.get_collection("a").config.params.vectors
    assert isinstance(made, dict)
    assert {name: params.on_disk for name, params in made.items()} == {"wide": True, "narrow": False}
    assert {params.distance for params in made.values()} == {models.Distance.COSINE}
    assert [params.hnsw_config and params.hnsw_config.m for params in made.values()] == [0, 0]


def test_indexes_that_are_missing_are_made_by_the_next_writer(
    memory: ServerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.create("a", METADATA).close()
    made: list[str] = []
    monkeypatch.setattr(memory.client, "create_payload_index", lambda name, field, *_, **__: made.append(field))
    memory.open("a").close()
    assert made == []
    memory.open("a", write=True).close()
    assert sorted(made) == ["camera", "folders", "keywords", "label", "lease", "path", "place", "taken_at", "text"]


def test_a_collection_without_an_index_of_keywords_has_labels(
    memory: ServerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.create("a", METADATA).close()
    facet = memory.client.facet

    def older(name: str, field: str, **options: Any) -> Any:
        if field == "keywords":
            raise answer(ValueError("an index is required"))
        return facet(name, field, **options)

    monkeypatch.setattr(memory.client, "facet", older)
    with memory.open("a") as collection:
        assert collection.labels() == {}
        monkeypatch.setattr(memory.client, "facet", lambda *_, **__: older("", "keywords"))
        with pytest.raises(StoreError):
            collection.folders()


def parts_of(store: ServerStore) -> list[models.Record]:
    """Of the files of the collection "a"."""
    is_part = models.FieldCondition(key="wordsight", match=models.MatchValue(value="part"))
    return store.client.scroll("a", models.Filter(must=[is_part]), limit=1000)[0]


def test_a_file_is_replaced_whole_or_not_at_all(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (np.random.default_rng(seed).bytes(5 * 2**20 + 1) for seed in (1, 2))
    collection = memory.create("a", METADATA)
    collection.write_file("big", old)
    usual, calls = memory.client.upsert, []

    def once(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) > 1:
            raise Fault(Kind.LOST, "gone")
        return usual(*args, **kwargs)

    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr(memory.client, "upsert", once)
    with pytest.raises(StoreUnreachable):
        collection.write_file("big", new)
    assert collection.read_file("big") == old
    monkeypatch.undo()
    collection.write_file("big", new)
    assert collection.read_file("big") == new
    assert len(parts_of(memory)) == -(-len(new) // 2**18), "the old parts are gone"
    collection.remove_file("big")
    assert collection.read_file("big") is None
    assert parts_of(memory) == []


def test_what_is_kept_beside_the_points_is_among_no_answer(memory: ServerStore) -> None:
    vector = np.ones(4, np.float32)
    with memory.create("a", METADATA) as collection, memory.writing("a"):
        collection.write_file("f", b"x" * 2**19)
        collection.upsert([Point(UUID(int=7), {VISUAL: vector}, {"path": "a.jpg", "label": "cat", "folders": [""]})])
        assert memory.client.count("a").count == 6  # the metadata, the file, its two parts, the lease
        assert [point.id for page in collection.scroll() for point in page] == [UUID(int=7)]
        assert collection.count() == collection.count(Filter(without=(UUID(int=1),))) == 1
        assert [hit.id for hit in collection.search(VISUAL, vector, 10)] == [UUID(int=7)]
        assert [hit.id for hit in collection.search(VISUAL, vector, 10, Filter(without=(UUID(int=7),)))] == []
        assert (collection.labels(), collection.folders()) == ({"cat": 1}, {"": 1})
    assert memory.summary("a").points == 1


def test_a_file_that_is_lost_is_told(memory: ServerStore) -> None:
    collection = memory.create("a", METADATA)
    collection.write_file("f", b"x" * (2 * 2**18))
    collection.write_file("g", b"g")
    collection.write_file("removed", b"r")
    collection.remove_file("removed")
    collection.save(METADATA)
    assert memory.open("a").lost_files() == []
    part = max(parts_of(memory), key=lambda part: len((part.payload or {})["data"]))
    memory.client.delete("a", [part.id, record_id("file", "g")])
    found = memory.open("a")
    for name in found.lost_files():
        with pytest.raises(StoreDamaged, match=f"lost '{name}' of collection 'a': `ingest run`, or `ingest check"):
            found.read_file(name)
    assert sorted(found.lost_files()) == ["f", "g"]
    assert found.read_file("removed") is found.read_file("never written") is None


def test_replicas_that_do_not_agree_are_asked_again(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.create("a", METADATA).close()
    usual, disagreed = memory.client.retrieve, [3]
    monkeypatch.setattr("ingest.stores.server.records.PAUSES", (0, 0, 0, 0))

    def retrieve(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("consistency") and disagreed[0]:
            disagreed[0] -= 1
            return []
        return usual(*args, **kwargs)

    monkeypatch.setattr(memory.client, "retrieve", retrieve)
    assert memory.metadata("a") == METADATA
    assert disagreed == [0]


def test_with_too_few_replicas_those_that_run_are_enough(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strong ordering and a quorum both fail where a node is down."""
    refused = answer(ValueError("does not have enough active replicas"))

    def unless(usual: Any, wanted: str, value: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get(wanted) == value:
                raise refused
            return usual(*args, **kwargs)

        return call

    client = memory.client
    strong, quorum = models.WriteOrdering.STRONG, models.ReadConsistencyType.QUORUM
    monkeypatch.setattr(client, "upsert", unless(client.upsert, "ordering", strong))
    monkeypatch.setattr(client, "retrieve", unless(client.retrieve, "consistency", quorum))
    collection = memory.create("a", METADATA)
    collection.write_file("f", b"1")
    with memory.writing("a"):
        assert memory.open("a").read_file("f") == b"1"


def test_a_record_that_is_lost_is_no_lost_collection(memory: ServerStore) -> None:
    """It may be on a disk that died: what is made of it is in the mark, and the pictures are there."""
    made = replace(METADATA, root="/photos", pending=Pending.CREATING)
    collection = memory.create("a", made)
    collection.save(replace(made, pending=Pending.NOTHING))
    memory.client.delete("a", [record_id("metadata")])
    assert memory.metadata("a").pending == Pending.CREATING, "without a picture it may just be being made"
    collection.upsert([Point(UUID(int=7), {VISUAL: np.ones(4, np.float32)}, {})])
    assert memory.metadata("a") == replace(made, pending=Pending.SWITCHING)
    memory.open("a", write=True).close()
    assert memory.client.retrieve("a", [record_id("metadata")])


def test_a_mark_of_a_later_version_is_told(memory: ServerStore) -> None:
    mark = {"format": 4, "program": "9.0", "made": {"kind": "pictures"}, "maker": {}}
    memory.client.create_collection("a", vectors_config={}, metadata={"wordsight": mark})
    with pytest.raises(StoreError, match=r"has format 4, written by wordsight 9\.0"):
        memory.metadata("a")


def test_a_name_that_is_too_long_reaches_no_server(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.client, "create_collection", lambda *_, **__: pytest.fail("it was sent"))
    with pytest.raises(UsageError, match="has 85 characters, 255 bytes: up to 100 characters and 180 bytes"):
        memory.create("\u5716" * 85, METADATA)


def test_a_file_replaced_while_it_is_read(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = memory.create("a", METADATA), memory.open("a", write=True)
    writer.write_file("f", b"old")
    usual = reader._files._read_parts

    def late(ids: list[str]) -> bytes:
        writer.write_file("f", b"new")
        return usual(ids)

    monkeypatch.setattr(reader._files, "_read_parts", late)
    assert reader.read_file("f") == b"new"


def test_a_point_that_is_gone_is_no_lost_collection(memory: ServerStore) -> None:
    collection = memory.create("a", METADATA)
    vectors = np.ones((1, 4), np.float32)
    with pytest.raises(StoreError, match="'a' has lost a point while it was changed: run again") as raised:
        collection.set_vectors(VISUAL, [UUID(int=7)], vectors)
    assert type(raised.value) is StoreError
    memory.client.delete_collection("a")
    with pytest.raises(CollectionNotFound):
        collection.set_vectors(VISUAL, [UUID(int=7)], vectors)


def test_closing_twice(memory: ServerStore) -> None:
    with memory.create("a", METADATA) as collection:
        collection.close()
    memory.close()


def test_closing_a_connection_twice(fake: FakeQdrant) -> None:
    with connect(fake.url, None) as store:
        store.close()


def test_two_writers_do_not_undo_each_other(memory: ServerStore) -> None:
    first, second = memory.create("a", METADATA), memory.open("a", write=True)
    first.write_file("one", b"1")
    second.write_file("two", b"2")
    second.save(CollectionMetadata("pictures", {VISUAL: 4}, "glove", "00", updated="now"))
    first.write_file("three", b"3")
    assert [second.read_file(name) for name in ("one", "two", "three")] == [b"1", b"2", b"3"]
    assert memory.metadata("a").updated == "now"
