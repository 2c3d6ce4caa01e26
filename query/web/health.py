"""Whether the server is alive, whether it can answer, and its figures: for whatever watches over it.

It must not know questions.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from model import __version__
from model.errors import WordsightError
from query.web import answers
from query.web.observing import Figures, exposition
from query.web.problems import CODES, problem
from query.web.service import Service
from query.web.statuses import FAILED, code_of

NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": answers.Problem}}
WHY_NOT = {
    "no-collection": "the collection that is served is no longer there",
    "store-in-use": "another process holds the store: try again soon",
    "store-unreachable": "the Qdrant server behind this one does not answer: try again soon",
}
"""By the code of what is wrong. Whoever asks needs no token, so that nothing is told of names or places."""

UNREADABLE = "the store cannot be read: the server's own messages say why"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def make_health(service: Service, figures: Figures) -> APIRouter:
    """Routes that wait for nothing that a picture or a question takes."""
    api = APIRouter(tags=["watch"])

    @api.get("/livez", operation_id="livez")
    async def live() -> answers.Health:
        """Whether the server runs."""
        return answers.Health(version=__version__)

    @api.get("/api/v1/health", operation_id="health")
    async def health() -> answers.Health:
        """Whether the server runs: as `/livez`, below `/api`."""
        return answers.Health(version=__version__)

    @api.get("/readyz", operation_id="readyz", responses=NOT_READY, response_model=answers.Readiness)
    async def ready() -> answers.Readiness | Response:
        """Whether it can answer: its store does. A store without pictures is ready, and the note says what to do."""
        try:
            note = await run_in_threadpool(service.library.not_ready_yet)
        except WordsightError as error:
            code = code_of(error) or CODES[FAILED]
            return problem(503, WHY_NOT.get(code, UNREADABLE), code, headers={"Retry-After": "5"})
        return answers.Readiness(version=__version__, note=note)

    @api.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Figures since the start, in the text format of Prometheus."""
        gauges = {
            "pictures_being_decoded": lambda: service.bench.at_work,
            "pictures_waiting": lambda: service.bench.waiting,
            "bodies_being_received": lambda: service.receiving.taken,
            "uploads_kept": lambda: len(service.uploads),
        }
        return PlainTextResponse(exposition(figures, gauges), media_type=EXPOSITION)

    return api
