"""Between the routes and `query.asking`: a request's parameters make a question, and its answer a response.

It must not know how questions are answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ingest.records import Picture
from model.errors import PictureError, PictureGone, UsageError
from model.pictures import Framed, Framing
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
from query.web.clients import client_of
from query.web.decoding import Bench, Decoded, Job, Use
from query.web.fetching import NotFetched, fetch
from query.web.files import in_file, open_original
from query.web.library import Library
from query.web.places import Places
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
from query.web.thumbnails import Thumbnails
from query.web.uploads import COPY_PIXELS, PREFIX, Uploads


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_upload``: bytes. ``fetch_urls``: whether clients may name addresses; ``fetch_private``: of any kind."""

    max_upload: int
    fetch_urls: bool = False
    fetch_private: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that a client sent. ``copy``: a small JPEG file of it, empty where none was wanted."""

    framed: Framed
    copy: bytes


@dataclass(frozen=True, slots=True)
class Service:
    """What the API answers from."""

    library: Library
    limits: Limits
    bench: Bench
    uploads: Uploads = field(default_factory=Uploads)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    receiving: Places = field(
        default_factory=lambda: Places("receiving pictures", body.MOST_RECEIVED, body.MOST_OF_CLIENT, body.MOST_WAITING)
    )
    fetching: Places = field(default_factory=lambda: Places("fetching addresses", 8, 2, 16))

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

    def upload(self, sent: Sent, collection: str, client: str) -> answers.Uploaded:
        """Keep a picture for a while."""
        with self.library.asking(collection) as context:
            features = encode(context, sent.framed.pixels)
            kept = self.uploads.add(sent.copy, (sent.framed.width, sent.framed.height), features, context, client)
        return answers.uploaded(kept.id, kept.width, kept.height)

    def forget(self, id: str) -> None:
        """An upload. Raises PictureGone where it is not kept."""
        self.uploads.remove(id)
        self.thumbnails.forget(id)

    def _pictures(self, context: CollectionContext, ids: Sequence[str]) -> list[QueryPicture]:
        """Those of the collection, and uploads.

        Raises:
            UsageError: no id. PictureGone: an upload that is no longer kept.
        """
        return [self.uploads.get(id).encoded(context) if id.startswith(PREFIX) else picture_id(id) for id in ids]

    async def sent_picture(self, request: Request, collection: str, *, with_copy: bool = False) -> Sent:
        """The picture in a request's body, or at the address in it, as the collection's encoder takes it."""
        kind = body.media_type(request)
        client = client_of(request.scope)
        by_address = kind == "application/json"
        if by_address and not self.limits.fetch_urls:
            raise HTTPException(403, "this server fetches no addresses for others: send the picture itself", body.CLOSE)
        framing = await run_in_threadpool(self._framing, collection)
        async with self.receiving.place(client):
            file = await body.receive(request, body.MAX_JSON_BYTES if by_address else self.limits.max_upload)
        if by_address:
            return await self._fetched(file, framing, client, with_copy)
        job = self._job(framing, body.name_of(kind), with_copy)
        return _sent(await self.bench.decode(Use.ASK, job, file, client))

    async def _fetched(self, received: IO[bytes], framing: Framing, client: str, with_copy: bool) -> Sent:
        with received:
            address = body.address_in(received)
        async with self.fetching.place(client):
            limits = self.limits
            file = await run_in_threadpool(fetch, address, limits.max_upload, private=limits.fetch_private)
        try:
            return _sent(await self.bench.decode(Use.ASK, self._job(framing, "picture", with_copy), file, client))
        except PictureError:
            raise NotFetched from None

    def _framing(self, collection: str) -> Framing:
        with self.library.asking(collection) as context:
            return context.encoder.spec.framing

    def _job(self, framing: Framing, name: str, with_copy: bool) -> Job:
        return Job(COPY_PIXELS if with_copy else 0, framing, name, self.library.max_megapixels)

    def find(self, collection: str, id: str) -> tuple[Picture, str]:
        """A picture of a collection and the root of its dataset."""
        with self.library.asking(collection) as context:
            return find_picture(context.collection, picture_id(id)), context.metadata.root

    async def thumbnail(self, collection: str, id: str, size: int, client: str) -> bytes:
        """A small JPEG of a picture or an upload."""
        if id.startswith(PREFIX):
            copy = self.uploads.get(id).copy
            return await self.thumbnails.get((id, size), lambda: self._small(in_file(copy), size, client))
        picture, root = await run_in_threadpool(self.find, collection, id)

        async def make() -> bytes:
            try:
                file = await run_in_threadpool(open_original, root, picture)
            except PictureGone:
                carried = await run_in_threadpool(self.library.store.thumbnail, picture.id)
                if carried is None:
                    raise
                return carried
            return await self._small(file, size, client)

        return await self.thumbnails.get((picture.sha256, size), make)

    async def _small(self, file: IO[bytes], size: int, client: str) -> bytes:
        return (await self.bench.decode(Use.LOOK, Job(small=size), file, client)).small

    def close(self) -> None:
        self.bench.close()
        self.library.close()


def _sent(decoded: Decoded) -> Sent:
    assert decoded.framed is not None  # noqa: S101 - a job with a framing
    return Sent(decoded.framed, decoded.small)


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
