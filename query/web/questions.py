"""The parameters of the API: named as the options of the command line."""

from __future__ import annotations

import math
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ingest.stores import Filter
from model.errors import UsageError
from query.asking import ImageQuery, Search, Space, Term, combine, parse
from query.web.uploads import PREFIX, Uploads

MAX_LIMIT = 200
MAX_OFFSET = 10_000
"""Nobody scrolls further, and every page costs as much as all before it."""

ANY_SCORE = -math.inf
AUTO = "auto"
MAX_PICTURES = 20
MAX_TEXT = 500

Phrase = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(max_length=64)]
Collection = Annotated[str, Query(description="Which collection; without it, the default one", max_length=200)]


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a parameter misspelt would be one that is not there

    collection: str = Field("", description="Which collection; without it, the default one", max_length=200)
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="How many answers at most")


class Which(Question):
    """Which pictures may be answers, and which of the answers are wanted."""

    label: list[Phrase] = Field([], description="Only pictures with this label; repeatable", max_length=100)
    under: str = Field("", description="Only pictures below this folder of the dataset", max_length=4096)
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="How many to leave out at the beginning")

    @property
    def filter(self) -> Filter:
        return Filter(tuple(self.label), self.under.strip("/"))

    @property
    def end(self) -> int:
        """Where this page ends, and the next one begins."""
        return self.offset + self.limit

    @property
    def is_last(self) -> bool:
        """Whether no page after this one may be asked for, though there be more."""
        return self.end > MAX_OFFSET

    @property
    def no_more_note(self) -> str:
        """What to tell there."""
        return f"no more than {self.end} are shown: a filter, or more words, leave fewer"


class Scored(Which):
    min_score: FiniteFloat | Literal["auto"] | None = Field(
        None, description="Leave out lower scores; `auto`: all that do not stand out of the rest"
    )


class TextQuestion(Scored):
    q: str = Field(description="Words: `ocean`, `beach + sunset - people`, `2:dog + ball`", max_length=MAX_TEXT)


class SimilarQuestion(Scored):
    plus: list[Phrase] = Field([], description="Words to move towards; repeatable", max_length=20)
    minus: list[Phrase] = Field([], description="Words to move away from; repeatable", max_length=20)
    q: str = Field("", description="Words too, as `text` takes them", max_length=MAX_TEXT)
    vector: Space | None = Field(None, description="Compare by: visual, or semantic where words are added")
    minus_id: list[Id] = Field([], description="Pictures to move away from; repeatable", max_length=MAX_PICTURES)

    def terms(self) -> list[Term]:
        words = [Term(text) for text in self.plus] + [Term(text, -1.0) for text in self.minus]
        return words + (parse(self.q) if self.q.strip() else [])


class StoredQuestion(SimilarQuestion):
    id: list[Id] = Field(
        [],
        description="Pictures to look like: ids of the collection, or of uploads; several are added up",
        max_length=MAX_PICTURES,
    )


class TagsQuestion(Question):
    labels: str = Field("", description="Choose among these words only, between commas", max_length=4096)
    own_labels: bool = Field(False, description="Choose among the collection's own labels only")
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")

    def closed(self, search: Search) -> list[str] | None:
        """The words to choose among; None for all."""
        if self.labels and self.own_labels:
            raise UsageError("labels and own_labels exclude each other: choose one")
        if self.own_labels:
            return search.own_labels()
        return [part.strip() for part in self.labels.split(",") if part.strip()] if self.labels else None


class StoredTagsQuestion(TagsQuestion):
    id: Id = Field(description="A picture of the collection, or an upload")


class WordsQuestion(Question):
    q: str = Field(description="A word, or a sum of words", max_length=MAX_TEXT)
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")


def least(min_score: float | str | None) -> float:
    """The score that is asked for, if any is."""
    return min_score if isinstance(min_score, float) else ANY_SCORE


def asked_about(search: Search, uploads: Uploads, ids: list[str], minus_ids: list[str]) -> ImageQuery:
    """The pictures of a question as one.

    Raises:
        UsageError: an id that nothing has, or no picture at all.
    """
    if not ids and not minus_ids:
        raise UsageError("no picture to look like: give its id, or send one with POST")
    stored = [picture_id(id) for id in ids + minus_ids if not id.startswith(PREFIX)]
    known = dict(zip(stored, search.ask_stored(stored), strict=True)) if stored else {}
    asked = [
        uploads.get(id).asked(search) if id.startswith(PREFIX) else known[picture_id(id)] for id in ids + minus_ids
    ]
    return combine(asked[: len(ids)], asked[len(ids) :])


def picture_id(text: str) -> UUID:
    """Raises UsageError where it is no id."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is no picture's id") from None
