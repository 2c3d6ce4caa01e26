"""What runs depend on, as points of the collection itself: what it is made of, its files, the lease.

They have no vectors, so no search meets them, and `PICTURES_ONLY` keeps them out of all else. They are points because a
server's metadata of a collection is read late: through another node of a cluster a third of the reads were stale. Of
points a write is acknowledged by every replica in use, and a read here asks most of them. It must not know what the
records say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from ingest.errors import StoreError, StoreInUse
from ingest.stores.server.fault import Fault, Kind
from ingest.stores.server.models import models
from ingest.stores.server.requests import Requests, has_status
from ingest.stores.server.rest import Json
from model.system.process import new_token

KIND = "wordsight"
"""The payload's key that no picture has: what kind of record a point is."""

METADATA, FILE, PART, LEASE = "metadata", "file", "part", "lease"

VERSION = "lease"
"""The payload's field that conditions ask for, of a record that several may change: it has an index."""

CHANGES = 20

NAMESPACE = UUID("b3c1f7b2-6f0d-5a0e-9c55-0d6a8f6f2a11")
"""Of the records' ids, so that no picture's path gives one of them."""

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Between reads, in seconds, where the replicas do not agree: one of them is being written, or lags."""


LEADERLESS_SECONDS = 60.0
"""For so long after a strong write that failed, which takes ten seconds where its node is stopped, none is tried."""

ALONE_SECONDS = 5.0
"""For so long after a read that too few replicas answered, which takes a third of a second, none of them is asked."""


def record_id(kind: str, name: str = "") -> str:
    """The id of a record, always the same."""
    return str(uuid5(NAMESPACE, f"{kind}/{name}"))


def with_vector(name: str) -> Json:
    """What every point of a dataset passes, and no record: it needs no index, which strict servers ask for."""
    return {"must": [{"has_vector": name}]}


class Records:
    """The records of one collection."""

    def __init__(self, requests: Requests, collection: str) -> None:
        self._requests = requests
        self._client = requests.client
        self._collection = collection

    def read(self, kind: str, name: str = "") -> Mapping[str, Any] | None:
        """A record's payload as it was last acknowledged, or None where there is none.

        Raises:
            CollectionNotFound: the collection is not there.
        """
        with self._requests.one_wait():
            return self._agreed([record_id(kind, name)])

    def _agreed(self, ids: list[str]) -> Mapping[str, Any] | None:
        found = None
        for pause in PAUSES:
            if time.monotonic() - self._requests.disagreed_at < ALONE_SECONDS:
                return self._any(ids)
            try:
                agreed = self._client.retrieve(self._collection, ids, consistency="quorum")
            except Fault as fault:  # too few replicas run; those that do have all that was acknowledged
                if fault.kind in (Kind.FAILING, Kind.SILENT):
                    self._requests.disagreed_at = time.monotonic()
                return self._any(ids)
            if agreed:
                return _payload(agreed)
            found = self._any(ids)
            if found is None:
                return None
            time.sleep(pause)
        return found

    def _any(self, ids: list[str]) -> Mapping[str, Any] | None:
        found = self._requests.ask(self._client.retrieve, self._collection, ids)
        return _payload(found) if found else None

    def write(
        self, kind: str, payload: Mapping[str, Any], name: str = "", *, only_if: models.Filter | None = None
    ) -> None:
        """Add or replace a record. When this returns, every later read sees it.

        Args:
            only_if: a record that is there is replaced only where it passes.
        """
        whole = json.loads(json.dumps({KIND: kind, **payload}))
        point = models.PointStruct(id=record_id(kind, name), vector={}, payload=whole)
        upsert, strong, medium = self._client.upsert, models.WriteOrdering.STRONG, models.WriteOrdering.MEDIUM
        # Strong ordering goes by one node whether that runs or not, medium by the same while it does.
        if time.monotonic() - self._requests.leaderless_at >= LEADERLESS_SECONDS:
            try:
                upsert(self._collection, [point], wait=True, ordering=strong, update_filter=only_if)
                return
            except Fault as fault:
                if fault.kind is Kind.FAILING:
                    self._requests.leaderless_at = time.monotonic()
        self._requests.ask(upsert, self._collection, [point], wait=True, ordering=medium, update_filter=only_if)

    def change(self, kind: str, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Replace a record by what is made of it as it is; what another process writes meanwhile is not lost.

        Args:
            changed: of the record, empty where there is none; called again where another was quicker.
        """
        for _ in range(CHANGES):
            there = self.read(kind) or {}
            seen, mine = there.get(VERSION, []), [new_token()]
            only = models.FieldCondition(key=VERSION, match=models.MatchAny(any=seen)) if seen else None
            condition = models.Filter(must=[only]) if only else None
            self.write(kind, {**changed(there), VERSION: mine}, only_if=condition)
            if (self.read(kind) or {}).get(VERSION) == mine:
                return
        raise StoreInUse(f"collection {self._collection!r} is changed by many at once: run again")

    def present(self, ids: Iterable[str]) -> set[str]:
        """Those of these ids that there are points of."""
        found = self._requests.ask(self._client.retrieve, self._collection, [*ids], with_payload=False)
        return {str(point.id) for point in found}


def _payload(found: Sequence[Any]) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = found[0].payload
    return payload


def is_forbidden(error: StoreError) -> bool:
    """Whether the server refused something that the key has no right to."""
    return has_status(error, 401, 403)
