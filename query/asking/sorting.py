"""Another order than the best first, for answers that were found: by when they were taken, or by name.

It must not know how they were found.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from query.asking.answer import Answer, PictureHit


class Sort(StrEnum):
    """The order of answers. ``DATE``: the oldest first, those without a date last. ``NAME``: by path."""

    SCORE = "score"
    DATE = "date"
    NAME = "name"


def in_order_of(answer: Answer, sort: Sort) -> Answer:
    """The answer in that order; of one with a cut-off what stands out stays before what is only near."""
    if sort is Sort.SCORE:
        return answer
    key = _date if sort is Sort.DATE else _name
    first = [hit for hit in answer.hits if hit.stands_out is not False]
    others = [hit for hit in answer.hits if hit.stands_out is False]
    return replace(answer, hits=(*sorted(first, key=key), *sorted(others, key=key)))


def _date(hit: PictureHit) -> tuple[bool, str, str]:
    photo = hit.picture.photo
    taken = photo.taken if photo else ""
    return not taken, taken, hit.picture.path


def _name(hit: PictureHit) -> str:
    return hit.picture.path
