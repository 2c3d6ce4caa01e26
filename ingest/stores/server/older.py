"""Collections as earlier versions kept them on a server, read, and turned into what is kept today.

The server's metadata of ``NAME`` held `CollectionMetadata`, the record of each file and the writer's mark; the files'
parts were points of a second collection, ``NAME--files``.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ingest.errors import CollectionNotFound, StoreDamaged, StoreError, StoreInUse
from ingest.records import CollectionMetadata, stable_id
from ingest.stores import batches
from ingest.stores.server.files import KeptFiles
from ingest.stores.server.mark import MARK_KEY, Mark
from ingest.stores.server.records import METADATA, Records, is_forbidden
from ingest.stores.server.requests import Requests
from model.system.events import note
from model.system.process import is_running, pid_scope

FILE_KEY = "wordsight-file:"
FILES_OF_KEY = "wordsight-files-of"
FILES_SUFFIX = "--files"
WRITER_KEY = "wordsight-writer"

OLDEST_PART_BYTES = 2**20
"""Of a file whose record does not say."""

PARTS_AT_ONCE = 4

LAPSED_SECONDS = 300.0
"""A writer's mark that is older counts for nothing."""


class OlderFiles:
    """The files of one collection as they were kept then, to be read."""

    def __init__(self, requests: Requests, name: str) -> None:
        self._requests = requests
        self._name = name

    def names(self) -> list[str]:
        kept = self._requests.metadata(self._name)
        return [key.removeprefix(FILE_KEY) for key, value in kept.items() if key.startswith(FILE_KEY) and value]

    def read(self, file: str) -> bytes | None:
        """A file, or None where there is none; raises StoreDamaged where its parts are not what was written."""
        for _ in range(2):  # a writer may replace the file between its record and its parts
            record = self._requests.metadata(self._name).get(FILE_KEY + file)
            if not record:
                return None
            data = self._read_parts(file, record)
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return data
        raise StoreDamaged(
            f"the server at {self._requests.where} has lost {file!r} of collection {self._name!r}: `ingest run`, or "
            "`ingest check --repair`, makes again what can be made"
        )

    def _read_parts(self, file: str, record: Mapping[str, Any]) -> bytes:
        starts = range(0, record["size"], record.get("part", OLDEST_PART_BYTES))
        ids = [str(stable_id(f"{file}/{record['sha256']}/{start}")) for start in starts]
        texts: dict[str, str] = {}
        with suppress(CollectionNotFound):
            for batch in batches(ids, PARTS_AT_ONCE):
                found = self._requests.ask(self._requests.client.retrieve, self._name + FILES_SUFFIX, batch)
                texts.update((str(part.id), (part.payload or {})["data"]) for part in found)
        return b"".join(base64.b64decode(texts.get(id, "")) for id in ids)


def refuse_older_writer(requests: Requests, name: str) -> None:
    """Raises StoreInUse where an earlier version writes the collection."""
    held = requests.metadata(name).get(WRITER_KEY)
    if held and _holds(held):
        raise StoreInUse(
            f"collection {name!r} is being written by another process, {held['pid']} on {held['host']}: "
            "wait until that ends"
        )


def _holds(held: Mapping[str, Any]) -> bool:
    if abs(time.time() - held["at"]) >= LAPSED_SECONDS:
        return False
    is_foreign = held.get("scope", pid_scope()) != pid_scope() or held["host"] != socket.gethostname()
    return is_foreign or is_running(held["pid"], held["token"])


def is_left_over(metadata: Mapping[str, Any]) -> bool:
    """Whether the server's metadata of a collection holds what an earlier version kept there."""
    return any(_older_keys(metadata))


def _older_keys(metadata: Mapping[str, Any]) -> Iterator[str]:
    return (key for key, value in metadata.items() if value and (key.startswith(FILE_KEY) or key == WRITER_KEY))


def turn(requests: Requests, name: str, metadata: CollectionMetadata, maker: Mapping[str, Any]) -> None:
    """Keep a collection as it is kept today.

    Files first, then the record of the collection, from which on readers find all in its new place; then the second
    collection and what is left in the server's metadata are removed. Killed in between, the next call goes on.
    """
    kept = requests.metadata(name)
    records, files, older = Records(requests, name), KeptFiles(requests, name), OlderFiles(requests, name)
    if records.read(METADATA) is None:
        note(f"collection {name!r} is kept anew as of this version: as points, without a collection of its files")
        names: dict[str, str] = {}  # of those that are lost too: the next run notices
        for file in (key.removeprefix(FILE_KEY) for key in _older_keys(kept) if key.startswith(FILE_KEY)):
            try:
                data = older.read(file)
            except StoreDamaged as error:
                note(str(error))
                names[file] = kept[FILE_KEY + file]["sha256"]
                continue
            if data is not None:
                names[file] = files.write(file, data)
        records.write(METADATA, {"record": metadata.to_json(), "files": names})
    changed = {**dict.fromkeys(_older_keys(kept)), MARK_KEY: Mark(metadata, maker).to_json()}
    try:
        drop_files(requests, name)
        requests.ask(requests.client.update_collection, name, metadata=changed)
    except StoreError as error:
        if not is_forbidden(error):
            raise
        note(f"what earlier versions kept of {name!r} is left on the server until a key with all rights writes it")


def drop_files(requests: Requests, name: str) -> None:
    """Remove the second collection, if it is ours."""
    with suppress(CollectionNotFound):  # no file was ever kept with it
        if requests.metadata(name + FILES_SUFFIX).get(FILES_OF_KEY) == name:
            requests.ask(requests.client.delete_collection, name + FILES_SUFFIX)
