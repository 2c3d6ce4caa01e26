"""The snapshot store: a collection carried away as files, read-only, searched by Annoy."""

from ingest.stores.snapshot.annoy import DEFAULT_TARGET, MOST_TREES, Space, build_forest_in_child
from ingest.stores.snapshot.store import (
    ENCODER_DIR,
    MANIFEST_FILE,
    PICTURES_DIR,
    PICTURES_FILE,
    TAGS_FILE,
    THUMBNAILS_DIR,
    WORDS_DIR,
    Manifest,
    SnapshotStore,
)
from ingest.stores.snapshot.verification import Verified, verify

__all__ = [
    "DEFAULT_TARGET",
    "ENCODER_DIR",
    "MANIFEST_FILE",
    "MOST_TREES",
    "PICTURES_DIR",
    "PICTURES_FILE",
    "TAGS_FILE",
    "THUMBNAILS_DIR",
    "WORDS_DIR",
    "Manifest",
    "SnapshotStore",
    "Space",
    "Verified",
    "build_forest_in_child",
    "verify",
]
