"""Stores as scenarios see them, and the made-up points they fill them with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from ingest.records import CollectionMetadata
from ingest.stores import SEMANTIC, VISUAL, Collection, Point, Store, Vector
from ingest.stores.snapshot import SnapshotStore
from model.pictures import wall_seconds
from tests.snapshots import make_payload, make_snapshot

# Read now: conftest takes these away from every test.
SERVER_URL = os.environ.get("QDRANT_URL", "")
SERVER_KEY = os.environ.get("QDRANT_API_KEY")

WIDTHS = {VISUAL: 24, SEMANTIC: 8}
SCORE_TOLERANCE = 2e-6
LABELS = ("cat", "dog", None, "Käse 芝士", "cat", "a/b")

Result = Any
Scenario = Callable[["World"], Result]


class World:
    """One store, with collection names that nobody else uses on it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._suffix = f" test-{uuid4()}"
        self._open: list[Collection] = []

    def name(self, name: str) -> str:
        return name + self._suffix

    def neutral(self, text: str) -> str:
        """A message without what differs between worlds."""
        return text.replace(self._suffix, "").replace(self.store.where, "STORE")

    def names(self) -> list[str]:
        return [self.neutral(name) for name in self.store.names() if self._suffix in name]

    def collection(self, name: str = "a", **metadata: Any) -> Collection:
        self._open.append(self.store.create(self.name(name), make_facts(**metadata)))
        return self._open[-1]

    def holding(self, points: Sequence[Point]) -> Collection:
        """A collection of these."""
        collection = self.collection()
        collection.upsert(points)
        return collection

    def filled(self, count: int = 60) -> Collection:
        return self.holding(make_points(count))

    def clean(self) -> None:
        for collection in self._open:
            collection.close()
        for name in self.names():
            self.store.drop(self.name(name))


class SnapshotWorld(World):
    """Snapshots, each exported from an embedded collection of what it shall hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[SnapshotStore] = []

    def holding(self, points: Sequence[Point]) -> Collection:
        self.made.append(make_snapshot(self._folder / str(len(self.made)), make_facts(), points, target=1.0))
        return self.made[-1].open("pictures")


def make_facts(**changes: Any) -> CollectionMetadata:
    metadata = CollectionMetadata(
        kind="pictures", vectors=WIDTHS, words="glove", words_sha256="00", trained=("cat", "dog")
    )
    return dataclasses.replace(metadata, **changes)


def make_id(number: int) -> UUID:
    """Ids whose order is not that of the numbers."""
    return UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128)


def make_vectors(seed: int, scale: float = 1.0) -> dict[str, Vector]:
    random = np.random.default_rng(seed)
    return {name: (scale * random.standard_normal(width)).astype(np.float32) for name, width in WIDTHS.items()}


CAMERAS = ("NIKON D90", "Apple iPhone 12", None, "Canon EOS 5D")
PLACES = ((48.2082, 16.3738), (48.3069, 14.2858), (-33.8567, 151.2151))
"""Vienna, Linz (156 km from there), Sydney."""


def make_photo(number: int) -> dict[str, Any]:
    """Of pictures a month apart, before 1970 too; of every fifth nothing was read, and not all say everything."""
    if number % 5 == 3:
        return {}
    year, month = divmod(number, 12)
    taken = f"{1968 + year}-{1 + month:02}-01T00:00:00"
    fields: dict[str, Any] = {"taken": taken, "taken_from": "exif", "taken_at": wall_seconds(taken)}
    if camera := CAMERAS[number % len(CAMERAS)]:
        fields["camera"] = camera
    if number % 4:
        latitude, longitude = PLACES[number % len(PLACES)]
        fields["place"] = {"lat": latitude, "lon": longitude}
    if number % 7 == 0:
        fields["keywords"] = ["garden", "dog"] if LABELS[number % len(LABELS)] != "dog" else ["garden"]
    return fields


def make_points(count: int) -> list[Point]:
    points = []
    for number in range(count):
        path = f"{'top' if number % 3 else 'other'}/sub{number % 4}/{number}.jpg"
        payload = make_payload(path, LABELS[number % len(LABELS)], **make_photo(number))
        points.append(Point(make_id(number), make_vectors(number, scale=0.1 + number), payload))
    return points


def outcome(call: Callable[[], object]) -> str:
    """The kind of error a call ends with, or that it ends well."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error).__name__
    return "no error"
