"""The snapshot store: a collection carried away as files, read-only, searched by Annoy."""

from ingest.stores.snapshot.annoy import DEFAULT_TARGET, MOST_TREES, IndexInfo, build_index_in_child_process
from ingest.stores.snapshot.manifest import (
    ENCODER_DIR,
    MANIFEST_FILE,
    PICTURES_DIR,
    PICTURES_FILE,
    TAGS_FILE,
    THUMBNAILS_DIR,
    WORDS_DIR,
    Manifest,
)
from ingest.stores.snapshot.store import SnapshotStore
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
    "IndexInfo",
    "Manifest",
    "SnapshotStore",
    "Verified",
    "build_index_in_child_process",
    "verify",
]
