"""Errors as responses: problem details (RFC 9457), each with a stable code, and the headers that all answers have.

It must not know what went wrong.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
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
CODES = {
    400: "invalid",
    401: "token-required",
    403: "refused",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    411: "length-required",
    413: "too-large",
    415: "not-a-picture",
    416: "range",
    421: "wrong-host",
    422: "cannot-be-read",
    429: "too-many",
    500: "failed",
    503: "busy",
}
"""Where an error has no code of its own."""


def problem(status: int, sentence: str, code: str = "", headers: dict[str, str] | None = None) -> Response:
    """An error as all of them are.

    Args:
        sentence: what, which value, what to do.
        code: what programs tell it by; it does not change with the sentence.
    """
    return Response(json.dumps(details(status, sentence, code)), status, headers, MEDIA_TYPE)


def details(status: int, sentence: str, code: str = "") -> dict[str, object]:
    """Of RFC 9457."""
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": sentence,
        "code": code or CODES.get(status, "failed"),
    }


def raw_problem(status: int, sentence: str, retry: int = 0) -> bytes:
    """The same as bytes, for where no request was understood; the connection ends after it."""
    body = json.dumps(details(status, sentence)).encode()
    headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close", **HEADERS}
    if retry:
        headers["Retry-After"] = str(retry)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
