"""Connections: how many there may be, and which are ended, so that silent or unread ones never take all places.

It must not know what is asked over them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from query.web.clients import network_of
from query.web.problems import problem, raw_problem

MOST_CONNECTIONS = 400
RESERVE = 32
"""Beyond these, for whoever asks whether the server is alive."""

LEAST_CONNECTIONS = 8
MOST_OF_CLIENT = 64
"""A browser opens six. This machine may have all: a proxy on it speaks for many."""

FILES_BESIDE = 400
"""Files that the server may have open beside its connections: of the store, of pictures sent, and of those shown."""

KEEP_ALIVE_SECONDS = 30
HEAD_SECONDS = 15
"""For a client to send the head of a request, once it has connected or its keep-alive time is over."""

WRITE_SECONDS = 20
"""For a client to take 48 kB of an answer: one that reads nothing holds a file open, and memory."""

RETRY_SECONDS = 5
HEALTH = ("/livez", "/readyz", "/api/v1/health")


def room_for_connections() -> int:
    """How many there may be by the files that this process may open, after it has asked for as many as it may."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + RESERVE + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(LEAST_CONNECTIONS, min(MOST_CONNECTIONS, soft - RESERVE - FILES_BESIDE))


class Connection(H11Protocol):
    """A connection that is closed where no request comes over it, or nobody reads the answer.

    uvicorn closes one that is silent after a response, but waits without end for a request that has begun, and for
    a client to read. Where there are too many, the one that is silent for longest makes room: silence costs nobody
    else a place.
    """

    most = MOST_CONNECTIONS
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _silent_since = 0.0
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent_since = self.loop.time()
        self._address = network_of(self.client[0]) if self.client else ""
        self._await_request(HEAD_SECONDS, after=None)
        same = [one for one in self._others() if one._address == self._address]
        if not _is_here(self._address) and len(same) >= MOST_OF_CLIENT and not _end_silent(same):
            self._refuse()
        elif len(self.connections) > self.most and not _end_silent(self._others()):
            if len(self.connections) > self.most + RESERVE:
                self._refuse()
            else:
                self.app: Any = _only_health(self.app)

    def _others(self) -> list[Connection]:
        return [one for one in self.connections if isinstance(one, Connection) and one is not self and one.is_open]

    @property
    def is_open(self) -> bool:
        return not self.transport.is_closing()

    @property
    def is_silent(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self) -> None:
        self.transport.write(raw_problem(503, "too many connections: try again in a moment", retry=RETRY_SECONDS))
        self.transport.close()

    def on_response_complete(self) -> None:
        answered = self.cycle
        self._silent_since = self.loop.time()
        super().on_response_complete()  # may take up the next request at once
        self._await_request(KEEP_ALIVE_SECONDS + HEAD_SECONDS, after=answered)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._timer, self._write_timer):
            if timer:
                timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """With the headers that all answers have."""
        self.transport.write(raw_problem(400, f"{msg[0].lower()}{msg[1:].rstrip('.')}"))
        self.transport.close()

    def _await_request(self, seconds: float, *, after: RequestResponseCycle | None) -> None:
        if self._timer:
            self._timer.cancel()

        def close_if_silent() -> None:
            if self.cycle is after:
                self.end()

        self._timer = self.loop.call_later(seconds, close_if_silent)

    def end(self) -> None:
        """At once, also where somebody has not read all of the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self.is_open:
            if self.conn.our_state is not h11.ERROR:
                self.conn.send_failed()
            self.transport.close()


def _end_silent(connections: list[Connection]) -> bool:
    """End the one that is silent for longest, if any is."""
    silent = [one for one in connections if one.is_silent]
    if not silent:
        return False
    min(silent, key=lambda one: one._silent_since).end()
    return True


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a socket in a file


def _only_health(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].endswith(HEALTH):
            close = {"Connection": "close", "Retry-After": str(RETRY_SECONDS)}
            await problem(503, "too many connections: try again in a moment", headers=close)(scope, receive, send)
            return
        await app(scope, receive, send)

    return answer
