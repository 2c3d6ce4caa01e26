"""`query serve` over three nodes goes on while one dies, or stands still: the next is asked, within ten seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.collection import Options
from ingest.pipeline import run_folder
from tests.nodes import Node, cluster, store_of
from tests.server.conftest import PICTURES
from tests.serving import Served, serve
from tests.waiting import wait_until

SECONDS = 10
"""What a question waits at most, and so does who asks here."""


@pytest.fixture
def three(tmp_path: Path, photos: Path) -> Iterator[list[Node]]:
    """Nodes of its own with the pictures, and the tag vocabulary."""
    with cluster(tmp_path / "nodes") as nodes:
        with store_of(*nodes) as store:
            run_folder(store, photos, "", Options(offline=True))
        yield nodes


@pytest.fixture
def served(three: list[Node], tmp_path: Path) -> Iterator[Served]:
    ports = ",".join(str(node.grpc_port) for node in three)
    server = {"QDRANT_URL": ",".join(node.url for node in three), "QDRANT_GRPC_PORT": ports}
    with serve(env={**os.environ, **server, "WORDSIGHT_STORE": str(tmp_path / "store")}) as served:
        yield served


def ask_everything(served: Served, picture: Path) -> None:
    """All three questions are answered, each in time."""
    with httpx.Client(base_url=served.address, timeout=SECONDS, trust_env=False) as client:
        sent: dict[str, Any] = {"content": picture.read_bytes(), "headers": {"content-type": "image/jpeg"}}
        for answer in (
            client.get("/api/text", params={"q": "cat", "limit": 5}),
            client.post("/api/similar", params={"limit": 5}, **sent),
            client.post("/api/tags", params={"limit": 5}, **sent),
        ):
            assert answer.status_code == 200, answer.text


def test_one_of_three_is_killed(served: Served, three: list[Node], photos: Path) -> None:
    picture = next(photos.rglob("*.jpg"))
    for down in three:
        ask_everything(served, picture)
        down.stop()
        ask_everything(served, picture)
        ask_everything(served, picture)
        down.start()
        wait_until(lambda: is_whole(three))


def test_one_of_three_stands_still(served: Served, three: list[Node], photos: Path) -> None:
    picture = next(photos.rglob("*.jpg"))
    for still in three:
        ask_everything(served, picture)
        still.send(signal.SIGSTOP)
        try:
            ask_everything(served, picture)
            ask_everything(served, picture)
        finally:
            still.send(signal.SIGCONT)
        still.wait()
        wait_until(lambda: is_whole(three))


def test_without_a_majority_it_says_so_in_time_and_goes_on_when_they_are_back(
    served: Served, three: list[Node], photos: Path
) -> None:
    picture = next(photos.rglob("*.jpg"))
    for node in three[1:]:
        node.send(signal.SIGSTOP)
    with httpx.Client(base_url=served.address, timeout=SECONDS + 2, trust_env=False) as client:
        answer = client.get("/api/text", params={"q": "cat"})
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    for node in three[1:]:
        node.send(signal.SIGCONT)
        node.wait()
    wait_until(lambda: is_whole(three))
    ask_everything(served, picture)


def is_whole(nodes: list[Node]) -> bool:
    """Whether every copy of every part is in use again."""
    with store_of(nodes[0]) as store:
        found = store.summary("photos")
    assert found.points == PICTURES
    return found.health is not None and not found.health.trouble
