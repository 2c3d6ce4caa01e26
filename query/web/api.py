"""The API: the questions of the command line over HTTP.

It must not know how they are answered.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from query.web import answers, body
from query.web.batch import EXAMPLES, answer_all, questions_schema, read_questions
from query.web.clients import client_of
from query.web.description import each_once
from query.web.listing import look_router
from query.web.questions import (
    Collection,
    SimilarParameters,
    StoredParameters,
    StoredTagsParameters,
    TagsParameters,
    TextParameters,
    WordsParameters,
)
from query.web.service import Service

MAX_QUESTIONS_BYTES = 1 << 18
PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": {"model": answers.Problem}, "5XX": {"model": answers.Problem}}


def make_router(service: Service) -> APIRouter:
    """The routes below ``/api``."""
    api = APIRouter(prefix="/api/v1", responses=PROBLEMS, dependencies=[Depends(each_once)])
    api.include_router(_questions(service))
    api.include_router(look_router(service))
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
        for_several = await run_in_threadpool(service.is_for_several, asked.collection)
        sent = await service.sent_picture(request, asked.collection, with_copy=for_several)
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

    @api.post("/questions", openapi_extra=QUESTIONS_BODY)
    async def questions(request: Request) -> answers.Answers:
        """Several questions at once, each answered or refused by itself."""
        with await body.receive(request, MAX_QUESTIONS_BYTES) as received:
            asked = read_questions(received.read())
        return await run_in_threadpool(answer_all, service, asked)

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


QUESTIONS_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": questions_schema(), "examples": EXAMPLES}},
    }
}
