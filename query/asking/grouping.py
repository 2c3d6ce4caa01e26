"""The question after duplicates, and how far its answer is.

It must not know how groups are found.
"""

from __future__ import annotations

from ingest.stores import Collection
from model.errors import UsageError
from model.system.events import progress
from query.asking.duplicates import DEFAULT_THRESHOLD, Group, find_duplicates


def check_threshold(threshold: float) -> None:
    """Raises UsageError where it is not a cosine above 0."""
    if not 0 < threshold <= 1:  # which NaN is not either
        raise UsageError(f"--threshold {threshold}: a cosine is wanted, above 0 and at most 1")


def ask_duplicates(collection: Collection, threshold: float = DEFAULT_THRESHOLD, *, alike: bool = False) -> list[Group]:
    """Groups of pictures that are one picture, the best first.

    Args:
        threshold: cosine with the first of the group from which pictures are alike.
        alike: also those that are alike and not the same.

    Raises:
        UsageError: a threshold that is no cosine.
        StoreError: the collection cannot be read.
    """
    check_threshold(threshold)
    with progress("comparing", collection.count(), unit="pictures") as shown:
        return find_duplicates(collection, threshold, shown.advance, alike=alike)
