"""What a server tells of its collections, how new ones lie over its nodes, and what a broken one of them is left to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ingest import report
from ingest.errors import StoreError
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Layout, Point, open_store
from ingest.stores.server import ServerStore, connect
from ingest.stores.server import collection as server_collection
from model.errors import UsageError
from tests.ingest.fake_qdrant import FakeQdrant, collection_info, refusal
from tests.local_qdrant import local_qdrant

METADATA = CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00", root="/photos")


@pytest.fixture
def memory() -> Iterator[ServerStore]:
    store = ServerStore(local_qdrant(), "memory")
    yield store
    store.close()


def cluster_of(nodes: int, **more: Any) -> tuple[int, dict[str, Any]]:
    peers = {str(peer): {"uri": f"http://node-{peer}:6335"} for peer in range(nodes)}
    return 200, {"result": {"status": "enabled", "peer_id": 0, "peers": peers, **more}}


@pytest.mark.parametrize(
    ("nodes", "asked", "expected"),
    [
        (1, Layout(), (1, 1, 1)),
        (2, Layout(), (4, 2, 1)),
        (3, Layout(), (6, 2, 1)),
        (3, Layout(12, 3, 2), (12, 3, 2)),
        (100, Layout(), (64, 2, 1)),
    ],
)
def test_a_collection_lies_as_it_suits_the_nodes(
    fake: FakeQdrant, nodes: int, asked: Layout, expected: tuple[int, int, int]
) -> None:
    fake.always["GET", "/cluster"] = cluster_of(nodes)
    connect(fake.url, None, "0", asked).create("a", METADATA).close()
    sent = json.loads(fake.asked("PUT", "/collections/a")[0].body)
    assert (sent["shard_number"], sent["replication_factor"], sent["write_consistency_factor"]) == expected


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout(replicas=4), "--replicas 4 wants as many nodes, and the server has 3"),
        (Layout(write_consistency=3), "--write-consistency 3 is more than there are replicas, 2"),
    ],
)
def test_a_layout_that_no_write_would_fit_is_refused(fake: FakeQdrant, layout: Layout, told: str) -> None:
    fake.always["GET", "/cluster"] = cluster_of(3)
    with pytest.raises(UsageError, match=told):
        connect(fake.url, None, "0", layout).create("a", METADATA)
    assert not fake.asked("PUT", "/collections/a")


def test_a_folder_has_no_shards() -> None:
    with pytest.raises(UsageError, match="--shards, --replicas and --write-consistency are of a server"):
        open_store(layout=Layout(shards=3))


def test_status_says_what_the_server_knows(fake: FakeQdrant, capsys: pytest.CaptureFixture[str]) -> None:
    info = collection_info({"wordsight": METADATA.to_json()})
    info["result"] |= {"status": "red", "optimizer_status": {"error": "no space"}, "indexed_vectors_count": 7}
    info["result"]["config"]["params"] |= {"shard_number": 2, "replication_factor": 2}
    fake.always["GET", "/collections"] = 200, {"result": {"collections": [{"name": "a"}]}}
    fake.always["GET", "/collections/a"] = 200, info
    fake.always["POST", "/collections/a/points/count"] = 200, {"result": {"count": 3}}
    fake.always["POST", "/collections/a/facet"] = 200, {"result": {"hits": []}}
    fake.always["GET", "/cluster"] = cluster_of(
        2, message_send_failures={"http://node-1:6335/": {"count": 4, "latest_error": "refused"}}
    )
    fake.always["GET", "/collections/a/cluster"] = (
        200,
        {
            "result": {
                "peer_id": 0,
                "local_shards": [{"shard_id": 0, "state": "Active"}],
                "remote_shards": [{"shard_id": 0, "peer_id": 1, "state": "Dead"}],
            }
        },
    )
    report.write_status(report.status_rows(connect(fake.url, None, "0")), "there")
    lines = capsys.readouterr().out.splitlines()
    said = [line.removeprefix("  server      ") for line in lines if "  server  " in line]
    assert said == [
        "red (it failed), 7 vectors indexed",
        "shards 2, replicas 2, 2 nodes",
        "its optimizer failed: no space",
        "the copy of shard 0 on node 1 is Dead",
        "the node at http://node-1:6335/ does not answer its peers, 4 messages in a row",
    ]


def test_one_that_is_broken_keeps_nobody_from_the_others(
    fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    fake.always["GET", "/collections"] = 200, {"result": {"collections": [{"name": "a"}, {"name": "b"}]}}
    fake.always["GET", "/collections/a"] = 500, refusal("Service internal error: Failed to load local shard")
    fake.always["GET", "/collections/b"] = 200, collection_info({"wordsight": METADATA.to_json()})
    store = connect(fake.url, None, "0")
    assert list(store.collections()) == ["b"]
    assert sum(waits) < 3
    said = capsys.readouterr().err
    assert "left out: collection 'a': the Qdrant server at" in said
    assert "Failed to load local shard" in said
    assert "\n" not in said.strip()
    with pytest.raises(StoreError, match="Failed to load local shard"):
        store.open("a")


def test_the_first_graph_is_waited_for(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    states: Iterator[tuple[str, int, object]] = iter(
        [*[("green", 0, "ok")] * 2, *[("yellow", 3, "ok")] * 2, *[("green", 4, "ok")] * 3]
    )
    monkeypatch.setattr(server_collection, "GRAPH_FROM", 3)
    monkeypatch.setattr(server_collection, "LOOK_SECONDS", 0)
    with memory.create("a", METADATA) as collection:
        collection.upsert([Point(UUID(int=i), {VISUAL: np.ones(4, np.float32)}, {}) for i in range(4)])
        plain = memory._requests.info("a")

        def info(_: str) -> Any:
            status, indexed, optimizer = next(states)
            return plain.model_copy(
                update={"status": status, "indexed_vectors_count": indexed, "optimizer_status": optimizer}
            )

        monkeypatch.setattr(memory.client, "get_collection", lambda _: plain, raising=False)
        monkeypatch.setattr(memory._requests, "info", info)
        collection.index()
        assert list(states) == []
        states = iter([("red", 0, {"error": "No space left"})])
        with pytest.raises(StoreError, match="the server's optimizer failed: No space left"):
            collection.index()


def test_an_alias_is_a_name_to_ask_and_not_one_to_drop(memory: ServerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = type("Aliases", (), {"aliases": [type("Alias", (), {"alias_name": "al", "collection_name": "a"})]})
    memory.create("a", METADATA).close()
    monkeypatch.setattr(memory.client, "get_aliases", lambda: aliases, raising=False)
    real = memory.client.get_collection
    monkeypatch.setattr(memory.client, "get_collection", lambda name: real({"al": "a"}.get(name, name)), raising=False)
    found = memory.client.retrieve
    monkeypatch.setattr(
        memory.client, "retrieve", lambda name, *args, **more: found({"al": "a"}.get(name, name), *args, **more)
    )
    assert memory.has("al")
    assert memory.metadata("al").root == "/photos"
    assert memory.names() == ["a"]
    with pytest.raises(StoreError, match="'al' is another name of collection 'a': `ingest drop a` removes that"):
        memory.drop("al")
    assert memory.names() == ["a"]
