"""What once did harm to a server or was lost on it: long names, stale metadata, lost files, collections of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import models

from ingest.collection import Options
from ingest.errors import StoreError
from ingest.pipeline import back_up, backups_in, restore, run_folder
from ingest.stores import SEMANTIC, VISUAL, Health, Layout, Store, collection_name
from ingest.stores.server.records import FILE, record_id
from tests.nodes import Node, peers, store_of
from tests.server.conftest import PICTURES
from tests.waiting import wait_until

CONSE = Options(offline=True, projection="conse")

pytestmark = pytest.mark.usefixtures("no_tags")


@pytest.fixture
def empty(nodes: list[Node]) -> Iterator[list[Node]]:
    """The cluster, whose collections are gone afterwards."""
    yield nodes
    client = nodes[0].client()
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)


def test_a_folder_of_85_chinese_characters(empty: list[Node], photos: Path, tmp_path: Path) -> None:
    (folder := tmp_path / ("图" * 84 + "鉴")).symlink_to(photos)
    with store_of(empty[0]) as store:
        report = run_folder(store, folder.parent / folder.name, "", CONSE)
        assert report.total == PICTURES
        assert len(report.collection.encode()) <= 80
    (other := tmp_path / "b" / ("图" * 84 + "集")).mkdir(parents=True)
    assert collection_name(folder.name) != collection_name(other.name)
    assert [peers(node) for node in empty] == [3, 3, 3]
    assert all(httpx.get(f"{node.url}/readyz", trust_env=False).is_success for node in empty)
    for node in empty:  # nor is anything written that keeps one from starting again
        node.stop()
        node.start()
    with store_of(empty[1]) as store:
        assert store.names() == [report.collection]


def test_what_is_written_through_one_node_is_read_through_the_others(empty: list[Node]) -> None:
    from dataclasses import replace

    from ingest.records import CollectionMetadata

    stores = [store_of(node) for node in empty]
    metadata = CollectionMetadata(kind="pictures", vectors={VISUAL: 4}, words="glove", words_sha256="00")
    with stores[0].create("a", metadata) as collection:
        for number in range(100):
            collection.write_file("projection", str(number).encode())
            collection.save(replace(metadata, updated=str(number)))
            for store in stores[1:]:
                assert store.metadata("a").updated == str(number)
                assert store.open("a").read_file("projection") == str(number).encode()
    for store in stores:
        store.close()


def test_files_that_are_lost_are_made_again(empty: list[Node], photos: Path) -> None:
    with store_of(empty[0]) as store:
        run_folder(store, photos, "", CONSE)
        with store.open("photos") as collection:
            before = {name: collection.read_file(name) for name in collection.kept_files()}
        assert before
        client = empty[0].client()
        lost: list[Any] = [record_id(FILE, name) for name in before]
        client.delete("photos", lost, wait=True)
        run_folder(store, photos, "", CONSE)
        with store.open("photos") as collection:
            after = {name: collection.read_file(name) for name in collection.kept_files()}
        assert after.keys() == before.keys()
        assert run_folder(store, photos, "", CONSE).unchanged == PICTURES


def test_collections_of_others_are_left_alone(empty: list[Node], photos: Path) -> None:
    client = empty[0].client()
    client.create_collection("theirs", models.VectorParams(size=4, distance=models.Distance.DOT))
    client.create_collection(
        "odd", models.VectorParams(size=4, distance=models.Distance.DOT), metadata={"wordsight": "nonsense"}
    )
    with store_of(empty[1]) as store:
        run_folder(store, photos, "", CONSE)
        assert list(store.collections()) == ["photos"]
        with pytest.raises(StoreError, match="was not made by this program: choose another name"):
            run_folder(store, photos, "theirs", CONSE)
        with pytest.raises(StoreError):
            store.drop("theirs")
    assert {found.name for found in client.get_collections().collections} == {"theirs", "odd", "photos"}


def test_an_alias_is_asked_and_switched(empty: list[Node], photos: Path) -> None:
    client = empty[0].client()
    with store_of(empty[1]) as store:
        run_folder(store, photos, "blue", CONSE)
        run_folder(store, photos, "green", CONSE)
        for name in ("blue", "green"):
            alias = models.CreateAlias(collection_name=name, alias_name="live")
            client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
            with store.open("live") as collection:
                assert collection.count() == PICTURES
            assert run_folder(store, photos, "live", CONSE).unchanged == PICTURES
        with pytest.raises(StoreError, match="another name of collection 'green'"):
            store.drop("live")
        assert set(store.names()) == {"blue", "green"}


def test_a_backup_of_three_nodes(empty: list[Node], photos: Path, tmp_path: Path, node: Node) -> None:
    with store_of(*empty) as three, store_of(node) as one:
        run_folder(three, photos, "", CONSE)
        assert back_up(three, "photos", tmp_path / "backup").points == PICTURES
        restore(one, *backups_in(tmp_path / "backup"))
        before = content(three)
        assert content(one) == before
        three.drop("photos")
        restore(three, *backups_in(tmp_path / "backup"))
        assert content(three) == before
        assert run_folder(three, photos, "", CONSE).unchanged == PICTURES
        one.drop("photos")


def content(store: Store) -> object:
    with store.open("photos") as collection:
        kept = {name: collection.read_file(name) for name in collection.kept_files()}
        points = [
            (point.id, dict(point.payload), {name: vector.tobytes() for name, vector in point.vectors.items()})
            for page in collection.scroll([VISUAL, SEMANTIC])
            for point in page
        ]
        return collection.metadata, kept, points


def test_how_a_collection_lies_and_what_the_server_says_of_it(empty: list[Node], photos: Path) -> None:
    def health(name: str) -> Health:
        found = store.summary(name).health
        assert found
        return found

    with store_of(empty[0]) as store:
        run_folder(store, photos, "", CONSE)
        wait_until(lambda: health("photos").status == "green" and not health("photos").trouble)
        found = health("photos")
        assert (found.shards, found.replicas, found.nodes) == (6, 2, 3)
    with store_of(*empty[:2], layout=Layout(2, 3, 2)) as store:  # of which one leads, when the third is gone
        run_folder(store, photos, "wide", CONSE)
        assert (health("wide").shards, health("wide").replicas) == (2, 3)
        empty[2].stop()
        try:
            wait_until(lambda: any("does not answer its peers" in line for line in health("wide").trouble))
        finally:
            empty[2].start()
