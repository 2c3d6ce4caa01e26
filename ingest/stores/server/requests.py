"""Requests to a Qdrant server: tried again after passing failures, and kept below the size that it takes.

It must not know collections, only their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

from qdrant_client import QdrantClient, models
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ingest.errors import StoreError
from ingest.stores.server.fault import CLIENT_ERRORS, CONFLICT, TOO_LARGE, is_passing, status_of, translated

ATTEMPTS = 5
RETRY_WAIT = wait_exponential(multiplier=1, max=10)
MESSAGE_BYTES = 4 * 2**20
"""Of a request or an answer: far below the 32 MB a server takes, and soon sent again."""

P = ParamSpec("P")
T = TypeVar("T")


class Requests:
    """Requests through one client to the server at ``where``."""

    def __init__(self, client: QdrantClient, where: str) -> None:
        self.client = client
        self.where = where
        self._message_bytes = MESSAGE_BYTES

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the client, again after passing failures.

        Raises:
            StoreError: a kind of it for each of the client's errors, which is its cause.
        """
        passing = retry_if_exception(is_passing)
        retrying = Retrying(stop=stop_after_attempt(ATTEMPTS), wait=RETRY_WAIT, retry=passing, reraise=True)
        try:
            return retrying(call, *args, **kwargs)
        except CLIENT_ERRORS as error:
            raise translated(error, self.where) from error

    def ask_once(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `ask`, and what fails has failed."""
        try:
            return call(*args, **kwargs)
        except CLIENT_ERRORS as error:
            raise translated(error, self.where) from error

    def metadata(self, name: str) -> Mapping[str, Any]:
        """The metadata of any collection, ours or not; raises CollectionNotFound."""
        return self.ask(self.client.get_collection, name).config.metadata or {}

    def set_metadata(self, name: str, key: str, value: object) -> None:
        """Replace one key of a collection's metadata; None is no value."""
        self.ask(self.client.update_collection, name, metadata={key: value})

    def create(
        self,
        name: str,
        vectors: dict[str, models.VectorParams],
        key: str,
        value: object,
        sparse: dict[str, models.SparseVectorParams] | None = None,
    ) -> None:
        """Create a collection; one with that metadata may be there, from a request whose answer was lost."""
        create, metadata = self.client.create_collection, {key: value}
        try:
            self.ask(
                create,
                name,
                vectors_config=vectors,
                sparse_vectors_config=sparse or None,
                metadata=metadata,
                on_disk_payload=True,
            )
        except StoreError as error:
            if not has_status(error, CONFLICT) or self.metadata(name).get(key) != json.loads(json.dumps(value)):
                raise

    def write(self, call: Callable[..., object], name: str, items: Iterable[T], size_of: Callable[[T], int]) -> None:
        """Write items in as few requests as their sizes allow.

        Args:
            call: the client's method for a list of them. size_of: bytes of an item in a request.
        """
        for batch in self._by_bytes(items, size_of):
            self._send(call, name, batch)

    def _by_bytes(self, items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
        """Lists of items of up to the size of a message together, of one item where that alone is more."""
        batch: list[T] = []
        size = 0
        for item in items:
            more = size_of(item)
            if batch and size + more > self._message_bytes:
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += more
        if batch:
            yield batch

    def _send(self, call: Callable[..., object], name: str, batch: list[T]) -> None:
        """Write a batch; where a proxy before the server finds it too large, in halves, and smaller from then on."""
        try:
            self.ask(call, name, batch, wait=True)
        except StoreError as error:
            if len(batch) == 1 or not has_status(error, TOO_LARGE):
                raise
            self._message_bytes //= 2
            middle = len(batch) // 2
            self._send(call, name, batch[:middle])
            self._send(call, name, batch[middle:])


def has_status(error: StoreError, status: int) -> bool:
    """Whether a request failed with that HTTP status."""
    return error.__cause__ is not None and status_of(error.__cause__) == status
