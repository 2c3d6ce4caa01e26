"""Connecting to a Qdrant server: whether one is there that can be used. It must not know collections."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from ingest.errors import StoreError, StoreUnreachable
from ingest.stores import Layout
from ingest.stores.server.client import ServerClient
from ingest.stores.server.fault import Fault, Kind, translated
from ingest.stores.server.store import ServerStore
from model.errors import UsageError
from model.system.events import note

OLDEST_SERVER = (1, 16)
"""The first with collection metadata."""

REST_PORT = 6333
"""Qdrant's own, as in its client. Its own for gRPC is the next one, and so it is looked for beside any other."""


def connect(url: str, api_key: str | None, grpc_port: str = "", layout: Layout = Layout()) -> ServerStore:
    """The store of the server at ``url``, once it has answered.

    Args:
        url: an address, or those of several nodes of one cluster, between commas.
        grpc_port: for points in bulk, or one for each address; 0 for REST alone. By default `QDRANT_GRPC_PORT`, else
            the one after the port of the address.
        layout: of collections that are made.

    Raises:
        UsageError: ``url`` or ``grpc_port`` is none.
        StoreUnreachable: nothing answers there, or the API key is refused.
        StoreError: the server is too old, or no Qdrant server.
    """
    client = ServerClient(_addresses(url, grpc_port or os.environ.get("QDRANT_GRPC_PORT", "")), api_key)
    try:
        _check_server(client, url)
    except BaseException:
        client.close()
        raise
    return ServerStore(client, url, layout, partial(connect_to_write, url, api_key, grpc_port))


def connect_to_write(url: str, api_key: str | None, grpc_port: str, name: str, token: str) -> ServerStore:
    """As `connect`, on another machine, to write a collection for the run that holds its lease."""
    store = connect(url, api_key, grpc_port)
    store.borrow(name, token)
    return store


def _addresses(urls: str, grpc_port: str) -> list[tuple[str, int]]:
    addresses = [_address(url.strip()) for url in urls.split(",")]
    ports = _ports(grpc_port, len(addresses))
    return [
        (url, rest_port + 1 if port is None else port) for (url, rest_port), port in zip(addresses, ports, strict=True)
    ]


def _address(url: str) -> tuple[str, int]:
    """An address with its port."""
    try:
        parts = urlsplit(url)
        port = parts.port or REST_PORT
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(url)
    except ValueError as error:
        raise UsageError(f"{url!r} is not the address of a Qdrant server: write http://HOST:{REST_PORT}") from error
    host = parts.netloc if parts.port else f"{parts.netloc}:{port}"
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", port


def _ports(text: str, nodes: int) -> Sequence[int | None]:
    given = [port.strip() for port in text.split(",") if port.strip()]
    if any(not port.isdecimal() or int(port) > 65535 for port in given) or len(given) not in (0, 1, nodes):
        raise UsageError(
            f"{text!r} is no gRPC port: give one number, or one for each of the {nodes} addresses, between commas"
        )
    if not given:
        return [None] * nodes
    return [int(port) for port in given] * (nodes if len(given) == 1 else 1)


def _check_server(client: ServerClient, where: str) -> None:
    try:
        answer = client.info()
        version = str(answer.version)
        try:
            is_old = _minor(version) < OLDEST_SERVER
        except ValueError:
            raise Fault(Kind.FOREIGN, f"version {version!r}", node=client.url) from None
        if is_old:
            raise StoreError(f"the Qdrant server at {client.url} is version {version}: upgrade it to 1.16 or newer")
        client.get_collections()  # anybody may read the version, this only who has the right key
    except Fault as fault:
        raise _refused(fault, client, where) from fault
    ours = importlib.metadata.version("qdrant-client")
    (major, minor), (our_major, our_minor) = _minor(version), _minor(ours)
    if major != our_major or abs(minor - our_minor) > 1:
        note(
            f"the Qdrant server at {client.url} is version {version}, the client {ours}: "
            "they should be at most one minor version apart"
        )


def _refused(fault: Fault, client: ServerClient, where: str) -> StoreError:
    if fault.kind is Kind.MISSING:
        fault = Fault(Kind.FOREIGN, fault.reason, fault.status, node=fault.node)
    if fault.kind is Kind.DOWN:
        return StoreUnreachable(
            f"no Qdrant server answers at {where} ({fault.reason}): start one with `docker compose up -d`, wait if it "
            "is starting, or leave the URL out to use the embedded store"
        )
    refused = translated(fault, where, has_key=client.has_key)
    return StoreUnreachable(str(refused)) if fault.kind is Kind.FAILING else refused


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
