"""The server store: collections on a Qdrant server."""

from ingest.stores.server.connection import connect
from ingest.stores.server.store import ServerStore

__all__ = ["ServerStore", "connect"]
