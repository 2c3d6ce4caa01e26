"""What a collection of pictures consists of beside its points: its making, its projection, its bad files, its tags.

It must not know how files become points."""

from ingest.collection.creation import Options, check_same, create, parts_of, projection_file
from ingest.collection.evidence import mark_stale, own_evidence, smooth
from ingest.collection.label_classes import LABEL_CLASSES_FILE, read_label_classes, write_label_classes
from ingest.collection.ledger import LEDGER_FILE, Ledger, read_failures
from ingest.collection.missing import MISSING_FILE, Missing, read_missing, record_missing
from ingest.collection.projection import (
    MADE_AGAIN,
    NEXT_FILE,
    PAGE,
    PROJECTION_FILE,
    build_conse,
    build_untrained,
    check_projection,
    features_of,
    finish_switch,
    forget_switch,
    has_next_projection,
    keep_projection,
    read_collection_projection,
    semantic_of,
    switch_projection,
    train_kind,
    train_or_conse,
    trainable,
)
from ingest.collection.removed import REMOVED_FILE, Removed, RemovedVectors
from ingest.collection.run_progress import ProgressKept, RunProgress, read_progress
from ingest.collection.tags import asking_tags, ensure_tags, need_tags

__all__ = [
    "LABEL_CLASSES_FILE",
    "LEDGER_FILE",
    "MADE_AGAIN",
    "MISSING_FILE",
    "NEXT_FILE",
    "PAGE",
    "PROJECTION_FILE",
    "REMOVED_FILE",
    "Ledger",
    "Missing",
    "Options",
    "ProgressKept",
    "Removed",
    "RemovedVectors",
    "RunProgress",
    "asking_tags",
    "build_conse",
    "build_untrained",
    "check_projection",
    "check_same",
    "create",
    "ensure_tags",
    "features_of",
    "finish_switch",
    "forget_switch",
    "has_next_projection",
    "keep_projection",
    "mark_stale",
    "need_tags",
    "own_evidence",
    "parts_of",
    "projection_file",
    "read_collection_projection",
    "read_failures",
    "read_label_classes",
    "read_missing",
    "read_progress",
    "record_missing",
    "semantic_of",
    "smooth",
    "switch_projection",
    "train_kind",
    "train_or_conse",
    "trainable",
    "write_label_classes",
]
