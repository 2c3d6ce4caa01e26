"""The questions, as the API's answers: between `query.asking.search` and the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ingest.records import Picture
from ingest.stores import SEMANTIC
from model.errors import PictureError, PictureGone
from model.pictures import MAX_FILE_BYTES, thumbnail
from model.words import TextSpace
from query.asking import DEPTH, Cutoff, Direction, Found, ImageQuery, Search, direction, parse
from query.web import answers, body
from query.web.body import Sent
from query.web.files import Thumbnails, open_original
from query.web.library import Library
from query.web.questions import (
    AUTO,
    Scored,
    SimilarQuestion,
    TagsQuestion,
    TextQuestion,
    WordsQuestion,
    least,
    picture_id,
)
from query.web.uploads import PREFIX, Uploads

Ask = Callable[[int, Cutoff | None], list[Found]]


@dataclass(frozen=True, slots=True)
class Service:
    """What the API answers from. ``max_upload``: bytes. ``fetch_urls``: whether clients may name addresses."""

    library: Library
    max_upload: int
    fetch_urls: bool
    uploads: Uploads
    thumbnails: Thumbnails
    receiving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(body.MOST_RECEIVED))

    def text(self, asked: TextQuestion) -> answers.Answer:
        with self.library.search(asked.collection) as search:
            towards = search.towards(parse(asked.q))
            cutoff = search.cutoff({SEMANTIC: towards.aim}) if asked.min_score == AUTO else None

            def ask(limit: int, cutoff: Cutoff | None) -> list[Found]:
                return search.text(
                    towards, limit=limit, filter=asked.filter, min_score=least(asked.min_score), cutoff=cutoff
                )

            return self._answer(search, asked, ask, cutoff, _unknown(towards, search.words))

    def similar(self, asked: SimilarQuestion, about: Callable[[Search], ImageQuery]) -> answers.Answer:
        with self.library.search(asked.collection) as search:
            picture, terms = about(search), asked.terms()
            note = _unknown(search.towards(terms, picture.semantic_aim), search.words) if terms else ""
            aims = search.aims(picture, terms, asked.vector)
            cutoff = search.cutoff(aims, picture.ids) if asked.min_score == AUTO else None

            def ask(limit: int, cutoff: Cutoff | None) -> list[Found]:
                return search.similar(
                    picture,
                    terms=terms,
                    space=asked.vector,
                    limit=limit,
                    filter=asked.filter,
                    min_score=least(asked.min_score),
                    cutoff=cutoff,
                )

            return self._answer(search, asked, ask, cutoff, note, is_fused=len(aims) > 1)

    def _answer(
        self, search: Search, asked: Scored, ask: Ask, cutoff: Cutoff | None, note: str, *, is_fused: bool = False
    ) -> answers.Answer:
        """One page of an answer. One more is asked for, to know whether there is another page."""
        name = self.library.name(asked.collection)
        total = search.count(asked.filter)
        end = asked.end
        found = ask(end + 1, cutoff)
        left_out, more = "", len(found) > end
        if more and asked.is_last:
            note = asked.no_more_note
        if cutoff and len(found) <= end:
            every = ask(len(found) + 1, None)
            left_out = cutoff.told(len(found), len(every), every[0].score if every else None)
        elif is_fused and total > DEPTH:
            note = "; ".join(filter(None, [note, f"only the {DEPTH} nearest by each vector are fused"]))
        return answers.Answer(
            collection=name,
            total=total,
            cutoff=dict(cutoff.floors) if cutoff else None,
            left_out=left_out,
            note=note,
            results=[answers.found_picture(one, name) for one in found[asked.offset : end]],
            next=end if more and not asked.is_last else None,
        )

    def tags(self, asked: TagsQuestion, about: Callable[[Search], ImageQuery]) -> answers.Tags:
        with self.library.search(asked.collection) as search:
            found = search.tags(
                about(search), limit=asked.limit, min_score=least(asked.min_score), labels=asked.closed(search)
            )
            results = [answers.TagRecord(word=tag.word, score=tag.score, trained=tag.trained) for tag in found]
            return answers.Tags(collection=self.library.name(asked.collection), results=results)

    def words(self, asked: WordsQuestion) -> answers.NearWords:
        with self.library.search(asked.collection) as search:
            words = search.words
        towards = direction(parse(asked.q), words)
        near = words.nearest(towards.vector, asked.limit, without=towards.known)
        results = [
            answers.WordRecord(word=word.word, score=round(word.score, 6))
            for word in near
            if word.score >= least(asked.min_score)
        ]
        name = self.library.name(asked.collection)
        return answers.NearWords(collection=name, note=_unknown(towards, words), results=results)

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
            with self.library.search(collection) as search:  # not held while decoding
                framing = search.encoder.spec.framing
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
        with self.library.search(collection) as search:
            picture = search.picture(picture_id(id))
            if picture is None:
                raise PictureGone(f"no picture {id} in the collection: it may have been removed since")
            return picture, search.metadata.root

    def thumbnail(self, collection: str, id: str, size: int) -> bytes:
        if id.startswith(PREFIX):
            upload = self.uploads.get(id)
            return self.thumbnails.get((id, size), lambda: thumbnail(upload.copy, longest=size))
        picture, root = self.find(collection, id)

        def make() -> bytes:
            try:
                with open_original(root, picture) as file:
                    return thumbnail(file.read(MAX_FILE_BYTES), longest=size, max_megapixels=0)
            except PictureGone:
                carried = self.library.store.thumbnail(picture.id)
                if carried is None:
                    raise
                return carried

        return self.thumbnails.get((picture.sha256, size), make)


def _unknown(asked: Direction, words: TextSpace) -> str:
    return f"{words.unknown_message(asked.unknown)}; searched without" if asked.unknown else ""
