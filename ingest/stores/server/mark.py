"""The mark that a collection on a server is ours: in the server's metadata of it, and never changed.

It says what the collection was made as, and by which process. What changes is a record beside its points
(`ingest.stores.server.records`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.errors import StoreError
from ingest.records import CollectionMetadata
from model import __version__
from model.system.formats import why_unreadable

MARK_KEY = "wordsight"
READABLE = range(3, 4)
"""Formats of marks. Up to 2, what is now a record stood in the place of the mark: see `older`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``made``: what was recorded when it was made. ``maker``: who made it, as a lease says it."""

    made: CollectionMetadata
    maker: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": READABLE[-1],
            "program": __version__,
            "made": self.made.to_json(),
            "maker": {**self.maker, "at": time.time()},
        }


def read_mark(metadata: Mapping[str, Any], name: str) -> Mark | None:
    """The mark in the server's metadata of a collection; None where there is none, or what stood there before marks.

    Raises:
        StoreError: a later version made it.
    """
    kept = metadata.get(MARK_KEY)
    if not isinstance(kept, Mapping) or "made" not in kept:
        return None
    try:
        problem = why_unreadable(
            f"collection {name!r}",
            kept["format"],
            READABLE,
            program=kept.get("program"),
            remedy="ingest its folder again under a new name",
        )
        if problem:
            raise StoreError(problem)
        return Mark(CollectionMetadata.from_json(kept["made"], name), dict(kept["maker"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"collection {name!r} was not made by this program: choose another name") from error
