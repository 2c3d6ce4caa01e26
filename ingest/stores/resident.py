"""A store for a process that lives long: what was opened once stays open, and threads share it.

An embedded collection is kept open between questions, since opening costs a hundred times what a question
does, and given up when another process waits for it
(`ingest.stores.embedded.shard_lock`), so that an ingest goes on beside a server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.errors import CollectionNotFound
from ingest.records import CollectionMetadata
from ingest.stores.base import Collection, Store, Summary
from model.encoders import Classifier, Encoder, Features
from model.words import TextSpace

FRESH_SECONDS = 1.0
"""What a store says of a collection is asked for again after this long: on a server that is a call."""


@dataclass(slots=True)
class _Kept:
    """An open collection. ``users``: threads that ask it now. ``retired``: closed when the last has gone."""

    collection: Collection
    checked: float
    users: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Place:
    """Where one collection is kept. ``lock``: one thread opens it, the others wait for that."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: _Kept | None = None


class _InTurn:
    """An encoder that threads share, one picture after the other.

    It uses every core for each: of 50 threads at once 6 a second were served, and 12 in turn.
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


class ResidentStore(Store):
    """Another store, whose collections, word vectors and encoders are opened once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.where = store.where
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._words: dict[str, TextSpace] = {}
        self._encoders: dict[tuple[str, str], Encoder] = {}
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

    @contextmanager
    def asking(self, name: str) -> Iterator[Collection]:
        """The collection as it is now, which stays open after the ``with``.

        Raises:
            CollectionNotFound: there is none of that name, or no longer.
            StoreInUse: another process has it, and for long.
        """
        kept = self._borrow(name)
        try:
            yield kept.collection
        finally:
            with self._lock:
                kept.users -= 1
                unused = kept.retired and not kept.users
            if unused:
                kept.collection.close()

    def _borrow(self, name: str) -> _Kept:
        if name not in self._places:
            self._store.metadata(name)  # there must be one, or any name asked for would take memory
        with self._lock:
            place = self._places.setdefault(name, _Place())
        with place.lock:
            if place.kept is not None and not self._is_current(place.kept, name):
                self._retire(place)
            if place.kept is None:
                place.kept = _Kept(self._store.open_shared(name), time.monotonic())
            with self._lock:
                place.kept.users += 1
            return place.kept

    def _is_current(self, kept: _Kept, name: str) -> bool:
        """Whether it still is the collection of that name, and not one dropped, made anew, or changed."""
        now = time.monotonic()
        if now - kept.checked < FRESH_SECONDS:
            return True
        kept.checked = now
        try:
            return self._store.metadata(name) == kept.collection.metadata
        except CollectionNotFound:
            return False

    def _retire(self, place: _Place) -> None:
        kept, place.kept = place.kept, None
        if kept is None:
            return
        with self._lock:
            kept.retired = True
            unused = not kept.users
        if unused:
            kept.collection.close()

    def thumbnail(self, id: UUID) -> bytes | None:
        return self._store.thumbnail(id)

    def words(self, metadata: CollectionMetadata) -> TextSpace:
        with self._models:
            if metadata.words_sha256 not in self._words:
                self._words[metadata.words_sha256] = self._store.words(metadata)
            return self._words[metadata.words_sha256]

    def encoder(self, metadata: CollectionMetadata) -> Encoder:
        key = (metadata.encoder, metadata.encoder_sha256)
        with self._models:
            if key not in self._encoders:
                encoder = self._store.encoder(metadata)
                side = encoder.spec.framing.crop
                encoder.encode(np.zeros((1, side, side, 3), np.uint8))  # loads it, before threads would, each its own
                self._encoders[key] = _InTurn(encoder)
            return self._encoders[key]

    def close(self) -> None:
        for place in self._places.values():
            with place.lock:
                self._retire(place)
        self._store.close()
