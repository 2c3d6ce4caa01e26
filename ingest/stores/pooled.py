"""A pool of open collections for a process that lives long: what was opened once stays open, and threads share it.

An embedded collection stays open between searches, since opening costs a hundred times what a search does; its shard
is released when another process waits for it (`ingest.stores.embedded.shard`), so that an ingest goes on beside a
server. It must not know which store is behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.errors import CollectionNotFound
from ingest.records import CollectionMetadata
from ingest.stores.base import Collection
from ingest.stores.store import Store, Summary
from model.class_space import QuestionWeights
from model.encoders import Classifier, Encoder, Features
from model.words import TextSpace

FRESH_SECONDS = 1.0
"""The metadata of a pooled collection is read again after this long: on a server that is a call."""


@dataclass(slots=True)
class _Pooled:
    """An open collection. ``users``: threads that have it now. ``retired``: closed when the last has returned it."""

    collection: Collection
    checked_at: float
    users: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Slot:
    """The slot of one collection in the pool. ``lock``: one thread opens it, the others wait for that."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    pooled: _Pooled | None = None


class _SerialEncoder:
    """An encoder that threads share, one picture after the other.

    It uses every core for each: of 50 threads at once 6 a second were served, and 12 one after the other.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.spec = encoder.spec
        self.sha256 = encoder.sha256
        self.batch_size, self.streams = encoder.batch_size, 1
        self._encoder = encoder
        self._lock = threading.Lock()

    @property
    def classifier(self) -> Classifier | None:
        return self._encoder.classifier

    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        with self._lock:
            return self._encoder.encode(pictures)


class PooledStore(Store):
    """Another store, whose collections, word vectors and encoders are opened once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.where = store.where
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._words: dict[str, TextSpace] = {}
        self._class_spaces: dict[str, QuestionWeights] = {}
        self._encoders: dict[tuple[str, str, str], Encoder] = {}
        self._models = threading.Lock()

    def names(self) -> list[str]:
        return self._store.names()

    def metadata(self, name: str) -> CollectionMetadata:
        return self._store.metadata(name)

    def summary(self, name: str) -> Summary:
        return self._store.summary(name)

    def open(self, name: str, *, write: bool = False) -> Collection:
        return self._store.open(name, write=write)

    def create(self, name: str, metadata: CollectionMetadata) -> Collection:
        return self._store.create(name, metadata)

    def drop(self, name: str) -> None:
        self._store.drop(name)

    def writing(self, name: str, parts: Sequence[str] = ()) -> AbstractContextManager[None]:
        return self._store.writing(name, parts)

    @contextmanager
    def asking(self, name: str) -> Iterator[Collection]:
        """The collection as it is now, which stays open after the ``with``.

        Raises:
            CollectionNotFound: there is none of that name, or no longer.
            StoreInUse: another process has it, and for long.
        """
        pooled = self._borrow(name)
        try:
            yield pooled.collection
        finally:
            with self._lock:
                pooled.users -= 1
                unused = pooled.retired and not pooled.users
            if unused:
                pooled.collection.close()

    def _borrow(self, name: str) -> _Pooled:
        if name not in self._slots:
            self._store.metadata(name)  # there must be one, or any name in a request would take memory
        with self._lock:
            slot = self._slots.setdefault(name, _Slot())
        with slot.lock:
            if slot.pooled is not None and not self._is_current(slot.pooled, name):
                self._retire(slot)
            if slot.pooled is None:
                slot.pooled = _Pooled(self._store.open_shared(name), time.monotonic())
            with self._lock:
                slot.pooled.users += 1
            return slot.pooled

    def _is_current(self, pooled: _Pooled, name: str) -> bool:
        """Whether it is still the collection of that name: not dropped, made anew or changed."""
        now = time.monotonic()
        if now - pooled.checked_at < FRESH_SECONDS:
            return True
        pooled.checked_at = now
        try:
            return self._store.metadata(name) == pooled.collection.metadata
        except CollectionNotFound:
            return False

    def _retire(self, slot: _Slot) -> None:
        """Take its collection out of the pool, and close it as soon as no thread has it."""
        with slot.lock:
            pooled, slot.pooled = slot.pooled, None
        if pooled is None:
            return
        with self._lock:
            pooled.retired = True
            unused = not pooled.users
        if unused:
            pooled.collection.close()

    def thumbnail(self, id: UUID) -> bytes | None:
        return self._store.thumbnail(id)

    def words(self, metadata: CollectionMetadata) -> TextSpace:
        with self._models:
            if metadata.words_sha256 not in self._words:
                self._words[metadata.words_sha256] = self._store.words(metadata)
            return self._words[metadata.words_sha256]

    def class_space(self, metadata: CollectionMetadata) -> QuestionWeights:
        with self._models:
            if metadata.words_sha256 not in self._class_spaces:
                self._class_spaces[metadata.words_sha256] = self._store.class_space(metadata)
            return self._class_spaces[metadata.words_sha256]

    def encoder(self, metadata: CollectionMetadata) -> Encoder:
        key = (metadata.encoder, metadata.encoder_sha256, metadata.framing)
        with self._models:
            if key not in self._encoders:
                encoder = self._store.encoder(metadata)
                side = encoder.spec.framing.crop
                encoder.encode(np.zeros((1, side, side, 3), np.uint8))  # loads it once, before several threads do
                self._encoders[key] = _SerialEncoder(encoder)
            return self._encoders[key]

    def close(self) -> None:
        """Close every collection that no thread has now, each other one when it is returned, and the store itself."""
        with ExitStack() as closing:  # all of them, also where one raises
            closing.callback(self._store.close)
            for slot in self._slots.values():
                closing.callback(self._retire, slot)
