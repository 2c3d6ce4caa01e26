"""What is kept of a picture and of a collection, as records.

It must not know how or where they are stored."""

from ingest.records.metadata import CollectionMetadata, Pending
from ingest.records.photo import CAMERA, KEYWORDS, PLACE, TAKEN_AT, labels_of, photo_of
from ingest.records.picture import TEXT, Picture, is_sound, stable_id

__all__ = [
    "CAMERA",
    "KEYWORDS",
    "PLACE",
    "TAKEN_AT",
    "TEXT",
    "CollectionMetadata",
    "Pending",
    "Picture",
    "is_sound",
    "labels_of",
    "photo_of",
    "stable_id",
]
