"""The picture asked about, or several added up, as vectors.

It must not know where the picture came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from model.errors import UsageError
from model.projections import unit
from query.asking.query_vector import QueryVector

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """The picture asked about: ``visual`` as the encoder gave it, ``semantic`` at unit length.

    ``id``: its point, where it is in the collection. ``picture``: its record, where the vectors are the stored ones
    and no model had to look at it. ``others``: the points of further pictures, where it is a sum of several;
    ``summed``: these pictures themselves. ``parts``: what is wanted and what is subtracted, where something is.
    """

    visual: Vector
    semantic: Vector
    id: UUID | None = None
    picture: Picture | None = None
    others: tuple[UUID, ...] = ()
    summed: tuple[ImageQuery, ...] = ()
    parts: tuple[ImageQuery, ImageQuery] | None = None

    @property
    def visual_query(self) -> QueryVector:
        if self.parts is None:
            return QueryVector.at(self.visual)
        positive, negative = self.parts
        return QueryVector(self.visual, positive.visual, negative.visual)

    @property
    def semantic_query(self) -> QueryVector:
        if self.parts is None:
            return QueryVector.at(self.semantic)
        positive, negative = self.parts
        return QueryVector(self.semantic, positive.semantic, negative.semantic)

    @property
    def ids(self) -> tuple[UUID, ...]:
        """The points that are left out of its answers."""
        return ((self.id,) if self.id else ()) + self.others


def combine(plus: Sequence[ImageQuery], minus: Sequence[ImageQuery]) -> ImageQuery:
    """Add pictures up and subtract others, each counting as much as a word does.

    Raises:
        UsageError: they cancel each other out.
    """
    if len(plus) == 1 and not minus:
        return plus[0]
    images = [*plus, *minus]
    signs = np.array([1] * len(plus) + [-1] * len(minus), np.float32)
    visual = signs @ unit(np.stack([image.visual for image in images]))
    semantic = signs @ unit(np.stack([image.semantic for image in images]))
    if min(np.linalg.norm(visual), np.linalg.norm(semantic)) < 1e-6:
        raise UsageError("the pictures asked for cancel each other out: ask for fewer")
    others = tuple(id for image in images for id in image.ids)
    combined = ImageQuery(visual, semantic, others=others, summed=tuple(plus))
    if not minus:
        return combined
    nothing = ImageQuery(np.zeros_like(visual), np.zeros_like(semantic))
    return replace(combined, parts=(combine(plus, ()) if plus else nothing, combine(minus, ())))
