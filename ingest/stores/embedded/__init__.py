"""The embedded store: collections in a folder, searched by Qdrant's own engine in this process."""

from ingest.stores.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
