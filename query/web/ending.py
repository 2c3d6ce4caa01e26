"""The end of the server: requests in flight are answered, or told in time to come back.

It must not know what they ask.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query.web.problems import problem

END_SECONDS = 3.0
"""For requests that are being answered when the server is asked to end."""

RETRY = {"Retry-After": "5", "Connection": "close"}


class Ending:
    """ASGI middleware. ``answered``, ``refused``: requests since the server was asked to end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._over = asyncio.Event()
        self._begun = False
        self._running = 0
        self.answered = 0
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._begun:
            await self._refuse(scope, receive, send)
            return
        self._running += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._running -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        answering = asyncio.ensure_future(self._app(scope, receive, sending))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((answering, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not answering.done():
                answering.cancel()
        if answering.done():
            self.answered += self._begun
            await answering  # with what it raised
            return
        with suppress(asyncio.CancelledError):
            await answering
        if not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.refused += 1
        await problem(503, "the server is ending: try again in a moment", headers=RETRY)(scope, receive, send)

    def begin(self) -> None:
        """From now on new requests are refused, and the others have `END_SECONDS`."""
        self._begun = True

    async def wait(self) -> None:
        """Until all are answered, or their time is over."""
        deadline = asyncio.get_running_loop().time() + END_SECONDS
        while self._running and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        self._over.set()
        while self._running and asyncio.get_running_loop().time() < deadline + 1:
            await asyncio.sleep(0.02)
