"""Thumbnails of answers and of the picture asked about, for the page and the terminal.

It must not know where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ingest.errors import StoreError
from ingest.stores import Store
from model.encoders import DEFAULT_MAX_SECONDS, decode_threads
from model.errors import PictureError, UsageError
from model.pictures import in_order, thumbnail
from query.asking import PictureHit, Source

AHEAD = 32
"""Thumbnails made before they are needed: a few hundred kB."""


def thumbnail_of(hit: PictureHit, store: Store, longest: int) -> bytes | None:
    """A JPEG file: of the picture's file, else what the store carries of it, else None."""
    path = Path(hit.picture.path)
    if path.anchor or ".." in path.parts:  # a server may say anything: nothing is read outside the dataset
        return None
    try:
        if Path(hit.file).is_file():  # not a pipe, which would be waited for
            # It was indexed, whatever the limit was then.
            return thumbnail(Source(hit.file).read(), name=hit.file, longest=longest, max_megapixels=0)
    except (PictureError, UsageError, OSError, ValueError):
        pass
    try:
        return store.thumbnail(hit.picture.id)
    except (StoreError, OSError):
        return None


def thumbnails_of(hits: Iterable[PictureHit], store: Store, longest: int) -> Iterator[tuple[PictureHit, bytes | None]]:
    """Each hit with its thumbnail, in their order; made ahead in threads, in bounded memory."""

    def pair(hit: PictureHit) -> tuple[PictureHit, bytes | None]:
        return hit, thumbnail_of(hit, store, longest)

    return in_order(
        pair,
        hits,
        threads=decode_threads(),
        ahead=AHEAD,
        limit=lambda _: DEFAULT_MAX_SECONDS,
        late=lambda hit: (hit, None),
    )
