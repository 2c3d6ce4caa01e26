"""What makes a large collection quick to search, built when its points have changed."""

from __future__ import annotations

from ingest.errors import StoreError
from ingest.stores import Collection
from model.errors import DiskFull
from model.system.events import note


def build_search_graph(collection: Collection, quantize: bool | None = None) -> None:
    """Build it where the collection has grown enough; where that fails, what was written is safe, and found.

    Args:
        quantize: as `Collection.index` takes it.
    """
    try:
        collection.index(quantize)
    except (StoreError, DiskFull) as error:
        note(f"the search graph was not built: {error}; the next run tries again")
