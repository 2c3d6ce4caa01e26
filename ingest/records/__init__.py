"""What is kept of a picture and of a collection, as records.

It must not know how or where they are stored."""

from ingest.records.metadata import CollectionMetadata
from ingest.records.picture import Picture, stable_id

__all__ = ["CollectionMetadata", "Picture", "stable_id"]
