"""Who is logged in: browsers that once showed the token, by a number that has nothing to do with it.

It must not know requests.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

SESSION_SECONDS = 30 * 86_400
MOST_SESSIONS = 1000
TICKET_SECONDS = 60.0


class Sessions:
    """In memory, so a server that is started again asks for the token again. Of each number only a hash is kept."""

    def __init__(self) -> None:
        self._expire: OrderedDict[str, float] = OrderedDict()
        self._tickets: dict[str, float] = {}

    def begin(self) -> str:
        """The number of a new session."""
        number = secrets.token_urlsafe(24)
        self._expire[_hashed(number)] = time.monotonic() + SESSION_SECONDS
        if len(self._expire) > MOST_SESSIONS:
            self._expire.popitem(last=False)
        return number

    def is_known(self, number: str) -> bool:
        return bool(number) and self._expire.get(_hashed(number), 0.0) > time.monotonic()

    def end(self, number: str) -> None:
        self._expire.pop(_hashed(number), None)

    def ticket(self) -> str:
        """What begins a session once, within a minute: for the browser that the server itself opens."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[_hashed(ticket)] = time.monotonic() + TICKET_SECONDS
        return ticket

    def redeem(self, ticket: str) -> bool:
        return self._tickets.pop(_hashed(ticket), 0.0) > time.monotonic()


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
