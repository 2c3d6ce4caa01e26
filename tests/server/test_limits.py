"""What a server's settings forbid: keys and tokens for less, limits of requests and of strict mode."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from ingest.collection import Options
from ingest.errors import StoreUnreachable
from ingest.pipeline import run_folder
from ingest.stores import VISUAL
from tests.commands import command, refused
from tests.nodes import Node, one_node, store_of
from tests.server.conftest import PICTURES

CONSE = Options(offline=True, projection="conse")
AGAIN = Options(offline=True, projection="conse", re_embed=True)
KEY, READ_ONLY = "all-rights", "read-only"

pytestmark = pytest.mark.usefixtures("no_tags")


def token(**claims: Any) -> str:
    """A JWT, as Qdrant's own page makes them."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(KEY.encode(), signed, hashlib.sha256)
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Node]:
    """A node that wants a key, with a collection."""
    keys = {"SERVICE__API_KEY": KEY, "SERVICE__READ_ONLY_API_KEY": READ_ONLY, "SERVICE__JWT_RBAC": "true"}
    with one_node(tmp_path_factory.mktemp("locked"), keys) as node, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        with store_of(node, api_key=KEY) as store:
            run_folder(store, photos, "", CONSE)  # with the tag vocabulary
        yield node


@pytest.mark.parametrize("grpc", [False, True])
def test_a_token_for_one_collection_brings_it_up_to_date(locked: Node, photos: Path, *, grpc: bool) -> None:
    only = token(access=[{"collection": "photos", "access": "rw"}], exp=int(time.time()) + 600)
    with store_of(locked, api_key=only, grpc=grpc) as store:
        assert list(store.collections()) == ["photos"]
        assert run_folder(store, photos, "", AGAIN).updated == PICTURES
        with pytest.raises(StoreUnreachable, match="lacks a right on"):
            store.drop("photos")


@pytest.mark.parametrize("key", [READ_ONLY, token(access="r"), token(access=[{"collection": "photos", "access": "r"}])])
def test_who_may_only_read_asks_everything(locked: Node, key: str, photos: Path) -> None:
    place = ("--url", locked.url, "--api-key", key, "-c", "photos", "-n", "3")
    for words in (("text", "cat"), ("similar", next(photos.rglob("*.jpg"))), ("tags", next(photos.rglob("*.jpg")))):
        asked = command("query", *words, *place)
        assert (asked.status, len(asked.out.splitlines())) == (0, 3), asked.err
    refused(command("ingest", "run", photos, *place[:6]), "lacks a right on")


def test_keys_that_are_missing_or_wrong(locked: Node) -> None:
    refused(command("ingest", "status", "--url", locked.url), "wants an API key", "in QDRANT_API_KEY or with --api-key")
    refused(command("ingest", "status", "--url", locked.url, "--api-key", "x"), "refuses the API key that was given")


def test_requests_of_at_most_one_megabyte(tmp_path: Path, photos: Path) -> None:
    with one_node(tmp_path, {"SERVICE__MAX_REQUEST_SIZE_MB": "1"}) as node, store_of(node, grpc=False) as store:
        assert run_folder(store, photos, "", CONSE).added == PICTURES


def test_strict_mode(node: Node, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with store_of(node) as store:
        run_folder(store, photos, "", CONSE)
        strict = models.StrictModeConfig(
            enabled=True,
            max_query_limit=5,
            unindexed_filtering_retrieve=False,
            unindexed_filtering_update=False,
            read_rate_limit=600,
            write_rate_limit=600,
        )
        node.client().update_collection("photos", strict_mode_config=strict)
        with store_of(node) as asking, asking.open("photos") as collection:
            point = next(collection.scroll([VISUAL]))[0]
            capsys.readouterr()
            assert len(collection.search(VISUAL, point.vectors[VISUAL], 3)) == 3
            assert capsys.readouterr().err == ""
            assert len(collection.search(VISUAL, point.vectors[VISUAL], 10)) == 5
            assert "gives at most 5 answers of 'photos' at once" in capsys.readouterr().err
        assert run_folder(store, photos, "", CONSE).unchanged == PICTURES
        store.drop("photos")
