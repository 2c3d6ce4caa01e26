"""Nodes of a real Qdrant server for tests, alone or as a cluster, on free loopback ports of their own.

``QDRANT_BINARY`` names the server's binary; where it is not set, whoever needs a node is skipped with that reason.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from qdrant_client import QdrantClient

from ingest.stores import Layout
from ingest.stores.server import ServerStore, connect
from tests.waiting import wait_until

BINARY = os.environ.get("QDRANT_BINARY", "")
"""Read now: conftest takes these away from every test."""


class Node:
    """One process of a server, with its data in ``folder``.

    Args:
        settings: of Qdrant, by path: ``{"SERVICE__API_KEY": "secret"}``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        if not BINARY:
            pytest.skip("QDRANT_BINARY does not name the binary of a Qdrant server")
        self.folder = folder
        self.http_port, self.grpc_port, self.p2p_port = free_ports(3)
        self.url = f"{'https' if 'SERVICE__ENABLE_TLS' in (settings or {}) else 'http'}://127.0.0.1:{self.http_port}"
        self.peer_url = f"http://127.0.0.1:{self.p2p_port}"
        self._settings = dict(settings or {})
        self._arguments: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str] = (), *, wait: bool = True) -> None:
        """Start it, or start it again with its data, as it was started before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._arguments = [*arguments] or self._arguments
        own = {
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": self.http_port,
            "SERVICE__GRPC_PORT": self.grpc_port,
            "STORAGE__STORAGE_PATH": self.folder / "storage",
            "STORAGE__SNAPSHOTS_PATH": self.folder / "snapshots",
            "TELEMETRY_DISABLED": "true",
            "LOG_LEVEL": "WARN",
            **self._settings,
        }
        environment = {**os.environ, **{f"QDRANT__{name}": str(value) for name, value in own.items()}}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, *self._arguments], cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it answers."""
        wait_until(self.is_ready)

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    def send(self, number: signal.Signals) -> None:
        """A signal to its process."""
        assert self._process is not None
        self._process.send_signal(number)

    def resident_bytes(self) -> int:
        """Memory that it holds, with the pages of its files."""
        return self._memory("VmRSS")

    def own_bytes(self) -> int:
        """Memory that it holds without the pages of its files."""
        return self._memory("RssAnon")

    def _memory(self, kind: str) -> int:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(status.partition(f"{kind}:")[2].split()[0])

    def stop(self) -> None:
        """End it at once, as a kill does; its data stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def client(self, *, grpc: bool = False, api_key: str | None = None) -> QdrantClient:
        """A client of it alone, over REST or gRPC."""
        return QdrantClient(
            url=self.url,
            grpc_port=self.grpc_port,
            prefer_grpc=grpc,
            api_key=api_key,
            timeout=30,
            check_compatibility=False,
        )


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]
    finally:
        for free in sockets:
            free.close()


@contextmanager
def one_node(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Node]:
    """A node alone, which runs while the block does."""
    node = Node(folder, settings)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@contextmanager
def cluster(folder: Path, count: int = 3, settings: Mapping[str, str] | None = None) -> Iterator[list[Node]]:
    """Nodes that know of each other, which run while the block does."""
    shared = {"CLUSTER__ENABLED": "true", **(settings or {})}
    nodes = [Node(folder / str(number), shared) for number in range(count)]
    try:
        for node in nodes:
            node._settings["CLUSTER__P2P__PORT"] = str(node.p2p_port)
            joins = [] if node is nodes[0] else ["--bootstrap", nodes[0].peer_url]
            node.start(["--uri", node.peer_url, *joins])
        wait_until(lambda: all(peers(node) == count for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def peers(node: Node) -> int:
    """How many nodes of its cluster one knows of."""
    answer = httpx.get(f"{node.url}/cluster", timeout=5, trust_env=False).json()
    return len(answer["result"]["peers"])


def store_of(*nodes: Node, grpc: bool = True, api_key: str | None = None, layout: Layout = Layout()) -> ServerStore:
    """The store on them, as a command opens it."""
    url = ",".join(node.url for node in nodes)
    ports = ",".join(str(node.grpc_port) for node in nodes) if grpc else "0"
    return connect(url, api_key, ports, layout)
