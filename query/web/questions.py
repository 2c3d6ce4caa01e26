"""The parameters of the API, named as the options of the command line; each makes a question of `query.asking`.

It must not know how questions are answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ingest.stores import Filter
from model.errors import UsageError
from query.asking import (
    ANY_SCORE,
    DEFAULT_THRESHOLD,
    MinScore,
    QueryPicture,
    Question,
    Reading,
    Sort,
    Space,
    TagsQuestion,
    Taken,
    Term,
    read,
    split_labels,
)
from query.web.catalogue import Order, read_cursor
from query.web.uploads import PREFIX

MAX_LIMIT = 200
MAX_OFFSET = 10_000
"""Nobody scrolls further, and every page costs as much as all those before it."""

MAX_SORTED = 1000
"""Answers put into another order than the best first."""

MAX_PICTURES = 20
MAX_TEXT = 500

Phrase = Annotated[str, Field(max_length=MAX_TEXT)]
UUID_OR_UPLOAD = r"^(upload-[\w-]{1,40}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
Id = Annotated[str, Field(max_length=64, json_schema_extra={"pattern": UUID_OR_UPLOAD})]  # told, and judged by us
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
    without: list[Id] = Field([], description="Pictures to leave out; repeatable", max_length=100)
    offset: int = Field(0, ge=0, lt=1 << 31, description="How many to leave out at the beginning")
    cursor: str = Field("", description="Where to go on: of the answer before, in place of `offset`", max_length=200)

    @property
    def filter(self) -> Filter:
        """Raises UsageError where a condition is none, or no picture could ever pass."""
        taken = Taken(self.after, self.before, self.camera, self.near)
        without = tuple(picture_id(id) for id in self.without if not id.startswith(PREFIX))  # those are in no answer
        try:
            narrowed = taken.narrowed(Filter(tuple(self.label), self.under.strip("/"), without))
        except UsageError as error:
            raise UsageError(str(error).removeprefix("--")) from None  # here it is no option of a command
        if narrowed.after is not None and narrowed.before is not None and narrowed.after >= narrowed.before:
            raise UsageError(
                f"no picture is taken from {self.after} on and before {self.before}: `after` should be the earlier one"
            )
        return narrowed


class ListedParameters(PicturesParameters):
    """Of pictures in no order of meaning."""

    sort: Order = Field(Order.ID, description="`date`: the oldest first; `-date`: the newest; `name`: by path")


class ScoredParameters(PicturesParameters):
    sort: Sort = Field(Sort.SCORE, description="Of the first answers, best first: `date` or `name` instead")
    min_score: FiniteFloat | Literal["auto"] | None = Field(
        None, description="Leave out lower scores; `auto`: what stands out from the rest comes first, then the nearest"
    )

    @model_validator(mode="after")
    def _is_within_reach(self) -> Self:
        if self.begin > MAX_OFFSET:
            raise ValueError(f"offset is {self.begin}: it should be at most {MAX_OFFSET}; narrow the question instead")
        return self

    @property
    def begin(self) -> int:
        """Where this page begins."""
        return read_cursor(self.cursor)[0] if self.cursor else self.offset

    @property
    def end(self) -> int:
        """Where this page ends, and the next one begins."""
        return self.begin + self.limit

    @property
    def asked_for(self) -> tuple[int, int]:
        """Limit and offset of the question: answers in another order than the best first are had all at once."""
        return (self.limit, self.begin) if self.sort is Sort.SCORE else (MAX_SORTED, 0)

    @property
    def is_last(self) -> bool:
        """Whether no page after this one may be asked for, though there are more pictures."""
        return self.end > (MAX_OFFSET if self.sort is Sort.SCORE else MAX_SORTED - 1)

    @property
    def no_more_note(self) -> str:
        """What to say there."""
        return f"no more than {self.end} are shown: narrow the question with a filter or more words"

    @property
    def takes_any_score(self) -> bool:
        """Whether only what has nothing in common with the question is no answer."""
        return self.min_score is None or self.min_score == "auto"

    @property
    def left_out(self) -> int:
        """How many pictures are no answers because they are asked about."""
        return 0

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
            limit=self.asked_for[0],
            offset=self.asked_for[1],
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

    @property
    def takes_any_score(self) -> bool:
        return self.vector is not Space.BOTH and super().takes_any_score  # of both, the nearest by each are fused

    @property
    def left_out(self) -> int:
        return _stored(self.minus_id)

    def question(self, pictures: Sequence[QueryPicture], minus: Sequence[QueryPicture]) -> Question:
        """With the pictures that the ids stand for, or the one that was sent."""
        words = [Term(text) for text in self.plus] + [Term(text, -1.0) for text in self.minus]
        more = read(self.q) if self.q.strip() else Reading(())
        if self.vector is Space.VISUAL and (words or more.terms):
            raise UsageError("words can only be added to the semantic vector: leave out vector=visual")
        return Question(
            terms=(*words, *more.terms),
            read_as=more.message,
            pictures=tuple(pictures),
            minus_pictures=tuple(minus),
            space=self.vector,
            filter=self.filter,
            limit=self.asked_for[0],
            offset=self.asked_for[1],
            min_score=self.least,
        )


class StoredParameters(SimilarParameters):
    id: list[Id] = Field(
        [],
        description="Pictures to look like: ids of the collection, or of uploads; several are added up",
        max_length=MAX_PICTURES,
    )

    @property
    def left_out(self) -> int:
        return _stored([*self.id, *self.minus_id])


class TagsParameters(Parameters):
    labels: str = Field("", description="Choose among these words only, between commas", max_length=4096)
    own_labels: bool = Field(False, description="Choose among the collection's own labels only")
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")

    def question(self, picture: QueryPicture) -> TagsQuestion:
        return self._question((picture,))

    def _question(self, pictures: tuple[QueryPicture, ...]) -> TagsQuestion:
        if self.labels and self.own_labels:
            raise UsageError("labels and own_labels exclude each other: choose one")
        least = ANY_SCORE if self.min_score is None else self.min_score
        return TagsQuestion(pictures, self.limit, least, split_labels(self.labels), self.own_labels)


class StoredTagsParameters(TagsParameters):
    id: Id = Field(description="A picture of the collection, or an upload")


class AllTagsParameters(TagsParameters):
    limit: int = Field(5, ge=1, le=50, description="How many words for each picture at most")
    under: str = Field("", description="Only pictures below this folder of the dataset", max_length=4096)

    def question_for_all(self) -> TagsQuestion:
        return self._question(())


class DuplicatesParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: str = Field("", description="Which collection; without it, the default one", max_length=200)
    threshold: float = Field(DEFAULT_THRESHOLD, gt=0, le=1, description="Cosine from which pictures are alike")
    alike: bool = Field(False, description="Also those that look alike and are not the same")
    prefer: Literal["", "oldest", "newest", "largest"] = Field("", description="Which file is the first of its group")
    label: list[Phrase] = Field([], description="Only pictures with this label; repeatable", max_length=100)
    under: str = Field("", description="Only pictures below this folder of the dataset", max_length=4096)
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="How many groups at most")
    offset: int = Field(0, ge=0, lt=1 << 31, description="How many groups to leave out at the beginning")


class WordsParameters(Parameters):
    q: str = Field(description="A word, or a sum of words", max_length=MAX_TEXT)
    min_score: FiniteFloat | None = Field(None, description="Leave out lower scores")


def _stored(ids: Sequence[str]) -> int:
    """How many of them are of a collection."""
    return len({id for id in ids if not id.startswith(PREFIX)})


def picture_id(text: str) -> UUID:
    """Raises UsageError where it is no id."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is not the id of a picture") from None
