"""So many things at once, of each client so many, and so many that wait: the one way in which this server is full.

It must not know what they are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from model.errors import WordsightError


class Full(WordsightError):  # noqa: N818 - as in `model.errors`
    """More than can wait."""


class Places:
    """Used by one event loop.

    Args:
        what: is done there, for the message.
        most: at once.
        of_client: at once for one client; others pass by those that wait for it.
        waiting: so many wait; the next is refused.
    """

    def __init__(self, what: str, most: int, of_client: int, waiting: int) -> None:
        self._what = what
        self._most = most
        self._of_client = of_client
        self._may_wait = waiting
        self._taken: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def taken(self) -> int:
        return self._taken.total()

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Raises Full."""
        await self._take(client)
        try:
            yield
        finally:
            self._give_back(client)

    async def _take(self, client: str) -> None:
        if self._has_room(client):
            self._taken[client] += 1
            return
        if len(self._waiting) >= self._may_wait:
            raise Full(f"{self._what}: all places are taken: try again in a moment")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((client, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(client)
            else:
                self._waiting.remove((client, turn))
            raise

    def _has_room(self, client: str) -> bool:
        return self.taken < self._most and self._taken[client] < self._of_client

    def _give_back(self, client: str) -> None:
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
        for waiting in list(self._waiting):
            client, turn = waiting
            if self._has_room(client):
                self._waiting.remove(waiting)
                if not turn.cancelled():
                    self._taken[client] += 1
                    turn.set_result(None)
