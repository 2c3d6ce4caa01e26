"""Who may ask, decided when the server starts: which names it goes by, and whether a token is wanted.

It must not know requests.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from model.errors import UsageError
from query.web.tokens import LEAST_BITS, entropy_bits, new_token

HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
ORIGIN = re.compile(r"https?://[\w.:\[\]-]+")


def is_loopback(host: str) -> bool:
    """Whether a server bound there is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    """``token``: empty where none is required. ``names``: the host names by which this server may be called.

    ``addresses``: whether it may be called by any IP address too, which a rebound name never is. ``origins``: of
    other pages that may ask, as `https://photos.example`.
    """

    token: str
    names: frozenset[str]
    addresses: bool
    origins: frozenset[str] = frozenset()

    @classmethod
    def decide(
        cls, host: str, token: str, no_token: bool, allowed: Sequence[str], origins: Sequence[str] = ()
    ) -> Access:
        """Raises UsageError where others could ask and neither a token nor ``no_token`` is given."""
        if token and no_token:
            raise UsageError("a token and --no-token exclude each other: choose one")
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise UsageError("a token is sent in a header, which takes ASCII characters only: choose another")
        if token and entropy_bits(token) < LEAST_BITS:
            raise UsageError(f"that token can be guessed: take a random one, such as {new_token()}")
        for name in allowed:
            if not HOST_NAME.fullmatch(name):
                raise UsageError(f"--allow-host takes a name, such as photos.example, not {name!r}")
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise UsageError(f"--cors takes an origin, such as https://photos.example, not {origin!r}")
        local = is_loopback(host)
        if not (local or token or no_token):
            raise UsageError(
                f"at {host} others can reach the pictures: set WORDSIGHT_TOKEN to a token, which they will need, such "
                f"as {new_token()}, or name a file with one by --token-file; or --no-token to let everybody in"
            )
        names = {"localhost", *(name.lower() for name in allowed)}
        if not local:
            own = socket.gethostname().lower()
            names |= {host.lower(), own, f"{own}.local"}
        return cls(token, frozenset(names), addresses=not local, origins=frozenset(origins))

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return address.is_loopback or self.addresses or name in self.names

    def is_token(self, given: str) -> bool:
        """Compared in constant time, so that the duration gives nothing of the token away."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())
