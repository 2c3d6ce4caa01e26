"""Which store a command talks to."""

from __future__ import annotations

from pathlib import Path

from ingest.store import Store
from model.cache import default_store_dir


def open_store(store: Path | None = None, url: str = "", api_key: str = "") -> Store:
    """The Qdrant server at ``url`` where one is given, else the embedded store in the folder ``store``.

    Each imports only its own engine: the embedded one costs 30 ms, the client over a second.

    Raises:
        StoreError: the server does not answer, or the folder is a file.
    """
    if url:
        from ingest.server import connect

        return connect(url, api_key or None)
    from ingest.embedded import EmbeddedStore

    return EmbeddedStore(store.expanduser() if store else default_store_dir())
