"""The token: where it may be, how it is shown, and what happens to those who guess at it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from model.errors import UsageError
from query.web import tokens
from query.web.access import Access
from query.web.login import LOGIN
from query.web.observing import logged_address
from query.web.sessions import Sessions
from query.web.tokens import LEAST_BITS, Throttle, entropy_bits, new_token
from tests.commands import command, refused
from tests.query.conftest import Photos
from tests.query.test_web_api import problem
from tests.query.test_web_security import TOKEN, access, ask
from tests.serving import serve, serving


def log_in(client: httpx.Client, token: str, then: str = "/") -> httpx.Response:
    return client.post(LOGIN, data={"token": token, "next": then})


def test_the_token_comes_by_post_and_never_by_an_address(photos: Photos) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        stripped = client.get("/", params={"token": TOKEN, "q": "beach + sea"})
        assert (stripped.status_code, stripped.headers["location"]) == (303, "/?q=beach+%2B+sea")
        assert not stripped.cookies
        asked = client.get("/", params={"q": "beach + sea"})
        assert asked.status_code == 401
        assert 'value="/?q=beach+%2B+sea"' in asked.text
        wrong = log_in(client, "wrong-horse-battery", "/?q=cat")
        assert wrong.status_code == 401
        assert ">That is not the token.<" in wrong.text
        assert ' role="alert" hidden>' in asked.text
        assert not wrong.cookies
        right = log_in(client, TOKEN, "/?q=cat")
        assert (right.status_code, right.headers["location"]) == (303, "/?q=cat")
        assert ask(client) == 200  # the client keeps cookies
        page = client.get("/", params={"q": "cat"})
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")


def test_a_cookie_is_a_number_that_ends_and_has_nothing_to_do_with_the_token(photos: Photos) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        cookies = [log_in(client, TOKEN).headers["set-cookie"] for _ in range(2)]
        for cookie in cookies:
            assert TOKEN not in cookie
            assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
            assert "Secure" not in cookie
            assert re.search(r"Max-Age=\d{5,}", cookie)
        assert cookies[0].split(";")[0] != cookies[1].split(";")[0]
        behind_tls = client.post(LOGIN, data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
        assert "Secure" in behind_tls.headers["set-cookie"]


def test_logging_out_ends_the_session_for_whoever_has_its_cookie(photos: Photos) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        log_in(client, TOKEN)
        kept = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        assert ask(client) == 200
        out = client.post("/logout")
        assert (out.status_code, out.headers["clear-site-data"]) == (303, '"cache"')
        assert ask(client) == 401
        assert ask(client, Cookie=kept) == 401
    with serving(photos.store, "photos") as client:
        problem(client.post("/logout"), 404, "asks for no token")


@pytest.mark.parametrize(
    "then",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http://[", "\r\nx: y", ""],
)
def test_nobody_is_sent_elsewhere_after_logging_in(photos: Photos, then: str) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        assert log_in(client, TOKEN, then).headers["location"] == "/"


def test_guesses_are_throttled_and_told(photos: Photos, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(photos.store, "photos", access(token=TOKEN)) as client:
        for _ in range(3):
            assert log_in(client, "wrong").status_code == 401
        for _ in range(2):
            told = client.get("/api/v1/status", headers={"Authorization": "Bearer wrong"})
            problem(told, 401, "that is not the token")
        too_many = log_in(client, TOKEN)
        assert too_many.status_code == 429
        assert ">Too many wrong tokens: wait " in too_many.text  # beside the form
        assert int(too_many.headers["retry-after"]) >= 1
        problem(
            client.get("/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"}), 429, "too many wrong tokens"
        )
    told = capsys.readouterr().err
    assert "wrong token from 127.0.0.1: 4 so far" in told
    assert TOKEN not in told


def test_the_more_guesses_the_longer_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    throttle = Throttle()
    waits = []
    for _ in range(16):
        throttle.wrong("a")
        waits.append(throttle.wait("a"))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert throttle.wait("b") == 0
    now += 300
    assert throttle.wait("a") == 0
    now += 3600
    assert throttle.wrong("a") == 1
    throttle.right("a")
    assert throttle.wait("a") == 0


WEAK = [
    "short", "aaaaaaaaaaaaaaaaaaaa", "password1234", "passwordpassword", "1234567890123456", "qwertyuiopasdfgh",
    "administrator1", "abcdefghijklmnop", "2026-12-01-2026", "hunter2hunter2hunter2",
]  # fmt: skip


@pytest.mark.parametrize("token", WEAK)
def test_a_token_that_can_be_guessed_is_refused_and_another_offered(token: str) -> None:
    with pytest.raises(UsageError, match="can be guessed: take a random one, such as ") as told:
        access("0.0.0.0", token=token)
    offered = str(told.value).split()[-1]
    assert access("0.0.0.0", token=offered).token == offered


def test_every_token_offered_is_taken() -> None:
    made = {new_token() for _ in range(200)}
    assert len(made) == 200
    assert all(entropy_bits(token) >= LEAST_BITS for token in made)
    assert entropy_bits(TOKEN) >= LEAST_BITS


def test_a_token_on_the_command_line_is_refused_since_others_see_it(photos: Photos, tmp_path: Path) -> None:
    at = ["--host", "0.0.0.0", "--store", photos.store.root]
    refused(command("query", "serve", *at, "--token", TOKEN), "--token-file", "WORDSIGHT_TOKEN")
    refused(command("query", "serve", *at, "--token-file", tmp_path / "none"), "cannot read the token")
    (tmp_path / "empty").write_text("\n")
    refused(command("query", "serve", *at, "--token-file", tmp_path / "empty"), "no token in")
    (tmp_path / "weak").write_text("weak\n")
    refused(command("query", "serve", *at, "--token-file", tmp_path / "weak", "--no-token"), "exclude")


def test_the_browser_that_is_opened_gets_in_and_the_token_is_in_no_process_list(photos: Photos, tmp_path: Path) -> None:
    """`--open` with a browser that writes down what it was started with."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    log = tmp_path / "access.log"
    options = ["--store", photos.store.root, "--token-file", tmp_path / "token", "--open", "--log", log]
    with serve(*options, env={**os.environ, "BROWSER": f"{browser} %s"}) as served:
        from tests.waiting import wait_until

        wait_until(opened.exists)
        address = opened.read_text()
        assert TOKEN not in address
        line = subprocess.run(["ps", "-o", "args=", "-p", str(served.process.pid)], capture_output=True, text=True)
        assert TOKEN not in line.stdout
        with httpx.Client(base_url=served.address) as client:
            begun = client.get(address)
            assert (begun.status_code, begun.headers["location"]) == (303, "/")
            assert ask(client) == 200
        assert httpx.get(address, follow_redirects=False).headers["location"] == "/"  # it worked once
        assert httpx.get(served.address).status_code == 401
        assert httpx.post(f"{served.address}login?token={TOKEN}", data={"token": TOKEN}).status_code == 303
        wait_until(lambda: "POST" in log.read_text())  # written once all of the answer is sent
    lines = log.read_text()
    assert TOKEN not in lines
    assert address.partition("ticket=")[2] not in lines
    assert re.search(r'^127\.0\.0\.1 - - \[[^]]+\] "GET /api/v1/text\?q=cat HTTP/1.1" 200 \d+ \d+\.\d{3}$', lines, re.M)
    assert '"POST /login?token=... HTTP/1.1" 303' in lines


