"""What the API answers, and its documentation.

It must not know how answers are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from ingest.collection import RunProgress as Said
from ingest.records import Picture
from ingest.stores import Summary
from model.system.names import shown
from query.asking import Group, Match, PictureHit, TagsAnswer


class Problem(BaseModel):
    """Every error: problem details of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="A sentence: what, which value, what to do")
    code: str = Field(description="What programs tell it by; it stays the same when the sentence changes")


class PictureRecord(BaseModel):
    """A picture of a collection."""

    id: str = Field(description="By which it is asked about, and its files are fetched")
    collection: str
    path: str = Field(description="In the dataset")
    label: str | None
    width: int = Field(description="Pixels, upright")
    height: int
    bytes: int
    sha256: str
    damaged: str = Field(description="What is wrong with a file that is shown as far as it goes; mostly empty")
    frame: int = Field(description="Which frame or page stands for a file of several, from 0")
    taken: str | None = Field(description="When, local time; the time of the file where its header does not say")
    taken_from: Literal["exif", "xmp", "video", "file"] | None = Field(
        description="What says so: the header of the picture or of the video; `file`: only the time of the file"
    )
    camera: str | None
    place: list[float] | None = Field(
        min_length=2, max_length=2, description="Latitude and longitude, where the file says so"
    )
    keywords: list[str] = Field(description="In the file")
    thumbnail: str = Field(description="Address of a JPEG of at most 256 pixels a side; `size` asks for 512 or 1024")
    original: str = Field(description="Address of the file itself")


class FoundPicture(PictureRecord):
    """A picture found."""

    score: float = Field(description="Cosine; with `vector=both` a sum of reciprocal ranks")
    stands_out: bool | None = Field(description="Whether it stands out; with `min_score=auto` alone")
    matched: Match | None = Field(
        description="`name` where names of its folders or file hold the words, `text` where the picture does"
    )


class TagRecord(BaseModel):
    """A word for a picture."""

    word: str
    score: float
    trained: bool = Field(description="Whether the collection's projection was trained on it")


class Answer(BaseModel):
    """Pictures, best first."""

    collection: str
    total: int = Field(description="Pictures that the filter lets through")
    cutoff: dict[str, float] | None = Field(
        description="With `min_score=auto`: the least cosine that stands out, by the vector compared; either is "
        "enough. It is measured before anything is subtracted"
    )
    standing: int | None = Field(
        description="With `min_score=auto`: how many stand out, which come first; those after them are only the nearest"
    )
    ends: str = Field(description="What to tell of that, once the answers reach beyond what stands out; else empty")
    note: str = Field(description="What was passed over, such as words that are not known; mostly empty")
    results: list[FoundPicture]
    next: int | None = Field(description="`offset` of the answers that follow, if there are any")
    cursor: str | None = Field(description="The same as `cursor`, which also holds while pictures come and go")


class Pictures(BaseModel):
    """Pictures in no order of meaning."""

    collection: str
    total: int
    results: list[PictureRecord]
    next: int | None = Field(description="`offset` of the pictures that follow, if there are any")
    cursor: str | None = Field(description="The same as `cursor`, which also holds while pictures come and go")


class Month(BaseModel):
    month: str = Field(description="`2019-07`; empty for pictures without a date")
    pictures: int
    offset: int = Field(description="Of its first picture in the list by `date`; by `-date` where that was asked for")


class Timeline(BaseModel):
    """How many pictures were taken when."""

    collection: str
    total: int
    months: list[Month]


class PictureVectors(BaseModel):
    """As the collection holds them."""

    id: str
    collection: str
    visual: list[float]
    semantic: list[float]


class PictureTags(BaseModel):
    """One line of the tags of all pictures."""

    id: str
    collection: str
    path: str
    tags: list[TagRecord]


class FailureRecord(BaseModel):
    """A file that could not be indexed, or is shown damaged."""

    path: str
    reason: str
    at: str
    shown: bool


class Failures(BaseModel):
    collection: str
    failures: list[FailureRecord]


class Copy(BaseModel):
    """A picture in a group. ``kind``: what it is to the first one: `copy`, `same` or `alike`."""

    kind: Literal["copy", "same", "alike"]
    score: float
    picture: PictureRecord


class DuplicatesGroup(BaseModel):
    """Pictures that are one, the best first."""

    kind: Literal["copy", "same", "alike"]
    members: list[Copy]


class Duplicates(BaseModel):
    collection: str = Field(description="With `collection=all`: all of them, between commas")
    total: int = Field(description="Groups")
    groups: list[DuplicatesGroup]


class RunProgress(BaseModel):
    """How far an `ingest run` is, as it says every few seconds."""

    task: str = Field(description="What it is at: `embedding`, `training best`, `comparing` and so on")
    done: int
    total: int
    unit: str = Field(description="What is counted: `pictures`, `fits` and so on")
    bad: int = Field(description="Files that could not be read so far")
    begun: str
    at: str = Field(description="When it last said so")
    silent: bool = Field(description="Whether that is more than a minute ago, so that it has probably ended early")


