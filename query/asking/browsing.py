"""Looking at a collection without a question: page after page, or one picture by its id.

It must not know questions or models.
"""

from __future__ import annotations

import itertools
from uuid import UUID

from ingest.records import Picture
from ingest.stores import SCROLL_PAGE, Collection, Filter
from model.errors import PictureGone


def browse(collection: Collection, limit: int, offset: int = 0, filter: Filter = Filter()) -> list[Picture]:
    """Pictures in the order of their ids, which are hashes: as good as shuffled."""
    page = min(SCROLL_PAGE, offset + limit)
    points = itertools.chain.from_iterable(collection.scroll(page=page, filter=filter))
    return [Picture.from_payload(point.payload) for point in itertools.islice(points, offset, offset + limit)]


def find_picture(collection: Collection, id: UUID) -> Picture:
    """The picture with that id.

    Raises:
        PictureGone: the collection does not have it, or no longer.
    """
    point = collection.retrieve([id]).get(id)
    if point is None:
        raise PictureGone(f"no picture {id} in the collection: it may have been removed since")
    return Picture.from_payload(point.payload)
