"""The routes that list what there is, and show it.

It must not know how questions are answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import PurePosixPath
from typing import IO, Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from ingest.collection import read_failures, read_progress
from ingest.records import Picture
from ingest.stores import Filter
from model import __version__
from model.pictures import MEDIA_TYPE
from query.asking import Group, ask_all_tags, ask_duplicates
from query.web import answers
from query.web.archive import Packed, zipped
from query.web.catalogue import Order, cursor_after
from query.web.clients import client_of
from query.web.files import media_type
from query.web.places import Places
from query.web.questions import (
    AllTagsParameters,
    Collection,
    DuplicatesParameters,
    Id,
    ListedParameters,
)
from query.web.sending import FileSent, tagged
from query.web.service import Service

FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For addresses that hold a checksum of what they give."""

JSON_LINES = "application/jsonl"
MOST_ZIPPED = 500
Version = Annotated[str, Query(description="Of the file, as the answers give it: it may then be kept for ever")]


def look_router(service: Service) -> APIRouter:
    """Collections, pictures, and their files."""
    api = APIRouter(tags=["look"])
    _collections(api, service)
    _pictures(api, service)
    _files(api, service)
    _all_tags(api, service)
    _duplicates(api, service)
    return api


def _collections(api: APIRouter, service: Service) -> None:
    library = service.library

    @api.get("/status")
    def status() -> answers.Status:
        """What a client has to know of the server."""
        there = library.summaries()
        return answers.Status(
            version=__version__,
            has_token=service.limits.has_token,
            fetches_urls=service.limits.fetch_urls,
            max_upload_bytes=service.limits.max_upload,
            collections=len(there),
            pictures=sum(one.points for one in there),
        )

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
        name = library.one(name)
        fields = answers.collection_fields(library.summary(name), library.default)
        with library.asking(name) as context:
            labels, folders = context.collection.labels(), context.collection.folders()
            fields["pictures"] = context.collection.count()
        counts = {"labels": _counts(labels), "folders": _counts(folders)}
        return answers.CollectionDetail.model_validate({**fields, **counts})

    @api.get("/collections/{name}/failures")
    def failures(name: str) -> answers.Failures:
        """Files that could not be indexed, or are shown damaged."""
        name = library.one(name)
        with library.asking(name) as context:
            found = read_failures(context.collection).values()
        records = [answers.FailureRecord(path=one.path, reason=one.reason, at=one.at, shown=one.shown) for one in found]
        return answers.Failures(collection=name, failures=records)

    @api.get("/collections/{name}/progress")
    def progress(name: str) -> answers.Progress:
        """How far an `ingest run` of the collection is that reads files just now, or was killed while it did."""
        name = library.one(name)
        with library.asking(name) as context:
            said = read_progress(context.collection)
        return answers.Progress(collection=name, run=answers.run_progress(said) if said else None)


def _pictures(api: APIRouter, service: Service) -> None:
    library = service.library

    @api.get("/pictures")
    def pictures(asked: Annotated[ListedParameters, Query()]) -> answers.Pictures:
        """All pictures of a collection, or of `all`, in an order; any part of a list of any length."""
        names, catalogue = library.catalogue(asked.collection, asked.filter, asked.sort)
        begin = catalogue.after(asked.cursor) if asked.cursor else asked.offset
        part = catalogue.entries[begin : begin + asked.limit]
        records: dict[tuple[int, object], answers.PictureRecord] = {}
        for place, name in enumerate(names):
            if ids := [entry.id for entry in part if entry.place == place]:
                with library.asking(name) as context:
                    points = context.collection.retrieve(ids)
                for id, point in points.items():
                    picture = Picture.from_payload(point.payload)
                    records[place, id] = answers.picture_record(picture, name, service.root_path)
        end = begin + len(part)
        has_more = end < len(catalogue)
        return answers.Pictures(
            collection=", ".join(names),
            total=len(catalogue),
            results=[records[entry.place, entry.id] for entry in part if (entry.place, entry.id) in records],
            next=end if has_more else None,
            cursor=cursor_after(end, str(part[-1].id)) if has_more and part else None,
        )

    @api.get("/timeline")
    def timeline(asked: Annotated[ListedParameters, Query()]) -> answers.Timeline:
        """How many pictures were taken in which month, the oldest first; the newest with `sort=-date`."""
        order = asked.sort if asked.sort is Order.NEWEST else Order.DATE
        names, catalogue = library.catalogue(asked.collection, asked.filter, order)
        months = [answers.Month(month=one.name, pictures=one.pictures, offset=one.offset) for one in catalogue.months()]
        return answers.Timeline(collection=", ".join(names), total=len(catalogue), months=months)

    @api.get("/pictures/{id}")
    def picture(id: Id, collection: Collection = "") -> answers.PictureRecord:
        """What is known of a picture."""
        found = service.find(collection, id)
        return answers.picture_record(found.picture, found.collection, service.root_path, found.id)

    @api.get("/pictures/{id}/vectors")
    def vectors(id: Id, collection: Collection = "") -> answers.PictureVectors:
        """The vectors of a picture, as they are compared."""
        return service.vectors(collection, id)


