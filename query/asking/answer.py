"""The answers to questions, ready to be shown.

It must not know who shows them, or how they were found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ingest.records import Picture
from model.projections import Tag
from model.words import NearWord
from query.asking.cutoff import Cutoff

Match = Literal["name", "text"]
"""By what words found a picture: the names of its folders or file, or the text that stands in it."""


@dataclass(frozen=True, slots=True)
class PictureHit:
    """A picture found. ``score``: cosine, or the sum of reciprocal ranks where two vectors are fused.

    ``root``: the folder of its dataset. ``stands_out``: whether it stands out from the rest, None where that was not
    asked. ``matched``: None where it was found by meaning alone. ``collection``: the one it is in.
    """

    picture: Picture
    score: float
    root: str
    stands_out: bool | None = None
    matched: Match | None = None
    collection: str = ""

    @property
    def label(self) -> str | None:
        """The name of its folder, None at the top of the dataset."""
        return self.picture.label

    @property
    def file(self) -> str:
        """The file's absolute path."""
        return os.path.join(self.root, self.picture.path)

    @property
    def missing(self) -> bool:
        """Whether its file is not there now."""
        try:
            return not os.path.isfile(self.file)
        except ValueError:  # a server may say anything
            return True


@dataclass(frozen=True, slots=True)
class Answer:
    """Pictures, the best first; iterating gives the hits.

    ``collection``: its name. ``hits``: those wanted, from the question's offset on. ``has_more``: whether others
    follow. ``total``: pictures that the filter lets through. ``cutoff``: where what stands out ends, None where that
    was not asked. ``standing``: how many stand out, which come first; those after them are only the nearest.
    ``ends``: what to tell of that, once one of these is among the hits. ``messages``: what else to tell, such as words
    that are not known. ``why_nothing``: where there is no hit. All these are sentences. ``asked``: the picture asked
    about, where the collection has it unchanged.
    """

    collection: str
    hits: tuple[PictureHit, ...]
    has_more: bool
    total: int
    cutoff: Cutoff | None = None
    standing: int | None = None
    ends: str = ""
    messages: tuple[str, ...] = ()
    why_nothing: str = ""
    asked: PictureHit | None = None

    @property
    def standing_hits(self) -> tuple[PictureHit, ...]:
        """Those of the hits that stand out."""
        return tuple(hit for hit in self.hits if hit.stands_out)

    def __iter__(self) -> Iterator[PictureHit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True)
class TagsAnswer:
    """Words for a picture, the best first; iterating gives the tags. ``messages``, ``asked``: as of an `Answer`."""

    collection: str
    tags: tuple[Tag, ...]
    messages: tuple[str, ...] = ()
    asked: PictureHit | None = None

    def __iter__(self) -> Iterator[Tag]:
        return iter(self.tags)

    def __len__(self) -> int:
        return len(self.tags)


@dataclass(frozen=True, slots=True)
class WordsAnswer:
    """Words near words, the nearest first. ``messages``: sentences."""

    words: tuple[NearWord, ...]
    messages: tuple[str, ...] = ()
