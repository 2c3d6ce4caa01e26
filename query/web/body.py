"""A picture that a client sends: received within limits of size and time.

It must not know what is asked about it, or how it is decoded.
"""

from __future__ import annotations

import asyncio
import json
from tempfile import TemporaryFile
from typing import IO

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from model.errors import UsageError
from model.system.disk import in_mb

BODY_SECONDS = 120.0
"""For a whole body."""

LEAST_RATE = 64 << 10
"""Bytes a second: a client that sends less keeps a place from others."""

GRACE_SECONDS = 3.0
"""Before the rate counts."""

MAX_JSON_BYTES = 4096
MOST_RECEIVED = 64
MOST_OF_CLIENT = 32
MOST_WAITING = 64
CLOSE = {"Connection": "close"}
"""Where a body is not read to its end."""


async def receive(request: Request, limit: int) -> IO[bytes]:
    """The body, as a file at its beginning, which has no name.

    Raises:
        HTTPException: 413 over the limit, 408 too slow, 400 empty.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        await _fill(file, request, limit)
    except ClientDisconnect:
        file.close()
        raise HTTPException(400, "the client went away") from None
    except TimeoutError:
        file.close()
        raise HTTPException(408, "the picture arrives too slowly: try again where the line is better", CLOSE) from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _fill(file: IO[bytes], request: Request, limit: int) -> None:
    size = 0
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(GRACE_SECONDS) as time:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            file.write(part)
            time.reschedule(begun + min(BODY_SECONDS, GRACE_SECONDS + size / LEAST_RATE))
    if not size:
        raise HTTPException(400, "no picture in the body: send its file, as in `curl --data-binary @photo.jpg`")
    file.flush()


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"over {in_mb(limit)}: send a smaller picture; the server's --max-upload sets this", CLOSE
    )


def media_type(request: Request) -> str:
    """What the client says it sends. Raises HTTPException, 415, for what a form on another site could send."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind in ("application/octet-stream", "application/json"):
        return kind
    raise HTTPException(415, f"{kind or 'no content type'}: send a picture as image/jpeg, image/png and so on", CLOSE)


def name_of(kind: str) -> str:
    """A file's name for what the client says it sends, by which a HEIC picture is recognised."""
    return "upload.heic" if kind in ("image/heic", "image/heif") else "upload"


def address_in(body: IO[bytes]) -> str:
    """The address in a JSON body, ``{"url": ...}``. Raises UsageError."""
    try:
        url = json.loads(body.read(MAX_JSON_BYTES + 1))["url"]
        if not url.lower().startswith(("http://", "https://")):
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UsageError('no address in the body: send {"url": "https://..."}') from None
    return str(url)
