"""Snapshots of made-up collections: quick to make, with words of their own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ingest.collection import PROJECTION_FILE
from ingest.collection.tags import tags_name
from ingest.pipeline import ExportOptions, export_collection
from ingest.records import CollectionMetadata, stable_id
from ingest.stores import SEMANTIC, VISUAL, WORD, Point
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore
from model.words import Words
from model.words.conversion import convert

WORDS = "glove"
WORDS_SHA256 = "00"


class SmallStore(EmbeddedStore):
    """An embedded store whose collections were made with the few words in ``words/`` beside it."""

    def words(self, metadata: CollectionMetadata) -> Words:
        folder = self.root / f"words-{metadata.vectors[SEMANTIC]}"
        if not folder.exists():
            width = metadata.vectors[SEMANTIC]
            names = [f"word{i}" for i in range(40)]
            vectors = np.random.default_rng(0).standard_normal((40, width)).astype(np.float32)
            convert([(names, vectors)], WORDS, width, WORDS_SHA256, folder)
        return Words(folder)


def make_facts(visual: int, semantic: int, **changes: Any) -> CollectionMetadata:
    metadata = CollectionMetadata(
        "pictures", {VISUAL: visual, SEMANTIC: semantic}, WORDS, WORDS_SHA256, trained=("cat", "dog")
    )
    return dataclasses.replace(metadata, **changes)


def fill(root: Path, name: str, metadata: CollectionMetadata, points: Sequence[Point]) -> SmallStore:
    """A store with one collection of ``points`` and its tag vocabulary."""
    store = SmallStore(root)
    words = store.words(metadata)
    with store.create(name, metadata) as collection:
        collection.write_file(PROJECTION_FILE, b"projection")
        collection.upsert(points)
    tags = tags_name(metadata.words, metadata.words_sha256)
    if tags not in store.names():
        with store.create(
            tags, CollectionMetadata("words", {WORD: words.width}, words.name, words.sha256)
        ) as vocabulary:
            rows = range(len(words))
            vocabulary.upsert(
                [
                    Point(stable_id(word := words.word(row)), {WORD: words.vectors[row]}, {"word": word, "rank": row})
                    for row in rows
                ]
            )
    return store


def make_payload(path: str, label: str | None, **photo: Any) -> dict[str, Any]:
    """All that a picture's payload holds; ``photo``: what is said of how it was taken, where that was read."""
    parts = path.split("/")[:-1]
    return {
        "path": path,
        "label": label,
        "folders": ["/".join(parts[: i + 1]) for i in range(len(parts))],
        "sha256": f"{stable_id(path).hex:0>64}",
        "width": 640,
        "height": 480,
        "bytes": len(path) << 10,
        "mtime_ns": 1_700_000_000_123_456_789 + len(path),
        "visual_norm": 1 / (1 + len(path)),
        "inode": len(path),
        **photo,
    }


def make_snapshot(root: Path, metadata: CollectionMetadata, points: Sequence[Point], **options: Any) -> SnapshotStore:
    """``root/snapshot``, exported from ``root/store``."""
    store = fill(root / "store", "pictures", metadata, points)
    export_collection(store, "pictures", root / "snapshot", ExportOptions(**options))
    return SnapshotStore(root / "snapshot")


def signed(manifest: Path, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A manifest after a change to its record, with the checksum that then is right: what a forger would write."""
    record = json.loads(manifest.read_bytes())
    del record["sha256"]
    change(record)
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return json.dumps({**record, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
