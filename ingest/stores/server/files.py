"""Files kept with a collection on a server, in parts: another machine finds them there too.

A file's record says its SHA-256 and size; its parts are points of their own beside it, base64 in their payloads. It
must not know what the files hold.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from ingest.errors import StoreDamaged
from ingest.stores import batches
from ingest.stores.server.models import models
from ingest.stores.server.records import FILE, KIND, PART, Records, record_id
from ingest.stores.server.requests import MESSAGE_BYTES, Requests

PART_BYTES = 2**18
"""Of a file: a third more as base64, and a proxy may take no more than 1 MB."""

IDS_AT_ONCE = 1000

REMOVED = {"size": 0, "removed": True}
"""The record of a file that was removed: where there is none at all, it is lost."""


class KeptFiles:
    """The files of one collection."""

    def __init__(self, requests: Requests, name: str) -> None:
        self._requests = requests
        self._client = requests.client
        self._name = name
        self._records = Records(requests, name)

    def write(self, file: str, data: bytes) -> str:
        """Its parts first, then its record, then the old parts are removed: readers see one version, whole.

        Returns:
            Its SHA-256.
        """
        old = self._records.read(FILE, file)
        new = {"sha256": checksum(data), "size": len(data), "part": PART_BYTES}
        starts = range(0, len(data), PART_BYTES)
        encoded = (base64.b64encode(data[start : start + PART_BYTES]).decode() for start in starts)
        points = (
            models.PointStruct(id=id, vector={}, payload={KIND: PART, "data": text})
            for id, text in zip(_part_ids(file, new), encoded, strict=True)
        )
        self._requests.write(self._client.upsert, self._name, points, _part_bytes)
        self._records.write(FILE, {"file": file, **new}, file)
        if old and _part_ids(file, old) != _part_ids(file, new):
            self._remove_parts(file, old)
        return str(new["sha256"])

    def remove(self, file: str) -> None:
        """Remove a file, if there is one; that it was removed stays on record."""
        record = self._records.read(FILE, file)
        if record is None or not record.get("removed"):
            self._records.write(FILE, {"file": file, **REMOVED}, file)
        if record:
            self._remove_parts(file, record)

    def read(self, file: str, *, is_kept: bool) -> bytes | None:
        """A file, or None where there is none.

        Args:
            is_kept: whether one of that name was written, and so must be there.

        Raises:
            StoreDamaged: it is lost, or not what was written.
        """
        for _ in range(2):  # a writer may replace the file between its record and its parts
            record = self._records.read(FILE, file)
            if record is None and is_kept:
                break
            if record is None or record.get("removed"):
                return None
            data = self._read_parts(_part_ids(file, record))
            if checksum(data) == record["sha256"]:
                return data
        raise StoreDamaged(
            f"the server at {self._requests.where} has lost {file!r} of collection {self._name!r}: `ingest run`, or "
            "`ingest check --repair`, makes again what can be made"
        )

    def is_lost(self, file: str) -> bool:
        """Whether a file that was kept, and not removed, is not all there; its parts are not read."""
        record = self._records.read(FILE, file)
        if record is None:
            return True
        ids = _part_ids(file, record)
        return any(len(self._records.present(some)) < len(some) for some in batches(ids, IDS_AT_ONCE))

    def _read_parts(self, ids: list[str]) -> bytes:
        texts: dict[str, str] = {}
        for batch in batches(ids, MESSAGE_BYTES // PART_BYTES):
            found = self._requests.ask(self._client.retrieve, self._name, batch)
            texts.update((str(part.id), (part.payload or {})["data"]) for part in found)
        return b"".join(base64.b64decode(texts.get(id, "")) for id in ids)

    def _remove_parts(self, file: str, record: Mapping[str, Any]) -> None:
        if ids := _part_ids(file, record):
            self._requests.ask(self._client.delete, self._name, [*ids], wait=True)


def checksum(data: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest()


def _part_ids(file: str, record: Mapping[str, Any]) -> list[str]:
    """The point ids of a file's parts, new ones for new content."""
    starts = range(0, record["size"], record.get("part", PART_BYTES))
    return [record_id(PART, f"{file}/{record['sha256']}/{start}") for start in starts]


def _part_bytes(part: models.PointStruct) -> int:
    return len((part.payload or {})["data"])
