"""The client of a Qdrant server of one node or several: each call goes to the first node that answers.

Questions go over REST by a client of our own (`rest`), points in bulk over gRPC and everything else over REST by
qdrant-client (`full`), which is imported when it is first needed. It must not know collections, only their names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ingest.stores.server.fault import ELSEWHERE, UNANSWERED, Fault, Kind
from ingest.stores.server.rest import Json, RestClient
from model.system.events import note

if TYPE_CHECKING:
    from ingest.stores.server.full import FullClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take: ``seconds`` with all its attempts, and ``attempt`` for each answer."""

    seconds: float
    attempt: float


QUESTION = Patience(10, 10)
"""Somebody waits for the answer."""

RUN = Patience(600, 30)
"""A long work outlasts a server that starts again, or a node that is replaced."""

PROBE_SECONDS = 2.0
"""For a sign of life of a node that did not answer last, before it gets a request again."""

AGREED_SECONDS = 2.0
"""Of a question, for several copies to agree: one that is on a node that is stopped would be waited for."""

LEAST_SECONDS = 0.05
"""For an answer, where the time for all attempts is over."""

STRONG = "strong"
"""As a write's ``ordering``."""

GRPC_BYTES = 12 * 2**20
"""Of a message over gRPC: of 8 to 16 MB none is quicker than another, and four are in flight."""

REST_BYTES = 4 * 2**20
"""Of a request as JSON: far below the 32 MB a server takes, and soon sent again."""

GRPC_NUMBER_BYTES, REST_NUMBER_BYTES = 4, 24
"""Of a float32; as JSON at its longest: ``-1.1754943508222875e-38,``."""


@dataclass
class Node:
    """One address of the server.

    ``has_grpc``: whether gRPC answers there; None until it was tried. ``is_quiet``: whether it did not answer last.
    """

    url: str
    grpc_port: int
    rest: RestClient
    full: FullClient | None = None
    has_grpc: bool | None = None
    is_quiet: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


