"""The question after duplicates, and how far its answer is.

It must not know how groups are found.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ingest.stores import Filter
from model.errors import UsageError
from model.system.events import progress
from query.asking.duplicates import DEFAULT_THRESHOLD, Group, find_duplicates
from query.asking.filter import picture_filter
from query.asking.joined import Compared
from query.asking.verifying import rank_of, verify


def check_threshold(threshold: float) -> None:
    """Raises UsageError where it is not a cosine above 0."""
    if not 0 < threshold <= 1:  # which NaN is not either
        raise UsageError(f"--threshold {threshold}: a cosine is wanted, above 0 and at most 1")


def ask_duplicates(
    collection: Compared,
    threshold: float = DEFAULT_THRESHOLD,
    *,
    alike: bool = False,
    prefer: str = "",
    labels: str | Sequence[str] = (),
    under: str = "",
    limit: int | None = None,
) -> list[Group]:
    """Groups of pictures that are one picture, the best first, as their files are now (`query.asking.verifying`).

    Args:
        collection: one, or several as one (`query.asking.joined`).
        threshold: cosine with the first of the group from which pictures are alike.
        alike: also those that are alike and not the same.
        prefer: which is the first of its group: ``oldest``, ``newest`` or ``largest`` of the files, or those below a
            folder; empty for the best.
        labels, under: only pictures with one of these labels, and below this folder; the first may be another.
        limit: so many groups at most.

    Raises:
        UsageError: a threshold that is no cosine, or a folder that is not in the dataset.
        StoreError: the collection cannot be read.
    """
    check_threshold(threshold)
    root = collection.metadata.root
    listed = picture_filter(root, (labels,) if isinstance(labels, str) else labels, under)
    rank = rank_of(prefer, lambda folder: _folder(root, folder))
    with progress("comparing", collection.count(), unit="pictures") as shown:
        groups = find_duplicates(collection, threshold, shown.advance, alike=alike)
    return verify(groups, collection, rank=rank, filter=listed, threshold=threshold)[:limit]


def _folder(root: str, folder: str) -> Filter:
    """Raises UsageError where no picture can lie in it: a word misspelled would prefer nothing without a word."""
    found = picture_filter(root, (), folder)
    if found.under and not os.path.isdir(os.path.join(root, found.under)):
        raise UsageError(f"--prefer {folder}: oldest, newest, largest, or a folder of the dataset is wanted")
    return found
