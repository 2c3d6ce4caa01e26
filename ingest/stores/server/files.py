"""Files kept with a collection on a server, in parts: another machine finds them there too.

The parts are points of the collection ``NAME--files``, base64 in their payloads; the metadata of ``NAME`` holds for
each file its SHA-256 and size. It must not know what the files hold.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ingest.errors import CollectionNotFound, StoreDamaged
from ingest.records import stable_id
from ingest.stores import batches
from ingest.stores.server.models import models
from ingest.stores.server.requests import MESSAGE_BYTES, Requests

FILE_KEY = "wordsight-file:"
FILES_OF_KEY = "wordsight-files-of"
FILES_SUFFIX = "--files"
PART_BYTES = 2**18
"""Of a file: a third more as base64, and a proxy may take no more than 1 MB."""

OLDER_PART_BYTES = 2**20
"""Of a file whose record does not say."""


class KeptFiles:
    """The files of one collection."""

    def __init__(self, requests: Requests, name: str) -> None:
        self._requests = requests
        self._client = requests.client
        self._name = name
        self._parts = name + FILES_SUFFIX

    def write(self, file: str, data: bytes) -> None:
        """Its parts first, then its record, then the old parts are removed: readers see one version, whole."""
        self._requests.create(self._parts, {}, FILES_OF_KEY, self._name)
        old = self._record(file)
        new = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "part": PART_BYTES}
        starts = range(0, len(data), PART_BYTES)
        encoded = (base64.b64encode(data[start : start + PART_BYTES]).decode() for start in starts)
        points = (
            models.PointStruct(id=id, vector={}, payload={"data": text})
            for id, text in zip(_part_ids(file, new), encoded, strict=True)
        )
        self._requests.write(self._client.upsert, self._parts, points, _part_bytes)
        self._requests.set_metadata(self._name, FILE_KEY + file, new)
        if old and old != new:
            self._remove_parts(file, old)

    def remove(self, file: str) -> None:
        """Remove a file, if there is one."""
        if record := self._record(file):
            self._requests.set_metadata(self._name, FILE_KEY + file, None)
            self._remove_parts(file, record)

    def read(self, file: str) -> bytes | None:
        """A file, or None where there is none; raises StoreDamaged where its parts are not what was written."""
        for _ in range(2):  # a writer may replace the file between its record and its parts
            record = self._record(file)
            if record is None:
                return None
            data = self._read_parts(_part_ids(file, record))
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return data
        there = f"{file!r} of collection {self._name!r} on {self._requests.where}"
        raise StoreDamaged(f"{there} is damaged: drop the collection and run `ingest run` again")

    def drop(self) -> None:
        """Remove them all, with the collection of their parts, if it is ours."""
        with suppress(CollectionNotFound):  # no file was ever kept with it
            if self._requests.metadata(self._parts).get(FILES_OF_KEY) == self._name:
                self._requests.ask(self._client.delete_collection, self._parts)

    def _record(self, file: str) -> Mapping[str, Any] | None:
        record: Mapping[str, Any] | None = self._requests.metadata(self._name).get(FILE_KEY + file)
        return record

    def _read_parts(self, ids: list[str]) -> bytes:
        texts: dict[str, str] = {}
        for batch in batches(ids, MESSAGE_BYTES // PART_BYTES):
            found = self._requests.ask(self._client.retrieve, self._parts, batch)
            texts.update((str(part.id), (part.payload or {})["data"]) for part in found)
        return b"".join(base64.b64decode(texts.get(id, "")) for id in ids)

    def _remove_parts(self, file: str, record: Mapping[str, Any]) -> None:
        if ids := _part_ids(file, record):
            self._requests.ask(self._client.delete, self._parts, [*ids], wait=True)


def _part_ids(file: str, record: Mapping[str, Any]) -> list[str]:
    """The point ids of a file's parts, new ones for new content."""
    starts = range(0, record["size"], record.get("part", OLDER_PART_BYTES))
    return [str(stable_id(f"{file}/{record['sha256']}/{start}")) for start in starts]


def _part_bytes(part: models.PointStruct) -> int:
    return len((part.payload or {})["data"])
