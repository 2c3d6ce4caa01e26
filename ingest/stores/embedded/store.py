"""The embedded store: collections in a folder, searched by Qdrant's own engine in this process.

A collection is a folder::

    collection.json          `CollectionMetadata`, the number of points, whether the last writer ended well
    shard/                   qdrant-edge's files
    projection.safetensors   and other files kept with it
    shard.lock, turn.lock, writer.lock   see `ingest.stores.embedded.shard_lock`
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata
from ingest.stores import Store, Summary
from ingest.stores.embedded.collection import METADATA_FILE, EmbeddedCollection
from ingest.stores.embedded.shard_lock import (
    WRITER_WAIT_SECONDS,
    become_writer,
    take_turn,
)
from model.system.atomic import remove_at_once, sweep
from model.system.disk import folder_bytes, need_space


class EmbeddedStore(Store):
    """Collections below a folder, which appears with the first of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)
        if root.exists() and not root.is_dir():
            raise StoreError(f"the store {root} is a file: name a folder")

    def _folder(self, name: str) -> Path:
        return self.root / "collections" / name

    def names(self) -> list[str]:
        try:
            return sorted(path.parent.name for path in self.root.glob(f"collections/*/{METADATA_FILE}"))
        except OSError as error:
            raise StoreError(f"cannot read the store {self.root}: {error.strerror}") from error

    def metadata(self, name: str) -> CollectionMetadata:
        return CollectionMetadata.from_json(self._record(name), name)

    def _record(self, name: str) -> dict[str, Any]:
        path = self._folder(name) / METADATA_FILE
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise self.not_found(name) from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise StoreDamaged(f"{path} is no JSON: remove its folder and run `ingest run` again") from error
        if not isinstance(record, dict):
            raise StoreDamaged(f"{path} holds no record: remove its folder and run `ingest run` again")
        return record

    def summary(self, name: str) -> Summary:
        record = self._record(name)
        size = folder_bytes(self._folder(name))
        graph, quantized = int(record.get("graph", 0)), bool(record.get("quantized", False))
        return Summary(
            name, CollectionMetadata.from_json(record, name), int(record.get("points", 0)), size, graph, quantized
        )

    def open(self, name: str, *, write: bool = False) -> EmbeddedCollection:
        return EmbeddedCollection(self._folder(name), name, self._record(name), write=write)

    def open_shared(self, name: str) -> EmbeddedCollection:
        return EmbeddedCollection(self._folder(name), name, self._record(name), shared=True)

    def create(self, name: str, metadata: CollectionMetadata) -> EmbeddedCollection:
        folder = self._folder(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)  # what a killed `drop` left
            need_space(folder, 0)
            record = {**metadata.to_json(), "points": 0, "clean": False}
            return EmbeddedCollection(folder, name, record, write=True, new=True)
        except OSError as error:
            raise StoreError(f"cannot make {folder}: {error.strerror}; choose another with --store") from error

    def drop(self, name: str) -> None:
        self._record(name)
        folder = self._folder(name)
        with become_writer(folder, name), take_turn(folder, name, WRITER_WAIT_SECONDS):
            (folder / METADATA_FILE).unlink()  # first: from here on the collection is gone as a whole
            remove_at_once(folder)
