"""Thumbnails of answers and of the picture asked about, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ingest.errors import StoreError
from ingest.stores import Store
from model.encoders import DEFAULT_MAX_SECONDS, decode_threads
from model.errors import PictureError, UsageError
from model.pictures import in_order, thumbnail
from query.asking import Found, Source

AHEAD = 32
"""Thumbnails made before they are asked for: a few hundred kB."""


def thumbnail_of(answer: Found, store: Store, longest: int) -> bytes | None:
    """A JPEG file: of the picture's file, else what the store carries of it, else None."""
    path = Path(answer.picture.path)
    if path.anchor or ".." in path.parts:  # a server may say anything: nothing is read outside the dataset
        return None
    try:
        if Path(answer.file).is_file():  # not a pipe, which would be waited for
            # It was indexed, whatever the limit was then.
            return thumbnail(Source(answer.file).read(), longest=longest, max_megapixels=0)
    except (PictureError, UsageError, OSError, ValueError):
        pass
    try:
        return store.thumbnail(answer.picture.id)
    except (StoreError, OSError):
        return None


def thumbnails_of(answers: Iterable[Found], store: Store, longest: int) -> Iterator[tuple[Found, bytes | None]]:
    """Each answer with its thumbnail, in their order; decoded ahead in threads, in bounded memory."""

    def pair(answer: Found) -> tuple[Found, bytes | None]:
        return answer, thumbnail_of(answer, store, longest)

    return in_order(
        pair,
        answers,
        threads=decode_threads(),
        ahead=AHEAD,
        limit=lambda _: DEFAULT_MAX_SECONDS,
        late=lambda answer: (answer, None),
    )
