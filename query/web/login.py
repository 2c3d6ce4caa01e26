"""Logging in and out: the token comes by POST, once, and a session takes its place.

It must not know what is then asked.
"""

from __future__ import annotations

import asyncio
import math
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from markupsafe import escape
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from model.system.events import note
from query.web import ASSETS
from query.web.access import Access
from query.web.clients import client_of
from query.web.problems import problem
from query.web.sessions import SESSION_SECONDS, Sessions
from query.web.tokens import Throttle

LOGIN, LOGOUT = "/login", "/logout"
MAX_FORM_BYTES = 4096
FORM_SECONDS = 10.0
NEVER_KEPT = ("token", "ticket")
"""Of an address: they are for nobody's history."""


class Login:
    """Who showed the token, and who guesses at it.

    Args:
        access: with a token.
    """

    def __init__(self, access: Access, sessions: Sessions) -> None:
        self._access = access
        self._sessions = sessions
        self._throttle = Throttle()

    def is_known(self, scope: Scope) -> bool:
        """Whether a session came with a request."""
        return self._sessions.is_known(_number(scope))

    def refusal(self, scope: Scope, bearer: str) -> Response | None:
        """None where the token is right."""
        if wait := self._throttle.wait(client_of(scope)):
            return _wait(wait)
        if self._is_right(bearer, scope):
            return None
        return token_required(WRONG)

    def _is_right(self, token: str, scope: Scope) -> bool:
        client = client_of(scope)
        if self._access.is_token(token):
            self._throttle.right(client)
            return True
        count = self._throttle.wrong(client)
        if count & (count - 1) == 0:  # 1, 2, 4, 8 ...: nobody can fill a disk with these lines
            note(f"wrong token from {client}: {count} so far")
        return False

    async def log_in(self, scope: Scope, request: Request) -> Response:
        """The token of a form, exchanged for a session."""
        if wait := self._throttle.wait(client_of(scope)):
            return login_page(scope, "/", f"{_too_many(wait).capitalize()}.", 429, _wait_headers(wait))
        fields = await _form(request)
        if fields is None:
            return problem(400, "the form was not understood: send `token` and, if you like, `next`")
        if not self._is_right(fields.get("token", ""), scope):
            return login_page(scope, fields.get("next", "/"), "That is not the token.")
        return self._begun(scope, fields.get("next", "/"))

    def with_ticket(self, scope: Scope, ticket: str) -> Response | None:
        """The browser that this server opened begins its session with what only it was given."""
        if not self._sessions.redeem(ticket):
            return None
        return self._begun(scope, _address(scope))

    def log_out(self, scope: Scope) -> Response:
        self._sessions.end(_number(scope))
        answer = RedirectResponse(scope.get("root_path", "") + "/", status_code=303)
        answer.delete_cookie(cookie_name(scope), httponly=True, samesite="lax", secure=_is_secure(scope))
        answer.headers["Clear-Site-Data"] = '"cache"'  # pictures may be kept for a year
        return answer

    def _begun(self, scope: Scope, then: str) -> Response:
        answer = RedirectResponse(_local(scope, then), status_code=303)
        answer.set_cookie(
            cookie_name(scope),
            self._sessions.begin(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=_is_secure(scope),
        )
        return answer


REQUIRED = "a token is required: send it as `Authorization: Bearer TOKEN`"
WRONG = "that is not the token: this server's owner has it"


def token_required(why: str = REQUIRED) -> Response:
    return problem(
        401,
        why,
        headers={"WWW-Authenticate": 'Bearer realm="wordsight"'},
    )


def login_page(
    scope: Scope, then: str, why: str = "", status: int = 401, headers: dict[str, str] | None = None
) -> Response:
    """What asks for the token. ``then``: the address shown after it. ``why``: it is asked for again."""
    text = (ASSETS / "login.html").read_text()
    for place, value in (("NEXT", _local(scope, then)), ("ROOT", scope.get("root_path", "")), ("WHY", why)):
        text = text.replace(place, str(escape(value)))
    return HTMLResponse(text.replace(' role="alert" hidden', ' role="alert"') if why else text, status, headers)


def asked_page(scope: Scope) -> Response:
    """The login page in the place of a page."""
    return login_page(scope, _address(scope))


def without_secrets(scope: Scope) -> Response | None:
    """A page's address without what should not be in it, where it is."""
    fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if not any(name in NEVER_KEPT for name, _ in fields):
        return None
    return RedirectResponse(_address(scope), status_code=303)


def ticket_of(scope: Scope) -> str:
    return str(dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("ticket", ""))


def cookie_name(scope: Scope) -> str:
    """With the port: cookies of two servers on one machine would overwrite each other."""
    server = scope.get("server")
    return f"wordsight-{server[1] if server else 0}"


def _number(scope: Scope) -> str:
    return str(cookie_parser(Headers(scope=scope).get("cookie", "")).get(cookie_name(scope), ""))


def _is_secure(scope: Scope) -> bool:
    return str(scope["scheme"]) == "https"


def _address(scope: Scope) -> str:
    fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    rest = urlencode([(name, value) for name, value in fields if name not in NEVER_KEPT])
    return quote(scope["path"]) + ("?" + rest if rest else "")


def _local(scope: Scope, address: str) -> str:
    """An address of this server; its first page in the place of any other."""
    root = str(scope.get("root_path", "")) + "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return root
    is_own = address.startswith("/") and not (parts.scheme or parts.netloc or address.startswith(("//", "/\\")))
    return address if is_own and address.isprintable() else root


def _wait(seconds: float) -> Response:
    return problem(429, _too_many(seconds), headers=_wait_headers(seconds))


def _too_many(seconds: float) -> str:
    return f"too many wrong tokens: wait {math.ceil(seconds)} s"


def _wait_headers(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds)), "Connection": "close"}


async def _form(request: Request) -> dict[str, str] | None:
    data = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > MAX_FORM_BYTES:
                    return None
        return dict(parse_qsl(data.decode(), keep_blank_values=True))
    except (TimeoutError, ClientDisconnect, ValueError):
        return None
