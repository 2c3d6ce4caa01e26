"""A question: what is asked, parsed and checked, before anything is opened.

It must not know the collection that answers it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.stores import SEMANTIC, VISUAL, Filter
from model.errors import UsageError
from query.asking.expression import Term
from query.asking.phrasing import read
from query.asking.source import Source

AUTO: Literal["auto"] = "auto"
"""As the least score: only what stands out."""

ANY_SCORE = -math.inf
MinScore = float | Literal["auto"]


class Space(StrEnum):
    """The vector by which pictures are compared."""

    VISUAL = VISUAL
    SEMANTIC = SEMANTIC
    BOTH = "both"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPicture:
    """A picture that the collection's encoder has looked at. ``features``: (width,) float32, of any length."""

    features: NDArray[np.float32]


QueryPicture = Source | UUID | EncodedPicture
"""A picture to be read, one of the collection by its id, or one that was encoded before."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which pictures are looked for: for words, like pictures, or like pictures moved by words.

    ``terms``: the words. ``pictures``: what to look like, added up. ``minus_pictures``: what to look unlike.
    ``space``: the vector compared; by default the visual one, and the semantic one where there are words. ``filter``:
    which pictures may be answers. ``limit`` and ``offset``: which of the answers are wanted. ``min_score``: leave out
    lower scores, or, `AUTO`, tell what stands out. ``text``: the words as the user wrote them; ``read_as``: a sentence
    where they were understood in a way that is not obvious. ``names``: whether the names of folders and files
    count; ``written``: whether text that was read in pictures does.

    Raises:
        UsageError: it contradicts itself or asks for nothing.
    """

    terms: tuple[Term, ...] = ()
    pictures: tuple[QueryPicture, ...] = ()
    minus_pictures: tuple[QueryPicture, ...] = ()
    space: Space | None = None
    filter: Filter = Filter()
    limit: int = 10
    offset: int = 0
    min_score: MinScore = ANY_SCORE
    text: str = ""
    read_as: str = ""
    names: bool = True
    written: bool = True

    @classmethod
    def in_words(cls, text: str) -> Question:
        """Pictures for words, as people write them.

        Raises:
            UsageError: words that ask for nothing.
        """
        reading = read(text)
        return cls(reading.terms, text=text, read_as=reading.message)

    def __post_init__(self) -> None:
        if not (self.terms or self.has_picture):
            raise UsageError("nothing is asked for: give words or a picture")
        if self.terms and self.space is Space.VISUAL:
            raise UsageError("words can only be added to the semantic vector: leave out --vector visual")
        if self.space not in (None, Space.SEMANTIC) and not self.has_picture:
            raise UsageError("words alone are compared by the semantic vector")
        if self.limit < 1 or self.offset < 0:
            raise UsageError(f"a limit of {self.limit} from {self.offset} on: at least 1 answer, from 0 on")
        check_min_score(self.min_score)

    @property
    def asks_names(self) -> bool:
        """Whether words are looked for in the names of folders and files."""
        return self.names and bool(self.text)

    @property
    def asks_written(self) -> bool:
        """Whether words are looked for in the text that stands in pictures."""
        return self.written and bool(self.text)

    @property
    def has_picture(self) -> bool:
        return bool(self.pictures or self.minus_pictures)

    @property
    def compared(self) -> Space:
        """The vector compared, decided."""
        if self.space is not None:
            return self.space
        return Space.SEMANTIC if self.terms else Space.VISUAL

    @property
    def is_auto(self) -> bool:
        """Whether only what stands out is wanted."""
        return self.min_score == AUTO

    @property
    def least_score(self) -> float:
        """The score that the user named, if any."""
        return self.min_score if isinstance(self.min_score, float | int) else ANY_SCORE

    @property
    def end(self) -> int:
        """Where the answers wanted end."""
        return self.offset + self.limit


def check_min_score(score: MinScore) -> MinScore:
    """The score itself. Raises UsageError where it is none."""
    if isinstance(score, str):
        if score != AUTO:
            raise UsageError(f"--min-score takes a number or {AUTO!r}, not {score!r}")
    elif math.isnan(score):
        raise UsageError("--min-score takes a number, and 'nan' is not one")
    return score


def parse_min_score(text: str) -> MinScore:
    """As the user writes it: a number, ``auto``, or empty for any score.

    Raises:
        UsageError: anything else.
    """
    if not text:
        return ANY_SCORE
    if text == AUTO:
        return AUTO
    try:
        return check_min_score(float(text))
    except ValueError:
        raise UsageError(f"--min-score takes a number or {AUTO!r}, not {text!r}") from None
