"""Between the routes and `query.asking`: a request's parameters make a question, and its answer a response.

It must not know how questions are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ingest.records import Picture
from model.errors import PictureError, PictureGone, UsageError
from model.pictures import MAX_FILE_BYTES, thumbnail
from query.asking import (
    ANY_SCORE,
    Answer,
    CollectionContext,
    EncodedPicture,
    QueryPicture,
    TagsAnswer,
    ask,
    ask_tags,
    ask_words,
    encode,
    find_picture,
    parse,
)
from query.web import answers, body
from query.web.body import Sent
from query.web.files import Thumbnails, open_original
from query.web.library import Library
from query.web.questions import (
    ScoredParameters,
    SimilarParameters,
    StoredParameters,
    StoredTagsParameters,
    TagsParameters,
    TextParameters,
    WordsParameters,
    picture_id,
)
from query.web.uploads import PREFIX, Uploads


@dataclass(frozen=True, slots=True)
class Service:
    """What the API answers from. ``max_upload``: bytes. ``fetch_urls``: whether clients may name addresses."""

    library: Library
    max_upload: int
    fetch_urls: bool
    uploads: Uploads
    thumbnails: Thumbnails
    receiving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(body.MOST_RECEIVED))

    def text(self, asked: TextParameters) -> answers.Answer:
        with self.library.asking(asked.collection) as context:
            return _response(asked, ask(context, asked.question()))

    def similar(self, asked: StoredParameters) -> answers.Answer:
        if not asked.id and not asked.minus_id:
            raise UsageError("no picture to look like: give its id, or send one with POST")
        with self.library.asking(asked.collection) as context:
            question = asked.question(self._pictures(context, asked.id), self._pictures(context, asked.minus_id))
            return _response(asked, ask(context, question))

    def similar_to(self, sent: Sent, asked: SimilarParameters) -> answers.Answer:
        with self.library.asking(asked.collection) as context:
            picture = EncodedPicture(encode(context, sent.framed.pixels))
            question = asked.question([picture], self._pictures(context, asked.minus_id))
            return _response(asked, ask(context, question))

    def tags(self, asked: StoredTagsParameters) -> answers.Tags:
        with self.library.asking(asked.collection) as context:
            (picture,) = self._pictures(context, [asked.id])
            return _tags_response(ask_tags(context, asked.question(picture)))

    def tags_of(self, sent: Sent, asked: TagsParameters) -> answers.Tags:
        with self.library.asking(asked.collection) as context:
            picture = EncodedPicture(encode(context, sent.framed.pixels))
            return _tags_response(ask_tags(context, asked.question(picture)))

    def words(self, asked: WordsParameters) -> answers.NearWords:
        with self.library.asking(asked.collection) as context:
            name, words = context.name, context.words
        least = ANY_SCORE if asked.min_score is None else asked.min_score
        answer = ask_words(words, parse(asked.q), asked.limit, least)
        results = [answers.WordRecord(word=word.word, score=round(word.score, 6)) for word in answer.words]
        return answers.NearWords(collection=name, note="; ".join(answer.messages), results=results)

    def upload(self, sent: Sent, collection: str) -> answers.Uploaded:
        """Keep a picture for a while."""
        with self.library.asking(collection) as context:
            kept = self.uploads.add(sent, context)
        address = f"/api/pictures/{kept.id}/thumbnail"
        return answers.Uploaded(id=kept.id, width=kept.width, height=kept.height, thumbnail=address)

    def _pictures(self, context: CollectionContext, ids: Sequence[str]) -> list[QueryPicture]:
        """Those of the collection, and uploads.

        Raises:
            UsageError: no id. PictureGone: an upload that is no longer kept.
        """
        return [self.uploads.get(id).encoded(context) if id.startswith(PREFIX) else picture_id(id) for id in ids]

    async def sent_picture(self, request: Request, collection: str, *, with_copy: bool = False) -> Sent:
        """The picture in a request's body, or at the address in it, as the collection's encoder takes it."""
        kind = body.media_type(request)
        by_address = kind == "application/json"
        if by_address and not self.fetch_urls:
            raise HTTPException(403, "this server fetches no addresses for others: send the picture itself")
        async with self.receiving:
            received = await body.receive(request, body.MAX_JSON_BYTES if by_address else self.max_upload)
            return await run_in_threadpool(self._decoded, received, kind, collection, by_address, with_copy)

    def _decoded(self, received: IO[bytes], kind: str, collection: str, by_address: bool, with_copy: bool) -> Sent:
        with received:
            with self.library.asking(collection) as context:  # not held while decoding
                framing = context.encoder.spec.framing
            most = self.library.max_megapixels
            if not by_address:
                return body.decode(received, framing, most, name=body.name_of(kind), with_copy=with_copy)
            address, file = body.fetch(received)
            with file:
                try:
                    return body.decode(file, framing, most, name=address, with_copy=with_copy)
                except PictureError as error:
                    raise type(error)(f"{address}: {error}") from error

    def find(self, collection: str, id: str) -> tuple[Picture, str]:
        """A picture of a collection and the root of its dataset."""
        with self.library.asking(collection) as context:
            return find_picture(context.collection, picture_id(id)), context.metadata.root

    def thumbnail(self, collection: str, id: str, size: int) -> bytes:
        if id.startswith(PREFIX):
            upload = self.uploads.get(id)
            return self.thumbnails.get((id, size), lambda: thumbnail(upload.copy, longest=size))
        picture, root = self.find(collection, id)

        def make() -> bytes:
            try:
                with open_original(root, picture) as file:
                    return thumbnail(file.read(MAX_FILE_BYTES), name=picture.path, longest=size, max_megapixels=0)
            except PictureGone:
                carried = self.library.store.thumbnail(picture.id)
                if carried is None:
                    raise
                return carried

        return self.thumbnails.get((picture.sha256, size), make)


def _response(asked: ScoredParameters, answer: Answer) -> answers.Answer:
    ends_here = answer.has_more and asked.is_last
    return answers.Answer(
        collection=answer.collection,
        total=answer.total,
        cutoff=dict(answer.cutoff.floors) if answer.cutoff else None,
        standing=answer.standing,
        ends=answer.ends,
        note="; ".join([*answer.messages, *([asked.no_more_note] if ends_here else [])]),
        results=[answers.found_picture(hit, answer.collection) for hit in answer],
        next=asked.end if answer.has_more and not ends_here else None,
    )


def _tags_response(answer: TagsAnswer) -> answers.Tags:
    results = [answers.TagRecord(word=tag.word, score=tag.score, trained=tag.trained) for tag in answer]
    return answers.Tags(collection=answer.collection, results=results)
