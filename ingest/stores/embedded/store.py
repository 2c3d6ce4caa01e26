"""The embedded store: collections in a folder, searched by Qdrant's own engine in this process.

A collection is a folder::

    collection.json          `CollectionMetadata`, the number of points, whether the last writer ended well; and a copy
    shard/                   qdrant-edge's files
    seal.json, seal.blocks   what those files are like, see `ingest.stores.embedded.seal`
    projection.safetensors   and other files kept with it
    shard.lock, queue.lock, writer.lock   see `ingest.stores.embedded.shard_lock`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata, Pending
from ingest.stores import VISUAL, Collection, Point, Store, Summary
from ingest.stores.embedded.checking import DAMAGED, find_damage
from ingest.stores.embedded.collection import EmbeddedCollection
from ingest.stores.embedded.engine import edge_errors
from ingest.stores.embedded.record import COPY_FILE, METADATA_FILE, Record, is_record, read_record, recorded
from ingest.stores.embedded.salvage import salvage
from ingest.stores.embedded.seal import read_seal
from ingest.stores.embedded.shard import READER_WAIT_SECONDS, WRITER_WAIT_SECONDS, Access
from ingest.stores.embedded.shard_lock import lock_shard, lock_writer
from ingest.stores.embedded.writer import EmbeddedWriter
from model.system.atomic import remove_at_once, sweep
from model.system.disk import folder_bytes, need_space
from model.system.events import note


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
            folders = recorded(self.root / "collections")
        except OSError as error:
            raise StoreError(f"cannot read the store {self.root}: {error.strerror}") from error
        return [name for name in folders if not name.startswith(".")]  # but those that are being dropped

    def metadata(self, name: str) -> CollectionMetadata:
        return CollectionMetadata.from_json(self._record(name), name)

    def _record(self, name: str) -> Mapping[str, Any]:
        try:
            return read_record(self._folder(name))
        except FileNotFoundError:
            raise self.not_found(name) from None

    def summary(self, name: str) -> Summary:
        record = Record.from_json(self._record(name), name)
        size = folder_bytes(self._folder(name))
        return Summary(name, record.metadata, record.points, size, record.graph, record.quantized, record.engine)

    def open(self, name: str, *, write: bool = False) -> Collection:
        folder, record = self._folder(name), self._record(name)
        return EmbeddedWriter(folder, name, record) if write else EmbeddedCollection(folder, name, record)

    def open_shared(self, name: str) -> Collection:
        return EmbeddedCollection(self._folder(name), name, self._record(name), Access.SHARED)

    def create(self, name: str, metadata: CollectionMetadata) -> Collection:
        folder = self._folder(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)  # what a killed `drop` left
            need_space(folder, 0)
            return EmbeddedWriter(folder, name, metadata.to_json(), new=True)
        except OSError as error:
            raise StoreError(f"cannot make {folder}: {error.strerror}; choose another with --store") from error

    def damage(
        self, name: str, *, thorough: bool = False, advance: Callable[[int], None] = lambda _: None
    ) -> list[str]:
        folder, record = self._folder(name), Record.from_json(self._record(name), name)
        with lock_shard(folder, name, READER_WAIT_SECONDS), edge_errors(folder, name):
            found = find_damage(folder, record, thorough=thorough, advance=advance)
        return found + [
            file for file in (METADATA_FILE, COPY_FILE) if record.seal is not None and not is_record(folder / file)
        ]

    @contextmanager
    def mending(self, name: str) -> Iterator[tuple[Iterator[list[Point]], Collection]]:
        folder, raw = self._folder(name), self._record(name)
        record = Record.from_json(raw, name)
        need_space(folder, folder_bytes(folder))
        with EmbeddedWriter(folder, name, raw, mending=True) as collection:
            try:
                sealed = None if record.seal is None else read_seal(folder, record.seal)
            except StoreDamaged:
                sealed = None
            width = record.metadata.vectors[VISUAL]
            yield salvage(folder / DAMAGED, folder, name, width, sealed), collection
            collection.end_mending()

    def drop(self, name: str) -> None:
        self._drop(name, lambda: True)

    def drop_unfinished(self, name: str) -> None:
        """Who was making it may have ended well since it was looked at: it is looked at again under the lock."""
        self._drop(name, lambda: self.metadata(name).pending == Pending.CREATING)

    def _drop(self, name: str, is_to_go: Callable[[], bool]) -> None:
        self._record(name)
        folder = self._folder(name)
        with lock_writer(folder, name), lock_shard(folder, name, WRITER_WAIT_SECONDS):
            if not is_to_go():
                return
            (folder / COPY_FILE).unlink(missing_ok=True)
            left = remove_at_once(folder, METADATA_FILE)
        if left:
            note(f"files of {name!r} could not be removed, and still take room: remove {left}")
        sweep(folder.parent)
