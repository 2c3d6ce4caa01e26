"""Between the routes and `query.asking`: a request's parameters make a question, and its answer a response.

It must not know how questions are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO
from uuid import UUID

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ingest.collection import features_of
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL
from model.errors import PictureError, PictureGone, UsageError
from model.pictures import Framed, Framing
from model.projections import unit
from query.asking import (
    ANY_SCORE,
    Answer,
    CollectionContext,
    EncodedPicture,
    PictureHit,
    QueryPicture,
    Question,
    Sort,
    TagsAnswer,
    ask,
    ask_several,
    ask_tags,
    ask_words,
    encode,
    find_picture,
    in_order_of,
    parse,
)
from query.web import answers, body
from query.web.catalogue import cursor_after
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
from query.web.uploads import COPY_PIXELS, PREFIX, Upload, Uploads, features_key


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_upload``: bytes. ``fetch_urls``: whether clients may name addresses; ``fetch_private``: of any kind."""

    max_upload: int
    fetch_urls: bool = False
    fetch_private: bool = False
    has_token: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that a client sent. ``copy``: a small JPEG file of it, empty where none was wanted."""

    framed: Framed
    copy: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A picture, by which id it is asked for, the collection it is in (of an upload: none), and what opens its file."""

    picture: Picture
    id: str
    collection: str
    open: Callable[[], IO[bytes]]


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
    root_path: str = ""
    fetching: Places = field(default_factory=lambda: Places("fetching addresses", 8, 2, 16))

    def text(self, asked: TextParameters) -> answers.Answer:
        return self._ask(asked, lambda _: asked.question())

    def similar(self, asked: StoredParameters) -> answers.Answer:
        if not asked.id and not asked.minus_id:
            raise UsageError("no picture to look like: give its id, or send one with POST")
        names = self.library.names(asked.collection)

        def put_to(context: CollectionContext) -> Question:
            return asked.question(
                self._pictures(context, asked.id, names), self._pictures(context, asked.minus_id, names)
            )

        return self._ask(asked, put_to)

    def _ask(self, asked: ScoredParameters, put_to: Callable[[CollectionContext], Question]) -> answers.Answer:
        """One collection, or all of them."""
        names = self.library.names(asked.collection)
        if len(names) == 1:
            with self.library.asking(names[0]) as context:
                return self._response(asked, ask(context, put_to(context)))
        limit, offset = asked.asked_for

        def put(context: CollectionContext) -> Question:
            return replace(put_to(context), limit=offset + limit, offset=0)

        found = ask_several(names, self.library.contexts, put, ask, offset + limit)
        return self._response(asked, replace(found, hits=found.hits[offset:]))

    def similar_to(self, sent: Sent, asked: SimilarParameters) -> answers.Answer:
        names = self.library.names(asked.collection)
        upload = Upload("", sent.copy, sent.framed.width, sent.framed.height, expires=0.0)
        with self.library.asking(asked.collection) as context:
            upload.features[features_key(context)] = encode(context, sent.framed.pixels)

        def put_to(context: CollectionContext) -> Question:
            return asked.question([upload.encoded(context)], self._pictures(context, asked.minus_id, names))

        return self._ask(asked, put_to)

    def is_for_several(self, collection: str) -> bool:
        """Whether a picture that is sent is seen by more than one encoder, perhaps."""
        return len(self.library.names(collection)) > 1

    def tags(self, asked: StoredTagsParameters) -> answers.Tags:
        with self.library.asking(self._where(asked.collection, asked.id)) as context:
            (picture,) = self._pictures(context, [asked.id])
            return _tags_response(ask_tags(context, asked.question(picture)))

    def tags_of(self, sent: Sent, asked: TagsParameters) -> answers.Tags:
        with self.library.asking(asked.collection) as context:
            picture = EncodedPicture(encode(context, sent.framed.pixels))
            return _tags_response(ask_tags(context, asked.question(picture)))

    def words(self, asked: WordsParameters) -> answers.NearWords:
        with self.library.asking(self.library.one(asked.collection)) as context:
            name, words = context.name, context.words
        least = ANY_SCORE if asked.min_score is None else asked.min_score
        answer = ask_words(words, parse(asked.q), asked.limit, least)
        results = [answers.WordRecord(word=word.word, score=round(word.score, 6)) for word in answer.words]
        return answers.NearWords(collection=name, note=answers.noted(answer.messages), results=results)

    def upload(self, sent: Sent, collection: str, client: str) -> answers.Uploaded:
        """Keep a picture for a while."""
        with self.library.asking(collection) as context:
            features = encode(context, sent.framed.pixels)
            kept = self.uploads.add(sent.copy, (sent.framed.width, sent.framed.height), features, context, client)
        return answers.uploaded(kept.id, kept.width, kept.height, self.root_path)

    def forget(self, id: str) -> None:
        """An upload. Raises PictureGone where it is not kept, or is none."""
        if not id.startswith(PREFIX):
            raise PictureGone(f"{id[:64]!r} is no upload: pictures of a collection are not deleted here")
        self.thumbnails.forget(self.uploads.remove(id).picture.sha256)

    def _pictures(
        self, context: CollectionContext, ids: Sequence[str], names: Sequence[str] = ()
    ) -> list[QueryPicture]:
        """Those of the collection, of the others in ``names``, and uploads.

        Raises:
            UsageError: no id. PictureGone: an upload that is no longer kept.
        """
        found: list[QueryPicture] = []
        for id in ids:
            if id.startswith(PREFIX):
                found.append(self.uploads.get(id).encoded(context))
            elif len(names) > 1:
                found.append(self._of_any(context, picture_id(id), names))
            else:
                found.append(picture_id(id))
        return found

    def _of_any(self, context: CollectionContext, id: UUID, names: Sequence[str]) -> QueryPicture:
        """A picture of one of several collections, as it is put to one of them."""
        if id in context.collection.retrieve([id]):
            return id
        for name in names:
            with self.library.asking(name) as other:
                point = other.collection.retrieve([id], [VISUAL]).get(id)
                if point is None:
                    continue
                if features_key(other) != features_key(context):
                    raise UsageError(f"{context.name} was made with another encoder than {name}, where that picture is")
                return EncodedPicture(features_of(point))
        raise PictureGone(f"no picture {id} in these collections: it may have been removed since")

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

    def find(self, collection: str, id: str) -> Found:
        """A picture of a collection, or of any of `all`; or an upload, whose file is the copy that is kept.

        Raises:
            UsageError: no id. PictureGone: none that is there.
        """
        if id.startswith(PREFIX):
            kept = self.uploads.get(id)
            return Found(kept.picture, id, "", partial(in_file, kept.copy))
        wanted = picture_id(id)
        for name in self.library.names(collection):
            with self.library.asking(name) as context, suppress(PictureGone):
                picture = find_picture(context.collection, wanted)
                return Found(picture, id, name, partial(open_original, context.metadata.root, picture))
        raise PictureGone(f"no picture {wanted} here: it may have been removed since")

    def _where(self, collection: str, id: str) -> str:
        """The collection that is to be asked about a picture: of `all` the one that has it, of an upload the default.

        Raises:
            As `find`.
        """
        names = self.library.names(collection)
        return names[0] if len(names) == 1 else self.find(collection, id).collection or self.library.default

    async def thumbnail(self, collection: str, id: str, size: int, client: str) -> bytes:
        """A small JPEG of a picture or an upload."""
        found = await run_in_threadpool(self.find, collection, id)
        picture = found.picture

        async def make() -> bytes:
            try:
                file = await run_in_threadpool(found.open)
            except PictureGone:
                carried = await run_in_threadpool(self.library.store.thumbnail, picture.id)
                if carried is None:
                    raise
                return carried
            return await self._small(file, picture.path, size, client)

        return await self.thumbnails.get((picture.sha256, size), make)

    async def _small(self, file: IO[bytes], name: str, size: int, client: str) -> bytes:
        return (await self.bench.decode(Use.LOOK, Job(small=size, name=name), file, client)).small

    def vectors(self, collection: str, id: str) -> answers.PictureVectors:
        """Those of a picture or an upload, as they are compared. Raises as `find`."""
        with self.library.asking(self._where(collection, id)) as context:
            if id.startswith(PREFIX):
                visual = self.uploads.get(id).encoded(context).features
                semantic = unit(context.projection.project(visual[None]))[0]
            else:
                wanted = picture_id(id)
                point = context.collection.retrieve([wanted], [VISUAL, SEMANTIC]).get(wanted)
                if point is None:
                    raise PictureGone(f"no picture {id} in the collection: it may have been removed since")
                visual, semantic = features_of(point), point.vectors[SEMANTIC]
            name = context.name
        return answers.PictureVectors(id=id, collection=name, visual=visual.tolist(), semantic=semantic.tolist())

    def _response(self, asked: ScoredParameters, answer: Answer) -> answers.Answer:
        answer = in_order_of(answer, asked.sort)
        hits = answer.hits if asked.sort is Sort.SCORE else answer.hits[asked.begin : asked.end]
        has_more = answer.has_more or (asked.sort is not Sort.SCORE and len(answer.hits) > asked.end)
        goes_on = has_more and not asked.is_last
        return answers.Answer(
            collection=answer.collection,
            total=answer.total,
            cutoff=dict(answer.cutoff.floors) if answer.cutoff else None,
            standing=answer.standing,
            ends=answer.ends,
            note=answers.noted([*answer.messages, *_at_the_end(asked, answer, hits, goes_on=has_more)]),
            results=[answers.found_picture(hit, self.root_path) for hit in hits],
            next=asked.end if goes_on else None,
            cursor=cursor_after(asked.end) if goes_on else None,
        )

    def close(self) -> None:
        self.bench.close()
        self.library.close()


def _sent(decoded: Decoded) -> Sent:
    assert decoded.framed is not None  # noqa: S101 - a job with a framing
    return Sent(decoded.framed, decoded.small)


def _at_the_end(asked: ScoredParameters, answer: Answer, hits: Sequence[PictureHit], *, goes_on: bool) -> Iterator[str]:
    """What to tell on the last page: why no other follows."""
    if goes_on:
        if asked.is_last:
            yield asked.no_more_note
        return
    had = asked.begin + len(hits) if asked.sort is Sort.SCORE else len(answer.hits)
    rest = answer.total - had - asked.left_out
    if hits and rest > 0 and asked.takes_any_score:
        yield f"of {answer.total} pictures {rest} show nothing of what was asked for: they are no answers"


def _tags_response(answer: TagsAnswer) -> answers.Tags:
    return answers.Tags(collection=answer.collection, results=answers.tag_records(answer))
