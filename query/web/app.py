"""The application: page, API, and errors as responses.

It must not know how questions are answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.errors import StoreUnreachable
from model import __version__
from model.errors import WordsightError
from query.web import ASSETS
from query.web.access import Access
from query.web.api import make_router
from query.web.description import ADDRESS, allowed, describe, operation_name
from query.web.ending import Ending
from query.web.health import make_health
from query.web.observing import AccessLog, Figures, Observer
from query.web.problems import problem
from query.web.security import Guard, route_path
from query.web.service import Service
from query.web.sessions import Sessions
from query.web.statuses import FAILED, code_of, sentence_of, status_of

log = logging.getLogger("wordsight")

RETRY = {"Retry-After": "5"}
SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """The whole application, and what is asked of it when it ends."""

    app: ASGIApp
    ending: Ending


def make_app(
    service: Service, access: Access, sessions: Sessions | None = None, log: AccessLog | None = None
) -> Served:
    """The whole application, guarded. It closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(service))
        yield
        sweeping.cancel()
        service.close()

    figures = Figures()
    app = FastAPI(
        title="wordsight",
        version=__version__,
        description="Pictures like a picture, pictures for words, words for a picture: the questions of `query`.",
        openapi_url=ADDRESS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=operation_name,
    )
    describe(app, has_token=bool(access.token))
    app.include_router(make_router(service))
    app.include_router(make_health(service, figures))
    app.add_exception_handler(WordsightError, _tell)
    app.add_exception_handler(StarletteHTTPException, _tell_status)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(Exception, _tell_nothing)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(ASSETS / "index.html")

    @app.get("/api/docs", include_in_schema=False)
    def documentation() -> FileResponse:
        return FileResponse(ASSETS / "docs.html")

    app.mount("/assets", StaticFiles(directory=ASSETS))
    ending = Ending(Guard(_packing(app), access, sessions or Sessions()))
    return Served(Observer(_answering_head(ending), figures, log), ending)


async def _sweep(service: Service) -> None:
    """What is kept for an hour is not kept for longer because nobody asks."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        service.uploads.forget_old()


PACKED_ALREADY = ("/thumbnail", "/original", "/archive")


def _packing(app: ASGIApp) -> ASGIApp:
    """With gzip, where that makes it smaller: not pictures."""
    packed = GZipMiddleware(app, minimum_size=1000, compresslevel=5)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_packed = scope["type"] == "http" and scope["path"].endswith(PACKED_ALREADY)
        await (app if is_packed else packed)(scope, receive, send)

    return answer


def _answering_head(app: ASGIApp) -> ASGIApp:
    """HEAD as GET, of which the server sends no body."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return
        got = {**scope, "method": "GET"}
        try:
            await app(got, receive, send)
        finally:
            if "route" in got:  # by which `query.web.observing` counts it
                scope["route"] = got["route"]

    return answer


def _tell(_: Request, error: Exception) -> Response:
    status = status_of(error)
    if status == FAILED:  # paths of this machine are for its owner
        log.error("error: %s", error)
        return problem(FAILED, "the server failed: its own messages say why")
    if isinstance(error, StoreUnreachable):
        log.error("error: %s", error)
        sentence = "the Qdrant server behind this one does not answer: try again soon"
        return problem(status, sentence, code_of(error), RETRY)
    return problem(status, str(error), code_of(error), RETRY if status == 503 else None)


def _tell_status(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, StarletteHTTPException) else HTTPException(500)
    sentence = str(known.detail)
    if sentence == HTTPStatus(known.status_code).phrase:  # Starlette's own, which says no more than the status
        sentence = f"{request.method} {request.url.path}: {sentence.lower()}; /api/docs lists what there is"
    headers = dict(known.headers or {})
    if known.status_code == 405 and (methods := allowed(request.app, route_path(request.scope))):
        headers["Allow"] = ", ".join(methods)
    return problem(known.status_code, sentence, headers=headers)


def _tell_invalid(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    return problem(400, sentence_of(problems))


def _tell_nothing(_: Request, _error: Exception) -> Response:
    """The error itself is logged by whoever runs this, with its place in the code."""
    return problem(500, "the server failed: its own messages say why")
