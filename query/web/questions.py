"""The parameters of the API, named as the options of the command line; each makes a question of `query.asking`.

It must not know how questions are answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ingest.stores import Filter
from model.errors import UsageError
from query.asking import (
    ANY_SCORE,
    MinScore,
    QueryPicture,
    Question,
    Reading,
    Space,
    TagsQuestion,
    Taken,
    Term,
    read,
    split_labels,
)

MAX_LIMIT = 200
MAX_OFFSET = 10_000
"""Nobody scrolls further, and every page costs as much as all those before it."""

MAX_PICTURES = 20
MAX_TEXT = 500

Phrase = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(max_length=64)]
Collection = Annotated[str, Query(description="Which collection; without it, the default one", max_length=200)]


class Parameters(BaseModel):
    """What every question has."""

    model_config = ConfigDict(extra="forbid")  # else a misspelt parameter would be passed over

    collection: str = Field("", description="Which collection; without it, the default one", max_length=200)
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="How many answers at most")


class PicturesParameters(Parameters):
    """Which pictures may be answers, and which of the answers are wanted."""

    label: list[Phrase] = Field([], description="Only pictures with this label; repeatable", max_length=100)
    under: str = Field("", description="Only pictures below this folder of the dataset", max_length=4096)
    after: str = Field("", description="Only pictures taken on this day or later: `2019-07`", max_length=32)
    before: str = Field("", description="Only pictures taken before this day", max_length=32)
    camera: str = Field("", description="Only by a camera with these words in its name", max_length=200)
    near: str = Field("", description="Only taken near a place: latitude, longitude, kilometres", max_length=100)
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="How many to leave out at the beginning")

    @property
    def filter(self) -> Filter:
        taken = Taken(self.after, self.before, self.camera, self.near)
        return taken.narrowed(Filter(tuple(self.label), self.under.strip("/")))

    @property
    def end(self) -> int:
        """Where this page ends, and the next one begins."""
        return self.offset + self.limit

    @property
    def is_last(self) -> bool:
        """Whether no page after this one may be asked for, though there are more pictures."""
        return self.end > MAX_OFFSET

    @property
    def no_more_note(self) -> str:
        """What to say there."""
        return f"no more than {self.end} are shown: narrow the question with a filter or more words"


class ScoredParameters(PicturesParameters):
    min_score: FiniteFloat | Literal["auto"] | None = Field(
        None, description="Leave out lower scores; `auto`: what stands out from the rest comes first, then the nearest"
    )

    @property
    def least(self) -> MinScore:
        return ANY_SCORE if self.min_score is None else self.min_score


class TextParameters(ScoredParameters):
    q: str = Field(description="Words: `ocean`, `beach + sunset - people`, `2:dog + ball`", max_length=MAX_TEXT)
    names: bool = Field(True, description="Look in the names of folders and files, too")
    ocr: bool = Field(True, description="Look in text that was read in pictures, too")

    def question(self) -> Question:
        return replace(
            Question.in_words(self.q),
            filter=self.filter,
            limit=self.limit,
            offset=self.offset,
            min_score=self.least,
            names=self.names,
            written=self.ocr,
        )


class SimilarParameters(ScoredParameters):
    plus: list[Phrase] = Field([], description="Words to move towards; repeatable", max_length=20)
    minus: list[Phrase] = Field([], description="Words to move away from; repeatable", max_length=20)
    q: str = Field("", description="Words too, as `text` takes them", max_length=MAX_TEXT)
    vector: Space | None = Field(None, description="Compare by: visual, or semantic where words are added")
    minus_id: list[Id] = Field([], description="Pictures to move away from; repeatable", max_length=MAX_PICTURES)

    def question(self, pictures: Sequence[QueryPicture], minus: Sequence[QueryPicture]) -> Question:
        """With the pictures that the ids stand for, or the one that was sent."""
        words = [Term(text) for text in self.plus] + [Term(text, -1.0) for text in self.minus]
        more = read(self.q) if self.q.strip() else Reading(())
        return Question(
            terms=(*words, *more.terms),
            read_as=more.message,
            pictures=tuple(pictures),
            minus_pictures=tuple(minus),
            space=self.vector,
            filter=self.filter,
            limit=self.limit,
            offset=self.offset,
            min_score=self.least,
        )


class StoredParameters(SimilarParameters):
    id: list[Id] = Field(
        [],
        description="Pictures to look like: ids of the collection, or of uploads; several are added up",
        max_length=MAX_PICTURES,
    )


class TagsParameters(Parameters):
    labels: str = Field("", description="Choose among these words only, between commas", max_length=4096)
    own_labels: bool = Field(False, description="Choose among the collection's own labels only")
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")

    def question(self, picture: QueryPicture) -> TagsQuestion:
        if self.labels and self.own_labels:
            raise UsageError("labels and own_labels exclude each other: choose one")
        least = ANY_SCORE if self.min_score is None else self.min_score
        return TagsQuestion((picture,), self.limit, least, split_labels(self.labels), self.own_labels)


class StoredTagsParameters(TagsParameters):
    id: Id = Field(description="A picture of the collection, or an upload")


class WordsParameters(Parameters):
    q: str = Field(description="A word, or a sum of words", max_length=MAX_TEXT)
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")


def picture_id(text: str) -> UUID:
    """Raises UsageError where it is no id."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is not the id of a picture") from None
