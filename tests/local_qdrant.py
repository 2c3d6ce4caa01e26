"""The client's local mode as a stand-in for a Qdrant server: it stores and searches for real, in memory.

A server answers with a status where local mode raises errors of Python; here they are translated, so that the product
need not know of it. It says nothing of what it ignores, such as payload indexes.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import httpx
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse


def local_qdrant() -> QdrantClient:
    """A client of a server with no collections, which is gone with the client."""
    client = QdrantClient(":memory:")
    client._client = _AsServer(client._client)  # type: ignore[assignment]
    return client


class _AsServer:
    """Local mode, but its errors are those of a server."""

    def __init__(self, local: Any) -> None:
        self._local = local

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._local, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return method(*args, **kwargs)
                except (ValueError, KeyError, RuntimeError) as error:
                    raise answer(error) from error

        return call


def answer(error: Exception) -> UnexpectedResponse:
    """What a server answers where local mode raises this."""
    text = str(error.args[0]) if error.args else str(error)
    missing = isinstance(error, KeyError) or "not found" in text
    status, phrase = (404, "Not Found") if missing else (409, "Conflict") if "already exists" in text else (400, "Bad")
    content = json.dumps({"status": {"error": text}, "time": 0.0}).encode()
    return UnexpectedResponse(status, phrase, content, httpx.Headers())
