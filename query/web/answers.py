"""What the API answers, and its documentation.

It must not know how answers are found.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from ingest.records import Picture
from ingest.stores import Summary
from model.system.names import shown
from query.asking import Match, PictureHit


class PictureRecord(BaseModel):
    """A picture of a collection."""

    id: str = Field(description="By which it is asked about, and its files are fetched")
    path: str = Field(description="In the dataset")
    label: str | None
    width: int = Field(description="Pixels, upright")
    height: int
    bytes: int
    sha256: str
    damaged: str = Field(description="What is wrong with a file that is shown as far as it goes; mostly empty")
    frame: int = Field(description="Which frame or page stands for a file of several, from 0")
    taken: str | None = Field(description="When, local time; the time of the file where its header does not say")
    camera: str | None
    thumbnail: str = Field(description="Address of a JPEG of at most 256 pixels a side; `size` asks for 512 or 1024")
    original: str = Field(description="Address of the file itself")


class FoundPicture(PictureRecord):
    """A picture found."""

    score: float = Field(description="Cosine; with `vector=both` a sum of reciprocal ranks")
    stands_out: bool | None = Field(description="Whether it stands out; with `min_score=auto` alone")
    matched: Match | None = Field(
        description="`name` where names of its folders or file hold the words, `text` where the picture does"
    )


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


class Pictures(BaseModel):
    """Pictures in no order of meaning."""

    collection: str
    total: int
    note: str = Field(description="Why there is no next page, though there are more pictures; mostly empty")
    results: list[PictureRecord]
    next: int | None


class TagRecord(BaseModel):
    """A word for a picture."""

    word: str
    score: float
    trained: bool = Field(description="Whether the collection's projection was trained on it")


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


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str


class Problem(BaseModel):
    """Every error."""

    error: str = Field(description="A sentence: what, which value, what to do")


def picture_fields(picture: Picture, collection: str) -> dict[str, object]:
    address = f"/api/pictures/{picture.id}"
    which = f"collection={quote(collection, safe='')}&v={picture.sha256[:12]}"
    return {
        "id": str(picture.id),
        "path": shown(picture.path),
        "label": picture.label,
        "width": picture.width,
        "height": picture.height,
        "bytes": picture.size,
        "sha256": picture.sha256,
        "damaged": picture.damaged,
        "frame": picture.frame,
        "taken": (picture.photo.taken or None) if picture.photo else None,
        "camera": (picture.photo.camera or None) if picture.photo else None,
        "thumbnail": f"{address}/thumbnail?{which}",
        "original": f"{address}/original?{which}",
    }


def found_picture(hit: PictureHit, collection: str) -> FoundPicture:
    return FoundPicture.model_validate(
        {
            "score": hit.score,
            "stands_out": hit.stands_out,
            "matched": hit.matched,
            **picture_fields(hit.picture, collection),
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
