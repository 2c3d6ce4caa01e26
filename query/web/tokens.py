"""Tokens: which can be guessed, one that cannot, and how often a client may guess.

It must not know requests.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

LEAST_BITS = 40
"""A client has five guesses, and then ever fewer an hour: it would take a million of them for longer than it takes to
ask for another token."""

CLASSES = {"0123456789": 10, "abcdefghijklmnopqrstuvwxyz": 26, "ABCDEFGHIJKLMNOPQRSTUVWXYZ": 26}
OTHERS = 33
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "abcdefghijklmnopqrstuvwxyz")
WORD = re.compile(r"[a-z]{4,}|[A-Z]{4,}|[A-Z][a-z]{3,}")
WORD_BITS = 2.5
"""Of a letter in what may be a word."""

KNOWN_BITS = 0.5
"""Of a character that follows from those before it."""

FREE_GUESSES = 5
LONGEST_WAIT_SECONDS = 300.0
FORGIVEN_SECONDS = 3600.0
MOST_REMEMBERED = 10_000


def new_token() -> str:
    """One of 144 bits, which looks like it, too."""
    while entropy_bits(token := secrets.token_urlsafe(18)) < LEAST_BITS:
        pass
    return token


def entropy_bits(token: str) -> float:
    """A cautious estimate of how hard a token is to guess: words, runs, rows of keys and repetitions count little."""
    in_words = {place for word in WORD.finditer(token) for place in range(*word.span())}
    bits = 0.0
    for place, character in enumerate(token):
        if place and _follows(token, place):
            bits += KNOWN_BITS
        elif place in in_words:
            bits += WORD_BITS
        else:
            bits += math.log2(next((size for known, size in CLASSES.items() if character in known), OTHERS))
    return bits


def _follows(token: str, place: int) -> bool:
    before, character = token[place - 1].lower(), token[place].lower()
    if not character.isalnum() and character in token[:place]:
        return True
    if before == character or token[place - 1 : place + 1] in token[: place - 1]:
        return True
    pairs = (before + character, character + before)
    return any(pair in row for row in ROWS for pair in pairs)


@dataclass(slots=True)
class _Guesses:
    wrong: int = 0
    last: float = 0.0


class Throttle:
    """How long a client that guessed wrongly has to wait before it may guess again."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Guesses] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds; 0 where it may guess now."""
        guesses = self._clients.get(client)
        if guesses is None or guesses.wrong < FREE_GUESSES:
            return 0.0
        pause = min(LONGEST_WAIT_SECONDS, 2.0 ** min(30, guesses.wrong - FREE_GUESSES))
        return max(0.0, guesses.last + pause - time.monotonic())

    def wrong(self, client: str) -> int:
        """Count a wrong guess; returns how many this client has made within an hour."""
        now = time.monotonic()
        guesses = self._clients.pop(client, _Guesses())
        if now - guesses.last > FORGIVEN_SECONDS:
            guesses = _Guesses()
        guesses.wrong += 1
        guesses.last = now
        self._clients[client] = guesses
        if len(self._clients) > MOST_REMEMBERED:
            self._clients.popitem(last=False)
        return guesses.wrong

    def right(self, client: str) -> None:
        """Forget its guesses."""
        self._clients.pop(client, None)
