"""qdrant-client's local mode as a stand-in for a Qdrant server: it stores and searches for real, in memory.

It takes what a server takes, JSON, and its errors are faults as a server's would be, so that the product need not know
of it. It says nothing of what it ignores, such as payload indexes.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from ingest.stores.server.client import QUESTION, REST_BYTES, REST_NUMBER_BYTES
from ingest.stores.server.fault import Fault, answered

FILTERS = ("query_filter", "scroll_filter", "count_filter", "facet_filter", "update_filter")
FILTER_SECOND = ("scroll", "count")
"""Methods whose second argument is a filter."""


def local_qdrant() -> Any:
    """A client of a server with no collections, which is gone with the client; it stands for a `ServerClient`."""
    return LocalQdrant()


class LocalQdrant:
    """Local mode, called and failing as a server's client is."""

    number_bytes, message_bytes = REST_NUMBER_BYTES, REST_BYTES
    has_key = False
    patience = QUESTION

    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")
        self._lock = threading.RLock()  # a server takes several requests at once

    @contextmanager
    def patient(self) -> Iterator[None]:
        yield

    one_wait = patient

    def get_aliases(self) -> Any:
        return self._translating(self._client._client.get_aliases)

    def locks(self) -> Any:
        raise answered(404, "no locks")

    def cluster(self) -> Any:
        raise answered(404, "no cluster")

    def clusters(self) -> list[Any]:
        return []

    def collection_cluster(self, name: str) -> Any:
        raise answered(404, f"{name} is no part of a cluster")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(*args: Any, **options: Any) -> Any:
            given = list(args)
            if name in FILTER_SECOND and len(given) > 1:
                given[1] = _model(models.Filter, given[1])
            for key in FILTERS:
                options |= {key: _model(models.Filter, options[key])} if key in options else {}
            if "search_params" in options:
                options["search_params"] = _model(models.SearchParams, options["search_params"])
            return self._translating(method, *map(_taken, given), **options)

        return call

    def _translating(self, method: Any, *args: Any, **options: Any) -> Any:
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return method(*args, **options)
            except (ValueError, KeyError, RuntimeError) as error:
                raise answer(error) from error


def answer(error: Exception) -> Fault:
    """What a server answers where local mode raises this."""
    text = str(error.args[0]) if error.args else str(error)
    missing = isinstance(error, KeyError) or "not found" in text
    return answered(404 if missing else 409 if "already exists" in text else 400, text)


def _model(kind: Any, value: Any) -> Any:
    return kind(**value) if isinstance(value, dict) else value


def _taken(value: Any) -> Any:
    """JSON as what qdrant-client takes."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_item(item) for item in value]
    return _sparse(value) if isinstance(value, dict) and "indices" in value else value


def _item(item: dict[str, Any]) -> Any:
    if "overwrite_payload" in item:
        return models.OverwritePayloadOperation(**item)
    vector = {name: _sparse(one) for name, one in item["vector"].items()}
    if "payload" in item:
        return models.PointStruct(id=item["id"], vector=vector, payload=item["payload"])
    return models.PointVectors(id=item["id"], vector=vector)


def _sparse(vector: Any) -> Any:
    if isinstance(vector, dict):
        return models.SparseVector(**{side: np.asarray(numbers).tolist() for side, numbers in vector.items()})
    return vector.tolist() if isinstance(vector, np.ndarray) else vector