def _files(api: APIRouter, service: Service) -> None:
    @api.get("/pictures/{id}/thumbnail", response_class=Response, responses=_media(MEDIA_TYPE))
    async def thumbnail(
        request: Request,
        id: Id,
        collection: Collection = "",
        size: Literal["256", "512", "1024", "2048"] = "256",
        v: Version = "",
    ) -> Response:
        """A small JPEG, upright, made anew without the original's metadata."""
        data = await service.thumbnail(collection, id, int(size), client_of(request.scope))
        tag = hashlib.sha256(data).hexdigest()[:32]
        return tagged(request, data, MEDIA_TYPE, tag, FOR_EVER if v else {})

    @api.get("/pictures/{id}/original", response_class=Response, responses=_media("image/*"))
    async def original(
        id: Id,
        collection: Collection = "",
        download: bool = False,
        v: Version = "",  # noqa: ARG001 - answers give it for all addresses of a picture
    ) -> Response:
        """The file itself, or a part of it by `Range`."""
        found = await run_in_threadpool(service.find, collection, id)
        file = await run_in_threadpool(found.open)
        return _original(file, found.picture, download=download)

    @api.get("/archive", response_class=Response, responses=_media("application/zip"))
    def archive(
        id: Annotated[list[Id], Query(min_length=1, max_length=MOST_ZIPPED, description="Of pictures; repeatable")],
        collection: Collection = "",
    ) -> Response:
        """Several originals as one ZIP. Files that cannot be read are named in it."""
        files = []
        for one in dict.fromkeys(id):
            found = service.find(collection, one)
            files.append(Packed(found.picture.path, found.picture.mtime_ns, found.open))
        headers = {"Content-Disposition": 'attachment; filename="pictures.zip"'}
        return StreamingResponse(zipped(files), media_type="application/zip", headers=headers)


def _all_tags(api: APIRouter, service: Service) -> None:
    library = service.library

    @api.get("/tags.jsonl", response_class=Response, responses=_media(JSON_LINES))
    def all_tags(asked: Annotated[AllTagsParameters, Query()]) -> Response:
        """Words for every picture, of `all` one collection after the other: one JSON object a line."""
        question = asked.question_for_all()

        def lines_of(name: str) -> Iterator[str]:
            with library.asking(name) as context:
                for one in ask_all_tags(context, question, Filter(under=asked.under.strip("/"))):
                    if one.asked is not None:
                        yield answers.picture_tags(one, one.asked.picture).model_dump_json() + "\n"

        # What cannot be asked is told now: once the answer has begun, it could only break off.
        begun = [(next(lines, ""), lines) for lines in map(lines_of, library.names(asked.collection))]
        every = chain.from_iterable(chain([first], others) for first, others in begun)
        return StreamingResponse(every, media_type=JSON_LINES)


def _duplicates(api: APIRouter, service: Service) -> None:
    library = service.library
    looking = Places("looking for duplicates", 1, 1, 4)
    found: dict[object, list[Group]] = {}

    @api.get("/duplicates")
    async def duplicates(request: Request, asked: Annotated[DuplicatesParameters, Query()]) -> answers.Duplicates:
        """Groups of pictures that are one picture, the first of each the one to keep; nothing is changed.

        Of `all` one collection after the other: a group is of one collection.
        """
        names = await run_in_threadpool(library.names, asked.collection)
        async with looking.place(client_of(request.scope)):
            groups = await run_in_threadpool(look_for_all, names, asked)
        part = groups[asked.offset : asked.offset + asked.limit]
        return answers.Duplicates(
            collection=", ".join(names),
            total=len(groups),
            groups=[answers.duplicates_group(group, name, service.root_path) for name, group in part],
        )

    def look_for_all(names: list[str], asked: DuplicatesParameters) -> list[tuple[str, Group]]:
        before = dict(found)
        found.clear()  # the last question is what is leafed through
        return [(name, group) for name in names for group in look_for(name, asked, before)]

    def look_for(name: str, asked: DuplicatesParameters, before: Mapping[object, list[Group]]) -> list[Group]:
        with library.asking(name) as context:
            metadata = context.metadata
            how = (asked.threshold, asked.alike, asked.prefer, tuple(asked.label), asked.under.strip("/"))
            key = (name, metadata.updated, context.collection.count(), *how)
            found[key] = (
                before[key]
                if key in before
                else ask_duplicates(
                    context.collection,
                    asked.threshold,
                    alike=asked.alike,
                    prefer=asked.prefer,
                    labels=asked.label,
                    under=asked.under.strip("/"),
                )
            )
            return found[key]


def _media(kind: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


def _counts(counts: dict[str, int]) -> list[answers.Count]:
    return [answers.Count(name=name, pictures=number) for name, number in counts.items()]


def _original(file: IO[bytes], picture: Picture, *, download: bool) -> Response:
    name = quote(PurePosixPath(picture.path).name, errors="replace")
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Content-Disposition": f"{'attachment' if download else 'inline'}; filename*=UTF-8''{name}",
    }
    return FileSent(file, media_type(picture), headers)