class ServerClient:
    """Calls by the names of qdrant-client's; what they take and give is the JSON of the REST API.

    Args:
        addresses: of the nodes, with the gRPC port of each, 0 for none.

    All calls raise `Fault`.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]], api_key: str | None) -> None:
        self.patience = QUESTION
        self.has_key = bool(api_key)
        self._api_key = api_key
        self._work = threading.local()
        self._nodes = [Node(url, port, RestClient(url, api_key, self._seconds)) for url, port in addresses]
        self._current = 0
        self._lock = threading.Lock()
        self._is_told = False
        self._passed_over = set[int]()

    @property
    def url(self) -> str:
        """Of the node that is asked now."""
        return self._nodes[self._current].url

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Wait for a server that goes away as long as a run does, while the block runs."""
        before, self.patience = self.patience, RUN
        try:
            yield
        finally:
            self.patience = before

    @contextmanager
    def one_wait(self) -> Iterator[None]:
        """All that this thread asks in the block takes no longer together than one request may."""
        before = getattr(self._work, "deadline", None)
        self._work.deadline = before or time.monotonic() + self.patience.seconds
        try:
            yield
        finally:
            self._work.deadline = before

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other method of qdrant-client."""
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(RestClient, name):
            return lambda *args, **options: self._try_nodes(lambda node: getattr(node.rest, name)(*args, **options))
        return lambda *args, **options: self._try_nodes(lambda node: self._full(node).call(name, *args, **options))

    def clusters(self) -> list[Any]:
        """What each node that answers says of the cluster: only who leads it sends, and misses, messages of its own."""
        told = []
        for node in self._nodes:
            with suppress(Fault):
                told.append(self._try_node(node, lambda node: node.rest.cluster()))
        return told

    def retrieve(self, name: str, ids: Sequence[str], *, consistency: str | None = None, **options: Any) -> Any:
        """Where several copies are to agree and one of them is down, or silent, no other node can do better."""
        if not consistency:
            return self._try_nodes(lambda node: node.rest.retrieve(name, ids, **options))
        is_short = self.patience is QUESTION and len(self._nodes) > 1
        asked = {**options, "consistency": consistency, "seconds": AGREED_SECONDS if is_short else None}
        others = ELSEWHERE - ({Kind.FAILING, Kind.SILENT} if is_short else {Kind.FAILING})
        return self._try_nodes(lambda node: node.rest.retrieve(name, ids, **asked), others)

    def scroll(
        self,
        name: str,
        scroll_filter: Json | None = None,
        limit: int = 10,
        *,
        offset: object = None,
        with_vectors: Any = False,
        **options: object,
    ) -> tuple[Any, Any]:
        """With vectors, over gRPC where that answers."""

        def ask(node: Node) -> tuple[Any, Any]:
            if with_vectors and not options and self._grpc(node):
                return self._full(node).scroll(name, scroll_filter, limit, offset, with_vectors, self._seconds())
            return node.rest.scroll(name, scroll_filter, limit, offset=offset, with_vectors=with_vectors, **options)

        return self._try_nodes(ask)

    def upsert(self, name: str, points: Sequence[Any], **options: Any) -> Any:
        """Points as JSON, in bulk; or as models, with any of qdrant-client's options."""
        return self._write("upsert", name, points, options)

    def update_vectors(self, name: str, points: Sequence[Any], **options: Any) -> Any:
        """As `upsert`."""
        return self._write("update_vectors", name, points, options)

    def batch_update_points(self, name: str, operations: Sequence[Any], **options: Any) -> Any:
        """As `upsert`; as JSON, they overwrite payloads."""
        return self._write("batch_update_points", name, operations, options)

    def _write(self, method: str, name: str, items: Sequence[Any], options: dict[str, Any]) -> Any:
        is_plain = options.keys() <= {"wait"} and all(isinstance(item, dict) for item in items)

        def ask(node: Node) -> Any:
            if not is_plain:
                return self._full(node).call(method, name, items, **options)
            if self._grpc(node):
                return getattr(self._full(node), method)(name, items, self._seconds())
            return getattr(node.rest, method)(name, items)

        is_strong = options.get("ordering") == STRONG  # which goes by the same node, whichever is asked
        return self._try_nodes(ask, ELSEWHERE - {Kind.FAILING} if is_strong else ELSEWHERE)

    @property
    def number_bytes(self) -> int:
        """Of a number of a vector in a message."""
        return GRPC_NUMBER_BYTES if self._grpc(self._nodes[self._current]) else REST_NUMBER_BYTES

    @property
    def message_bytes(self) -> int:
        """Of the messages that points are sent and read in."""
        return GRPC_BYTES if self._grpc(self._nodes[self._current]) else REST_BYTES

    def _seconds(self) -> float:
        """For one node's answer: where there are others, they are to have their turn."""
        share = self.patience.attempt / (len(self._nodes) if self.patience is QUESTION else 1)
        deadline = getattr(self._work, "deadline", None)
        return share if deadline is None else max(LEAST_SECONDS, min(share, deadline - time.monotonic()))

    def _try_nodes(self, ask: Callable[[Node], T], elsewhere: Container[Kind] = ELSEWHERE) -> T:
        """What the first node answers that does: that which answered last, the others, those that are quiet."""
        first, count = self._current, len(self._nodes)
        turns = sorted(((first + turn) % count for turn in range(count)), key=lambda index: self._nodes[index].is_quiet)
        for index, following in zip(turns, [*turns[1:], None], strict=True):
            try:
                answer = self._try_node(self._nodes[index], ask)
            except Fault as fault:
                if fault.kind not in elsewhere or following is None:
                    raise
                self._pass_over(index, following, fault)
            else:
                self._passed_over.discard(index)
                return answer
        raise AssertionError("there is at least one node")

    def _try_node(self, node: Node, ask: Callable[[Node], T]) -> T:
        try:
            if node.is_quiet and len(self._nodes) > 1:
                node.rest.info(PROBE_SECONDS)  # a node that is stopped takes requests, and never answers
            answer = ask(node)
        except Fault as fault:
            node.is_quiet = fault.kind in UNANSWERED
            raise
        node.is_quiet = False
        return answer

    def _pass_over(self, index: int, following_index: int, fault: Fault) -> None:
        with self._lock:
            if self._current != index:
                return  # another thread has
            self._current = following_index
            following = self._nodes[self._current].url
            is_said = index in self._passed_over  # since it answered last
            self._passed_over.add(index)
        if not is_said:
            note(f"the Qdrant server at {self._nodes[index].url} is passed over ({fault.reason}): asking {following}")

    def _full(self, node: Node) -> FullClient:
        with node.lock:
            if node.full is None:
                from ingest.stores.server.full import FullClient

                node.full = FullClient(node.url, self._api_key, node.grpc_port, RUN.attempt)
            return node.full

    def _grpc(self, node: Node) -> bool:
        """Whether points go to a node over gRPC, which is tried once."""
        with node.lock:
            if node.has_grpc is None:
                has_grpc = self._full(node).answers_grpc() if node.grpc_port else False
                if not has_grpc:
                    node.rest.info()  # where the node itself is gone, nothing is known of its ports
                    self._note_rest(node)
                node.has_grpc = has_grpc
            return node.has_grpc

    def _note_rest(self, node: Node) -> None:
        if node.grpc_port and not self._is_told:
            self._is_told = True
            note(
                f"gRPC does not answer at port {node.grpc_port} of {node.url}: points go over REST, which takes about "
                "twice as long; --grpc-port names another port, 0 none"
            )

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        for node in self._nodes:
            node.rest.close()
            if node.full is not None:
                node.full.close()
