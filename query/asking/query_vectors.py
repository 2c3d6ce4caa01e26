"""What is asked about, a picture or several added up, and what is aimed at: as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError
from model.projections import unit

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class QueryVector:
    """Where to look. ``vector``: (width,) float32. ``wanted``: the same before anything is taken away.
    ``taken``: what is, None where nothing is.

    The nearest to ``vector`` are the answers; whether one is good is told by ``wanted``, since taking something
    away moves the question from every picture, those that show all that is wanted included.
    """

    vector: Vector
    wanted: Vector
    taken: Vector | None = None

    @classmethod
    def at(cls, vector: Vector) -> QueryVector:
        """One that takes nothing away."""
        return cls(vector, vector)

    def measured(self) -> QueryVector:
        """Itself; but one that wants nothing, and only turns away, is measured by where that leads."""
        return self if self.wanted.any() else QueryVector.at(self.vector)


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """The picture asked about: ``visual`` as the encoder gave it, ``semantic`` at unit length.

    ``id``: its point, where it is in the collection. ``stored``: whether no model had to look at it.
    ``others``: the points of further pictures, where it is a sum of several. ``parts``: what is looked for and
    what is taken away, where something is.
    """

    visual: Vector
    semantic: Vector
    id: UUID | None
    stored: bool
    others: tuple[UUID, ...] = ()
    is_sum: bool = False
    parts: tuple[ImageQuery, ImageQuery] | None = None

    @property
    def visual_aim(self) -> QueryVector:
        return (
            QueryVector(self.visual, *(part.visual for part in self.parts))
            if self.parts
            else QueryVector.at(self.visual)
        )

    @property
    def semantic_aim(self) -> QueryVector:
        return (
            QueryVector(self.semantic, *(part.semantic for part in self.parts))
            if self.parts
            else QueryVector.at(self.semantic)
        )

    @property
    def ids(self) -> tuple[UUID, ...]:
        """What is left out of its answers."""
        return ((self.id,) if self.id else ()) + self.others


def combine(plus: Sequence[ImageQuery], minus: Sequence[ImageQuery]) -> ImageQuery:
    """Pictures added up, and others taken away, each counting as much as a word does.

    Raises:
        UsageError: they cancel out.
    """
    if len(plus) == 1 and not minus:
        return plus[0]
    pictures = [*plus, *minus]
    signs = np.array([1] * len(plus) + [-1] * len(minus), np.float32)
    visual = signs @ unit(np.stack([asked.visual for asked in pictures]))
    semantic = signs @ unit(np.stack([asked.semantic for asked in pictures]))
    if min(np.linalg.norm(visual), np.linalg.norm(semantic)) < 1e-6:
        raise UsageError("the pictures asked for cancel each other out: ask for fewer")
    ids = tuple(id for asked in pictures for id in asked.ids)
    made = ImageQuery(visual, semantic, None, all(asked.stored for asked in pictures), ids, is_sum=True)
    if not minus:
        return made
    nothing = ImageQuery(np.zeros_like(visual), np.zeros_like(semantic), None, stored=True)
    return replace(made, parts=(combine(plus, ()) if plus else nothing, combine(minus, ())))
