"""What is asked of the server and how it is answered: the access log, and figures for monitoring.

It must not know questions. What could be a token never gets into either.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.errors import UsageError

SECRET = re.compile(r"(?i)((?:token|ticket|key|password)[^=&]*=)[^&]*")
BOUNDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
"""Seconds: the buckets of how long requests take."""

STDERR = "-"


@dataclass(slots=True)
class Figures:
    """Counted since the start."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: Counter[float] = field(default_factory=Counter)
    total_seconds: float = 0.0
    sent_bytes: int = 0
    in_flight: int = 0

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        self.requests[route, method, status] += 1
        self.total_seconds += seconds
        self.seconds[next((bound for bound in BOUNDS if seconds <= bound), float("inf"))] += 1


class AccessLog:
    """One line a request, in the Common Log Format with the seconds it took. ``-``: on standard error.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._file: TextIO = sys.stderr
        try:
            if path != STDERR:
                self._file = Path(path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - until the end
        except OSError as error:
            raise UsageError(f"cannot write the log {path}: {error.strerror}") from error

    def write(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        client = scope.get("client")
        when = time.strftime("%d/%b/%Y:%H:%M:%S %z")
        with suppress(OSError, ValueError):  # a full disk, or the end: no reason not to answer
            self._file.write(
                f'{client[0] if client else "-"} - - [{when}] "{scope["method"]} {logged_address(scope)} '
                f'HTTP/{scope["http_version"]}" {status} {size} {seconds:.3f}\n'
            )


def logged_address(scope: Scope) -> str:
    """Path and parameters, as they were sent, without the values of those that could be secrets."""
    path = scope.get("raw_path", b"").decode("latin-1")
    query = SECRET.sub(r"\1...", scope["query_string"].decode("latin-1"))
    text = path + ("?" + query if query else "")
    return "".join(character if " " < character <= "~" and character != '"' else "?" for character in text)


class Observer:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, figures: Figures, log: AccessLog | None) -> None:
        self._app = app
        self._figures = figures
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status, size = 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        self._figures.in_flight += 1
        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - begun
            self._figures.in_flight -= 1
            self._figures.sent_bytes += size
            route = scope.get("route")
            self._figures.add(getattr(route, "path", "other"), scope["method"], status, seconds)
            if self._log:
                self._log.write(scope, status, size, seconds)


def exposition(figures: Figures, gauges: Mapping[str, Callable[[], float]]) -> str:
    """In the text format of Prometheus."""
    lines = ["# TYPE wordsight_requests_total counter"]
    for (route, method, status), count in sorted(figures.requests.items()):
        lines.append(f'wordsight_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}')
    lines.append("# TYPE wordsight_request_seconds histogram")
    so_far = 0
    for bound in (*BOUNDS, float("inf")):
        so_far += figures.seconds[bound]
        name = "+Inf" if bound == float("inf") else f"{bound:g}"
        lines.append(f'wordsight_request_seconds_bucket{{le="{name}"}} {so_far}')
    lines += [f"wordsight_request_seconds_sum {figures.total_seconds:.6f}", f"wordsight_request_seconds_count {so_far}"]
    lines += ["# TYPE wordsight_sent_bytes_total counter", f"wordsight_sent_bytes_total {figures.sent_bytes}"]
    for name, gauge in {"requests_in_flight": lambda: figures.in_flight, **gauges}.items():
        lines += [f"# TYPE wordsight_{name} gauge", f"wordsight_{name} {gauge():g}"]
    return "\n".join([*lines, ""])