def test_what_is_logged_of_an_address_breaks_no_line() -> None:
    scope = {"raw_path": b'/a"\n\xff', "query_string": b"q=1&api_key=abc&Token=x\r\n", "type": "http"}
    assert logged_address(scope) == "/a???q=1&api_key=...&Token=..."[:3] + "??" + "?q=1&api_key=...&Token=..."


def test_a_log_that_cannot_be_written_is_told(photos: Photos, tmp_path: Path) -> None:
    refused(command("query", "serve", "--store", photos.store.root, "--log", tmp_path / "no" / "log"), "cannot write")


def test_pages_of_an_origin_that_was_named_may_ask(photos: Photos) -> None:
    named = Access.decide("127.0.0.1", "", no_token=False, allowed=(), origins=["https://photos.example"])
    with serving(photos.store, "photos", named) as client:
        theirs = {"Origin": "https://photos.example", "Sec-Fetch-Site": "cross-site"}
        answer = client.get("/api/v1/text?q=cat", headers=theirs)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://photos.example"
        preflight = client.options("/api/v1/uploads", headers={**theirs, "Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert ask(client, Origin="https://evil.example") == 403
        assert client.get("/", headers=theirs).status_code == 403
    with pytest.raises(UsageError, match="--cors takes an origin"):
        Access.decide("127.0.0.1", "", no_token=False, allowed=(), origins=["*"])


def test_sessions_of_one_server_are_none_of_another() -> None:
    one, other = Sessions(), Sessions()
    assert one.is_known(number := one.begin())
    assert not other.is_known(number)
    assert not one.is_known("")
    ticket = one.ticket()
    assert not other.redeem(ticket)
    assert one.redeem(ticket)
    assert not one.redeem(ticket)
