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
from query.web.problems import problem
from query.web.service import Service

NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": answers.Problem}}
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

    @api.get(
        "/readyz", operation_id="readyz", responses={503: {"model": answers.Problem}}, response_model=answers.Health
    )
    async def ready() -> answers.Health | Response:
        """Whether it can answer: its collection is there."""
        try:
            await run_in_threadpool(service.library.summary, "")
        except WordsightError:
            return problem(503, "the collection cannot be asked just now", headers={"Retry-After": "5"})
        return answers.Health(version=__version__)

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
