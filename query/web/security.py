"""The guard around the whole application: the checks before it, and what a browser may do with its answers.

Against a page of another site open in the same browser: a request whose Host names another machine (DNS
rebinding) or that comes from another origin is refused, and no answer may be read or embedded elsewhere.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query.web.access import Access
from query.web.login import (
    LOGIN,
    LOGOUT,
    Login,
    asked_page,
    ticket_of,
    token_required,
    without_secrets,
)
from query.web.problems import HEADERS, problem
from query.web.sessions import Sessions

OPEN_TO_ALL = ("/livez", "/readyz", "/api/v1/health")
"""Paths that need no token: whether the server is running."""

OPEN_FOLDER = "/assets/"
"""The login page's style sheet, and the rest of the page's files, which hold nothing of anybody."""

PAGES = ("/", "/api/docs")
"""What a person opens in a browser: there, the token is asked for."""

CORS_METHODS = "GET, HEAD, POST, DELETE"
CORS_HEADERS = "Authorization, Content-Type, If-None-Match, Range"
CORS_SECONDS = "600"


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions) -> None:
        self._app = app
        self._access = access
        self._login = Login(access, sessions) if access.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        origin = Headers(scope=scope).get("origin", "")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", self._kept(scope))
                self._allow(origin, headers)
            await send(message)

        answer = await self._answer(scope, receive) or self._app
        await answer(scope, receive, send_with_headers)

    def _kept(self, scope: Scope) -> str:
        """Behind a token a page is not kept at all: the way back in the browser would show it to whoever comes next."""
        return "no-store" if self._login and route_path(scope) in PAGES else "private, no-cache"

    def _allow(self, origin: str, headers: MutableHeaders) -> None:
        """What a page of another origin needs to read the answer, where the owner named it."""
        if not self._access.origins:
            return
        headers.add_vary_header("Origin")
        if origin in self._access.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "ETag, Location, Retry-After, Content-Range"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """The guard's own response, where the application is not asked."""
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:  # two servers could read it as two requests
            return problem(400, "Content-Length and Transfer-Encoding contradict each other", headers=CLOSE)
        host = headers.get("host", "")
        if not self._access.knows(host):
            name = host.partition(":")[0]
            return problem(421, f"this server is not called {host!r}: --allow-host {name} makes it so")
        origin = headers.get("origin")
        if origin in self._access.origins and route_path(scope).startswith("/api/"):
            if scope["method"] == "OPTIONS":
                return _preflight()
        elif not is_origin(origin):
            return problem(400, f"{str(origin)[:100]!r} is no origin")
        elif not _is_own_page(scope, headers, host):
            return problem(403, "requests from the pages of other sites are refused", "other-site")
        if self._login is None:
            return _no_login(scope)
        return await self._checked(self._login, scope, headers, receive)

    async def _checked(self, login: Login, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        path, method = route_path(scope), scope["method"]
        if path == LOGIN and method == "POST":
            return await login.log_in(scope, Request(scope, receive))
        if path == LOGOUT and method == "POST":
            return login.log_out(scope)
        if path in OPEN_TO_ALL or path.startswith(OPEN_FOLDER):
            return None
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return login.refusal(scope, bearer.strip())
        is_page = path in PAGES and method == "GET"
        if is_page and (ticket := ticket_of(scope)) and (begun := login.with_ticket(scope, ticket)):
            return begun
        if is_page and (moved := without_secrets(scope)):
            return moved
        if login.is_known(scope):
            return None
        return asked_page(scope) if is_page else token_required()


CLOSE = {"Connection": "close"}


def _no_login(scope: Scope) -> Response | None:
    path = route_path(scope)
    if path in (LOGIN, LOGOUT):
        return problem(404, "this server asks for no token")
    return without_secrets(scope) if path in PAGES and scope["method"] == "GET" else None


def route_path(scope: Scope) -> str:
    """A request's path without the one below which a proxy serves all."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", ""))) or "/"


def _preflight() -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": CORS_METHODS,
            "Access-Control-Allow-Headers": CORS_HEADERS,
            "Access-Control-Max-Age": CORS_SECONDS,
        },
    )


def is_origin(origin: str | None) -> bool:
    """Whether a header of that name can be one at all."""
    try:
        urlsplit(origin or "")
    except ValueError:
        return False
    return True


def _is_own_page(scope: Scope, headers: Headers, host: str) -> bool:
    """Whether a request comes from this server's own page, or from no page at all (a person, a program)."""
    site = headers.get("sec-fetch-site")
    if site in ("cross-site", "same-site"):  # a link to the page may be followed from anywhere
        is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return is_link and route_path(scope) == "/" and scope["method"] == "GET"
    origin = headers.get("origin")
    if origin == "null" and site == "same-origin":  # so a form is sent where no referrer is
        return True
    return origin is None or urlsplit(origin).netloc == host
