"""Connecting to a Qdrant server: whether one is there that can be used. It must not know collections."""

from __future__ import annotations

import importlib.metadata
import os
import warnings

from qdrant_client import QdrantClient

from ingest.errors import StoreError, StoreUnreachable
from ingest.stores.server.fault import CLIENT_ERRORS, NOT_FOUND, is_passing, reason_of, status_of, translated
from ingest.stores.server.store import ServerStore
from model.errors import UsageError
from model.system.events import note

OLDEST_SERVER = (1, 16)
"""The first with collection metadata."""

TIMEOUT_SECONDS = 30


def connect(url: str, api_key: str | None) -> ServerStore:
    """The store of the server at ``url``, once it has answered.

    Raises:
        UsageError: ``url`` is not an address.
        StoreUnreachable: nothing answers there, or the API key is refused.
        StoreError: the server is too old, or no Qdrant server.
    """
    with warnings.catch_warnings():
        # Usual on one's own machine; elsewhere the network is the user's to judge.
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
        try:
            client = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=TIMEOUT_SECONDS,
                prefer_grpc=os.environ.get("QDRANT_PREFER_GRPC") == "1",
                check_compatibility=False,  # it warns from a thread of its own, and explains nothing
            )
        except ValueError as error:
            raise UsageError(f"{url!r} is not the address of a Qdrant server: write http://HOST:6333") from error
    try:
        _check_server(client, url)
    except BaseException:
        client.close()
        raise
    return ServerStore(client, url)


def _check_server(client: QdrantClient, url: str) -> None:
    try:
        version = client.info().version
        if _minor(version) < OLDEST_SERVER:
            raise StoreError(f"the Qdrant server at {url} is version {version}: upgrade it to 1.16 or newer")
        client.get_collections()  # anybody may read the version, this only who has the right key
    except ValueError as error:
        raise StoreError(f"what answers at {url} is not a Qdrant server: check the address") from error
    except CLIENT_ERRORS as error:
        if status_of(error) == NOT_FOUND:
            raise StoreError(f"what answers at {url} is not a Qdrant server: check the address") from error
        if not is_passing(error):
            raise translated(error, url) from error
        way_out = "start one with `docker compose up -d`, or leave the URL out to use the embedded store"
        raise StoreUnreachable(f"no Qdrant server answers at {url} ({reason_of(error)}): {way_out}") from error
    ours = importlib.metadata.version("qdrant-client")
    (major, minor), (our_major, our_minor) = _minor(version), _minor(ours)
    if major != our_major or abs(minor - our_minor) > 1:
        note(
            f"the Qdrant server at {url} is version {version}, the client {ours}: "
            "they should be at most one minor version apart"
        )


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