class Progress(BaseModel):
    collection: str
    run: RunProgress | None


class Status(BaseModel):
    """What a client has to know of the server."""

    version: str
    has_token: bool = Field(description="Whether one logs in and out here")
    fetches_urls: bool
    max_upload_bytes: int
    collections: int
    pictures: int


class Tags(BaseModel):
    collection: str
    results: list[TagRecord]


class WordRecord(BaseModel):
    word: str
    score: float


class NearWords(BaseModel):
    collection: str
    note: str
    results: list[WordRecord]


class Answered(BaseModel):
    """One of several: what it would answer by itself, or the problem."""

    answer: Answer | Tags | NearWords | None
    problem: Problem | None


class Answers(BaseModel):
    """In the order of the questions."""

    answers: list[Answered]


class CollectionRecord(BaseModel):
    """A collection of pictures."""

    name: str
    default: bool = Field(description="Whether it is meant where none is named")
    pictures: int
    encoder: str
    words: str
    projection: str
    updated: str


class Count(BaseModel):
    name: str
    pictures: int


class CollectionDetail(CollectionRecord):
    labels: list[Count] = Field(description="The most frequent first")
    folders: list[Count] = Field(description="Each with what lies below it")


class Uploaded(BaseModel):
    """A picture to ask about, kept for an hour."""

    id: str
    width: int
    height: int
    thumbnail: str


def uploaded(id: str, width: int, height: int, root_path: str) -> Uploaded:
    return Uploaded(id=id, width=width, height=height, thumbnail=f"{root_path}/api/v1/pictures/{id}/thumbnail")


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str


class Readiness(Health):
    note: str = Field(description="What is still to be done before there are answers; mostly empty")


def noted(messages: Iterable[str]) -> str:
    """Remarks one after the other. One that asks what was meant ends with that."""
    return re.sub(r"\?; (\w)", lambda found: f"? {found[1].upper()}", "; ".join(messages))


def run_progress(said: Said) -> RunProgress:
    return RunProgress(
        task=said.task,
        done=said.done,
        total=said.total,
        unit=said.unit,
        bad=said.bad,
        begun=said.begun,
        at=said.at,
        silent=said.is_silent,
    )


def picture_tags(answer: TagsAnswer, picture: Picture) -> PictureTags:
    return PictureTags(
        id=str(picture.id), collection=answer.collection, path=shown(picture.path), tags=tag_records(answer)
    )


def tag_records(answer: TagsAnswer) -> list[TagRecord]:
    return [TagRecord(word=tag.word, score=tag.score, trained=tag.trained) for tag in answer]


def picture_fields(picture: Picture, collection: str, root_path: str, id: str = "") -> dict[str, object]:
    """``id``: that of an upload, which has none of its path's."""
    address = f"{root_path}/api/v1/pictures/{id or picture.id}"
    photo = picture.photo
    which = f"collection={quote(collection, safe='')}&v={picture.sha256[:12]}"
    return {
        "id": id or str(picture.id),
        "path": shown(picture.path),
        "label": picture.label,
        "width": picture.width,
        "height": picture.height,
        "bytes": picture.size,
        "sha256": picture.sha256,
        "damaged": picture.damaged,
        "frame": picture.frame,
        "collection": collection,
        "taken": (photo.taken or None) if photo else None,
        "taken_from": photo.taken_from if photo and photo.taken else None,
        "camera": (photo.camera or None) if photo else None,
        "place": list(photo.place) if photo and photo.place else None,
        "keywords": list(photo.keywords) if photo else [],
        "thumbnail": f"{address}/thumbnail?{which}",
        "original": f"{address}/original?{which}",
    }


def picture_record(picture: Picture, collection: str, root_path: str, id: str = "") -> PictureRecord:
    return PictureRecord.model_validate(picture_fields(picture, collection, root_path, id))


def duplicates_group(group: Group, collection: str, root_path: str) -> DuplicatesGroup:
    members = [
        Copy(
            kind=member.kind.value,
            score=round(member.score, 6),
            picture=picture_record(member.picture, collection, root_path),
        )
        for member in group.members
    ]
    return DuplicatesGroup(kind=group.kind.value, members=members)


def found_picture(hit: PictureHit, root_path: str) -> FoundPicture:
    return FoundPicture.model_validate(
        {
            "score": hit.score,
            "stands_out": hit.stands_out,
            "matched": hit.matched,
            **picture_fields(hit.picture, hit.collection, root_path),
        }
    )


def collection_fields(summary: Summary, default: str) -> dict[str, object]:
    metadata = summary.metadata
    return {
        "name": summary.name,
        "default": summary.name == default,
        "pictures": summary.points,
        "encoder": metadata.encoder,
        "words": metadata.words,
        "projection": metadata.projection,
        "updated": metadata.updated,
    }
