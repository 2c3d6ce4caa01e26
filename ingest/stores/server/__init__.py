"""The server store: collections on a Qdrant server."""

from ingest.stores.server.store import connect

__all__ = ["connect"]
