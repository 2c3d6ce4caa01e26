"""The snapshot store: a collection carried away as files, read-only, searched by Annoy."""

from ingest.stores.snapshot.annoy import DEFAULT_TARGET, MOST_TREES, IndexInfo, build_index_in_child_process
from ingest.stores.snapshot.manifest import (
    CLASS_SPACE_DIR,
    ENCODER_DIR,
    MANIFEST_FILE,
    PICTURES_DIR,
    PICTURES_FILE,
    TAGS_FILE,
    THUMBNAILS_DIR,
    WORDS_DIR,
    Manifest,
    sparse_file,
)
from ingest.stores.snapshot.sparse import sparse_rows, sparse_schema
from ingest.stores.snapshot.store import SnapshotStore
from ingest.stores.snapshot.verification import Verified, verify

__all__ = [
    "CLASS_SPACE_DIR",
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
    "sparse_file",
    "sparse_rows",
    "sparse_schema",
    "verify",
]
