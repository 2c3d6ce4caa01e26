"""The server process: its socket, its start, its end.

It must not know what is served.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import webbrowser
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ingest.stores import Store
from model.errors import UsageError
from model.system.blocks import give_large_blocks_back
from model.system.events import note
from query.web.app import make_app
from query.web.decoding import Bench
from query.web.library import Library
from query.web.security import Access
from query.web.service import Limits, Service

MAX_CONNECTIONS = 500
"""Clients beyond that are asked to come back later: each may hold a megabyte of a picture it sends."""

BACKLOG = 128
KEEP_ALIVE_SECONDS = 30
HEAD_SECONDS = 15
"""For a client to send the head of a request, once it has connected or its keep-alive time is over."""

END_SECONDS = 3
"""For requests that are being answered when the server is asked to end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``decode_memory``: bytes."""

    host: str
    port: int
    open_page: bool
    limits: Limits
    max_megapixels: int
    decode_memory: int


def run(store: Store, collection: str, only: bool, access: Access, settings: Settings) -> None:
    """Serve until asked to end.

    Raises:
        UsageError: the address cannot be used.
    """
    give_large_blocks_back()
    listening = listen(settings.host, settings.port)
    library = Library(store, collection, only=only, max_megapixels=settings.max_megapixels)
    with listening:
        if missing := library.warm_up():
            note(missing)
        service = Service(library, settings.limits, Bench(settings.decode_memory))
        address = _address(listening, settings.host)
        note(f"serving {_summary(library)} at {address}; Ctrl-C ends it")
        if settings.open_page:
            page = f"{address}?token={access.token}" if access.token else address
            threading.Timer(0.5, webbrowser.open, [page]).start()
        uvicorn.Server(config(make_app(service, access))).run(sockets=[listening])


def config(app: ASGIApp) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,  # addresses hold what people search for, and once the token
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=1 << 16,
    )


class Connection(H11Protocol):
    """A connection that is closed where no request comes over it: else a few hundred silent ones would take all places.

    uvicorn closes one that is silent after a response, but waits without end for a request that has begun.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request(HEAD_SECONDS, after=None)

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()  # may take up the next request at once
        self._await_request(KEEP_ALIVE_SECONDS + HEAD_SECONDS, after=answered)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()

    def _await_request(self, seconds: float, *, after: RequestResponseCycle | None) -> None:
        if self._timer:
            self._timer.cancel()

        def close_if_silent() -> None:
            if self.cycle is after and not self.transport.is_closing():
                self.transport.close()

        self._timer = self.loop.call_later(seconds, close_if_silent)


def _summary(library: Library) -> str:
    summaries = library.summaries()
    if len(summaries) == 1:
        points = summaries[0].points
        return f"{summaries[0].name} ({points} picture{'' if points == 1 else 's'})"
    return f"{len(summaries)} collections"


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises UsageError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, or asyncio does not turn Nagle's algorithm off, and every answer takes 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}; try another --port"
        ) from error
    return listening


def _address(listening: socket.socket, host: str) -> str:
    """What to type into a browser on this machine."""
    port = listening.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"
