"""Whom the guard of the web server lets in: each rule by itself, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from model.errors import UsageError
from query.web.access import Access
from query.web.security import Guard
from query.web.sessions import Sessions

TOKEN = "correct-horse-battery-staple"
HOST = "127.0.0.1:8000"


def status(access: Access, path: str = "/api/v1/text", *, method: str = "GET", query: str = "", **headers: str) -> int:
    """Of the guard's answer; 200 where it asks the application."""
    sent = {"host": HOST, **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "server": ("127.0.0.1", 8000),
    }
    guard = Guard(lambda *_: pytest.fail("not asked"), access, SESSIONS)
    answer = asyncio.run(guard._answer(scope, lambda: pytest.fail("not read")))
    return 200 if answer is None else answer.status_code


def open_to(host: str = "127.0.0.1", token: str = "", *, no_token: bool = False) -> Access:
    return Access.decide(host, token, no_token, ())


LOCAL = open_to()
GUARDED = open_to(token=TOKEN)
SESSIONS = Sessions()
NUMBER = SESSIONS.begin()
LINK = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        (LINK, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "10.0.0.1:8000"}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.9.9.9"}, 200),
    ],
)
def test_who_may_ask_without_a_token(headers: dict[str, str], expected: int) -> None:
    assert status(LOCAL, **{name.lower(): value for name, value in headers.items()}) == expected


def test_a_link_may_be_followed_to_the_page_and_to_nothing_else() -> None:
    assert status(LOCAL, "/", **LINK) == 200
    assert status(LOCAL, "/", method="POST", **LINK) == 403
    assert status(LOCAL, "/api/docs", **LINK) == 403
    assert status(LOCAL, "/", **{**LINK, "Sec_Fetch_Dest": "iframe"}) == 403
    assert status(LOCAL, "/", **{**LINK, "Sec_Fetch_Mode": "no-cors"}) == 403


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/api/v1/text", {}, 401),
        ("/api/v1/healthy", {}, 401),
        ("/api/v1/health", {}, 200),
        ("/assets/style.css", {}, 200),
        ("/api/v1/text", {"authorization": f"Bearer {TOKEN}"}, 200),
        ("/api/v1/text", {"authorization": f"bearer {TOKEN}"}, 200),
        ("/api/v1/text", {"authorization": f"Basic {TOKEN}"}, 401),
        ("/api/v1/text", {"authorization": TOKEN}, 401),
        ("/api/v1/text", {"authorization": "Bearer wrong-horse-battery"}, 401),
        ("/api/v1/text", {"authorization": "Bearer "}, 401),
        ("/api/v1/text", {"cookie": f"wordsight-8000={TOKEN}"}, 401),
        ("/api/v1/text", {"cookie": f"wordsight-8000={NUMBER}"}, 200),
        ("/api/v1/text", {"cookie": f"wordsight-8001={NUMBER}"}, 401),
        ("/", {}, 401),
        ("/", {"cookie": f"wordsight-8000={NUMBER}"}, 200),
        ("/api/docs", {}, 401),
    ],
)
def test_who_may_ask_where_a_token_is_wanted(path: str, headers: dict[str, str], expected: int) -> None:
    assert status(GUARDED, path, **headers) == expected


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/", f"token={TOKEN}", 303),
        ("/", "token=wrong-horse-battery", 303),
        ("/", f"q=cat&token={TOKEN}", 303),
        ("/api/v1/text", f"token={TOKEN}", 401),  # it would stand in every log
    ],
)
def test_the_token_in_an_address_is_taken_nowhere(path: str, query: str, expected: int) -> None:
    assert status(GUARDED, path, query=query) == expected


def test_a_server_for_others_is_called_by_any_address_and_by_no_other_name() -> None:
    shared = open_to("0.0.0.0", no_token=True)
    assert status(shared, host="192.168.1.20:8000") == 200
    assert status(shared, host="evil.example") == 421
    with pytest.raises(UsageError, match="others can reach the pictures"):
        open_to("0.0.0.0")
