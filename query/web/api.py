"""The API: the questions of the command line over HTTP.

It must not know how they are answered.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import IO, Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from ingest.records import Picture
from model.pictures import MEDIA_TYPE
from query.asking import browse
from query.web import answers
from query.web.clients import client_of
from query.web.files import media_type, open_original
from query.web.questions import (
    Collection,
    PicturesParameters,
    SimilarParameters,
    StoredParameters,
    StoredTagsParameters,
    TagsParameters,
    TextParameters,
    WordsParameters,
)
from query.web.sending import FileSent, tagged
from query.web.service import Service

FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For addresses that hold a checksum of what they give."""

Version = Annotated[str, Query(description="Of the file, as the answers give it: it may then be kept for ever")]
PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": {"model": answers.Problem}, "5XX": {"model": answers.Problem}}


def make_router(service: Service) -> APIRouter:
    """The routes below ``/api``."""
    api = APIRouter(prefix="/api/v1", responses=PROBLEMS)
    api.include_router(_questions(service))
    api.include_router(_pictures(service))
    return api


def _questions(service: Service) -> APIRouter:
    """The routes that ask."""
    api = APIRouter(tags=["ask"])

    @api.get("/text")
    def text(asked: Annotated[TextParameters, Query()]) -> answers.Answer:
        """Pictures for words."""
        return service.text(asked)

    @api.get("/similar")
    def similar(asked: Annotated[StoredParameters, Query()]) -> answers.Answer:
        """Pictures like a picture, or like several, moved towards or away from words."""
        return service.similar(asked)

    @api.post("/similar", openapi_extra=PICTURE_BODY)
    async def similar_to_sent(request: Request, asked: Annotated[SimilarParameters, Query()]) -> answers.Answer:
        """Pictures like the one in the body."""
        sent = await service.sent_picture(request, asked.collection)
        return await run_in_threadpool(service.similar_to, sent, asked)

    @api.get("/tags")
    def tags(asked: Annotated[StoredTagsParameters, Query()]) -> answers.Tags:
        """Words for a picture."""
        return service.tags(asked)

    @api.post("/tags", openapi_extra=PICTURE_BODY)
    async def tags_of_sent(request: Request, asked: Annotated[TagsParameters, Query()]) -> answers.Tags:
        """Words for the picture in the body."""
        sent = await service.sent_picture(request, asked.collection)
        return await run_in_threadpool(service.tags_of, sent, asked)

    @api.get("/words")
    def words(asked: Annotated[WordsParameters, Query()]) -> answers.NearWords:
        """Words near a word, or near a sum of words."""
        return service.words(asked)

    @api.post("/uploads", status_code=201, openapi_extra=PICTURE_BODY)
    async def upload(request: Request, collection: Collection = "") -> answers.Uploaded:
        """Keep the picture in the body for an hour, to ask about it by its id."""
        sent = await service.sent_picture(request, collection, with_copy=True)
        return await run_in_threadpool(service.upload, sent, collection, client_of(request.scope))

    @api.delete("/uploads/{id}", status_code=204)
    async def forget(id: str) -> None:
        """Keep a picture that was sent no longer."""
        service.forget(id)

    return api


def _pictures(service: Service) -> APIRouter:
    """The routes that list what there is, and show it."""
    api = APIRouter(tags=["look"])
    library = service.library

    @api.get("/collections")
    def collections() -> list[answers.CollectionRecord]:
        """The collections served."""
        return [
            answers.CollectionRecord.model_validate(answers.collection_fields(summary, library.default))
            for summary in library.summaries()
        ]

    @api.get("/collections/{name}")
    def collection(name: str) -> answers.CollectionDetail:
        """A collection with its labels and folders."""
        fields = answers.collection_fields(library.summary(name), library.default)
        with library.asking(name) as context:
            labels, folders = context.collection.labels(), context.collection.folders()
            fields["pictures"] = context.collection.count()
        counts = {"labels": _counts(labels), "folders": _counts(folders)}
        return answers.CollectionDetail.model_validate({**fields, **counts})

    @api.get("/pictures")
    def pictures(asked: Annotated[PicturesParameters, Query()]) -> answers.Pictures:
        """Pictures of a collection, in no order of meaning."""
        with library.asking(asked.collection) as context:
            name = context.name
            total = context.collection.count(asked.filter)
            found = browse(context.collection, asked.limit, asked.offset, asked.filter)
        more = asked.end < total
        return answers.Pictures(
            collection=name,
            total=total,
            note=asked.no_more_note if more and asked.is_last else "",
            results=[answers.PictureRecord.model_validate(answers.picture_fields(one, name)) for one in found],
            next=asked.end if more and not asked.is_last else None,
        )

    @api.get("/pictures/{id}")
    def picture(id: str, collection: Collection = "") -> answers.PictureRecord:
        """What is known of a picture."""
        found, _ = service.find(collection, id)
        return answers.PictureRecord.model_validate(answers.picture_fields(found, library.name(collection)))

    @api.get("/pictures/{id}/thumbnail", response_class=Response)
    async def picture_thumbnail(
        request: Request,
        id: str,
        collection: Collection = "",
        size: Literal["256", "512", "1024"] = "256",
        v: Version = "",
    ) -> Response:
        """A small JPEG, upright, made anew without the original's metadata."""
        data = await service.thumbnail(collection, id, int(size), client_of(request.scope))
        tag = hashlib.sha256(data).hexdigest()[:32]
        return tagged(request, data, MEDIA_TYPE, tag, FOR_EVER if v else {})

    @api.get("/pictures/{id}/original", response_class=Response)
    async def picture_original(
        id: str,
        collection: Collection = "",
        download: bool = False,
        v: Version = "",  # noqa: ARG001 - answers give it for all addresses of a picture
    ) -> Response:
        """The file itself, or a part of it by `Range`."""
        found, root = await run_in_threadpool(service.find, collection, id)
        file = await run_in_threadpool(open_original, root, found)
        return _original(file, found, download=download)

    return api


PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The picture's file; or, where the server runs with --fetch-urls, its address",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object", "properties": {"url": {"type": "string"}}}},
        },
    }
}


def _counts(counts: dict[str, int]) -> list[answers.Count]:
    return [answers.Count(name=name, pictures=number) for name, number in counts.items()]


def _original(file: IO[bytes], picture: Picture, *, download: bool) -> Response:
    name = quote(PurePosixPath(picture.path).name, errors="replace")
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Content-Disposition": f"{'attachment' if download else 'inline'}; filename*=UTF-8''{name}",
    }
    return FileSent(file, media_type(picture), headers)
