"""Who may ask, from where, and what a browser may do with the answers. One guard around the whole application.

Against a page of another site open in the same browser: a request whose Host names another machine (DNS
rebinding) or that comes from another origin is refused, and no answer may be read or embedded elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.errors import UsageError
from query.web import ASSETS

MIN_TOKEN = 12
HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
COOKIE_SECONDS = 30 * 86_400
OPEN_TO_ALL = ("/assets/", "/api/health")
"""Paths that need no token: the login page's style sheet, and whether the server is running."""

PAGES = ("/", "/api/docs")
"""What a person opens in a browser: there, the token is asked for."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def is_loopback(host: str) -> bool:
    """Whether a server bound there is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    """``token``: empty where none is required. ``names``: the host names by which this server may be called.

    ``addresses``: whether it may be called by any IP address too, which a rebound name never is.
    """

    token: str
    names: frozenset[str]
    addresses: bool

    @classmethod
    def decide(cls, host: str, token: str, no_token: bool, allowed: Sequence[str]) -> Access:
        """Raises UsageError where others could ask and neither a token nor ``no_token`` is given."""
        if token and no_token:
            raise UsageError("--token and --no-token exclude each other: choose one")
        if token and len(token) < MIN_TOKEN:
            raise UsageError(f"a token of {len(token)} characters can be guessed: give at least {MIN_TOKEN}")
        if token and not token.isascii():
            raise UsageError("a token is sent in a header, which takes ASCII characters only: choose another")
        for name in allowed:
            if not HOST_NAME.fullmatch(name):
                raise UsageError(f"--allow-host takes a name, such as photos.example, not {name!r}")
        local = is_loopback(host)
        if not (local or token or no_token):
            raise UsageError(
                f"at {host} others can reach the pictures: give --token (or WORDSIGHT_TOKEN), which they will need, "
                "or --no-token to let everybody in"
            )
        names = {"localhost", *(name.lower() for name in allowed)}
        if not local:
            own = socket.gethostname().lower()
            names |= {host.lower(), own, f"{own}.local"}
        return cls(token, frozenset(names), addresses=not local)

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

    @property
    def pass_key(self) -> str:
        """What the cookie holds: made from the token, which cannot be got back from it."""
        return hmac.new(self.token.encode(), b"wordsight cookie", hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware: the checks before, and the headers after."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        answer = self._answer(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """The guard's own response, where the application is not asked."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._access.knows(host):
            return refusal(
                421, f"this server is not called {host!r}: --allow-host {host.partition(':')[0]} makes it so"
            )
        if not _is_own_page(scope, headers, host):
            return refusal(403, "requests from the pages of other sites are refused")
        if self._access.token and not scope["path"].startswith(OPEN_TO_ALL):
            return self._check_token(scope, headers)
        return None

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._access.is_token(bearer.strip()):
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(scope), "")
        is_known = hmac.compare_digest(cookie.encode(), self._access.pass_key.encode())
        if scope["path"] in PAGES and scope["method"] == "GET":
            return self._log_in(scope, is_known)
        if is_known:
            return None
        return refusal(
            401, "a token is required: send it as `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}
        )

    def _log_in(self, scope: Scope, is_known: bool) -> Response | None:
        """A page asks for the token, or takes the one in its address out of it, and then keeps it in a cookie."""
        fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in fields if name == "token"]
        if is_known and not given:
            return None
        if not is_known and not any(self._access.is_token(value) for value in given):
            return FileResponse(ASSETS / "login.html", status_code=401)
        rest = urlencode([(name, value) for name, value in fields if name != "token"])
        answer = RedirectResponse(scope["path"] + ("?" + rest if rest else ""), status_code=303)
        answer.set_cookie(
            cookie_name(scope), self._access.pass_key, max_age=COOKIE_SECONDS, httponly=True, samesite="lax"
        )
        return answer


def cookie_name(scope: Scope) -> str:
    """With the port: cookies of two servers on one machine would overwrite each other."""
    server = scope.get("server")
    return f"wordsight-{server[1] if server else 0}"


def _is_own_page(scope: Scope, headers: Headers, host: str) -> bool:
    """Whether a request comes from this server's own page, or from no page at all (a person, a program)."""
    site = headers.get("sec-fetch-site")
    if site in ("cross-site", "same-site"):  # a link to the page may be followed from anywhere
        is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return is_link and scope["path"] == "/" and scope["method"] == "GET"
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form of all errors of the API."""
    return Response(json.dumps({"error": sentence}), status, headers, "application/json")
