"""The server store: the same collections on a Qdrant server, for several machines or more than one writer.

A collection ``name`` is::

    name           the points; its metadata holds `CollectionMetadata`, and the record of each file kept with it
    name--files    those files, see `ingest.stores.server.files`

The metadata, each file's record and the lease have a key of their own: the server replaces whole keys, so two commands
that change different ones do not undo each other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress

from ingest.errors import CollectionNotFound
from ingest.records import CollectionMetadata
from ingest.stores import Store, Summary
from ingest.stores.server.client import ServerClient
from ingest.stores.server.collection import METADATA_KEY, ServerCollection
from ingest.stores.server.conversion import has_graph, is_quantized, sparse_params, vector_params
from ingest.stores.server.files import KeptFiles
from ingest.stores.server.lease import lease
from ingest.stores.server.requests import Requests

WRITER_KEY = "wordsight-writer"
ON_DISK_WIDTH = 1024
"""From here on, vectors stay on the server's disk and pass through its page cache."""


class ServerStore(Store):
    """Collections on a server; those without our metadata are not ours, and left alone."""

    def __init__(self, client: ServerClient, where: str) -> None:
        self.client = client
        self.where = where
        self._requests = Requests(client, where)

    def names(self) -> list[str]:
        listed = self._requests.ask(self.client.get_collections).collections
        return sorted(collection.name for collection in listed if self._is_ours(collection.name))

    def _is_ours(self, name: str) -> bool:
        with suppress(CollectionNotFound):  # dropped since it was listed
            return METADATA_KEY in self._requests.metadata(name)
        return False

    def metadata(self, name: str) -> CollectionMetadata:
        try:
            return CollectionMetadata.from_json(self._requests.metadata(name).get(METADATA_KEY, {}), name)
        except CollectionNotFound:
            raise self.not_found(name) from None

    def summary(self, name: str) -> Summary:
        collection = self.open(name)
        points = collection.count()
        info = self._requests.ask(self.client.get_collection, name)
        return Summary(name, collection.metadata, points, None, points if has_graph(info) else 0, is_quantized(info))

    def open(self, name: str, *, write: bool = False) -> ServerCollection:
        """Open a collection. A server takes several writers, so ``write`` keeps nobody out."""
        collection = ServerCollection(self._requests, name, self.metadata(name))
        if write:
            collection.make_indexes()
        return collection

    def writing(self, name: str) -> AbstractContextManager[None]:
        return lease(
            name,
            lambda: self._requests.metadata(name).get(WRITER_KEY),
            lambda mark: self._requests.set_metadata(name, WRITER_KEY, mark),
        )

    def create(self, name: str, metadata: CollectionMetadata) -> ServerCollection:
        """Make an empty collection; raises StoreError where there is one of that name, ours or not."""
        params = vector_params(metadata.vectors, ON_DISK_WIDTH)
        self._requests.create(name, params, METADATA_KEY, metadata.to_json(), sparse_params(metadata.sparse))
        collection = ServerCollection(self._requests, name, metadata)
        collection.make_indexes()
        return collection

    def drop(self, name: str) -> None:
        self.metadata(name)  # not ours, not ours to remove
        self._requests.ask(self.client.delete_collection, name)
        KeptFiles(self._requests, name).drop()

    def close(self) -> None:
        self.client.close()
