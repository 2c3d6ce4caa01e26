"""A picture that a client sends: received within limits of size and time, decoded a few at a time.

It must not know what is asked about it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from model.errors import UsageError
from model.pictures import Framed, Framing, open_framed, thumbnail
from model.system.disk import in_mb
from query.asking import Source
from query.web.files import decoding

BODY_SECONDS = 60.0
"""A slower client is not waited for."""

IN_MEMORY_BYTES = 1 << 20
"""A larger body waits in a temporary file that has no name."""

MAX_JSON_BYTES = 4096


COPY_PIXELS = 768
"""Longer side of the copy that is kept of a picture: an encoder sees some 256 of it."""

MOST_RECEIVED = 32
"""Bodies received or waiting to be decoded at once; the next is not read until one is done."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that a client sent, as small as it can be. ``copy``: a JPEG file, empty where none was wanted."""

    framed: Framed
    copy: bytes


async def receive(request: Request, limit: int) -> IO[bytes]:
    """The body, as a file at its beginning.

    Raises:
        HTTPException: 413 over the limit, 408 too slow, 400 empty.
    """
    announced = request.headers.get("content-length", "0")
    too_large = HTTPException(413, f"over {in_mb(limit)}: send a smaller picture; the server's --max-upload sets this")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                file.write(part)
        if not size:
            raise HTTPException(400, "no picture in the body: send its file, as in `curl --data-binary @photo.jpg`")
    except ClientDisconnect:
        file.close()
        raise HTTPException(400, "the client went away") from None
    except TimeoutError:
        file.close()
        raise HTTPException(408, f"the picture did not arrive within {BODY_SECONDS:.0f} s: try again") from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def media_type(request: Request) -> str:
    """What the client says it sends. Raises HTTPException, 415, for what a form on another site could send."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind in ("application/octet-stream", "application/json"):
        return kind
    raise HTTPException(415, f"{kind or 'no content type'}: send a picture as image/jpeg, image/png and so on")


def name_of(kind: str) -> str:
    """A file's name for what the client says it sends, by which a HEIC picture is recognised."""
    return "upload.heic" if kind in ("image/heic", "image/heif") else "upload"


def decode(body: IO[bytes], framing: Framing, max_megapixels: int, *, name: str, with_copy: bool) -> Sent:
    """Decoded as an ingest does, when its turn has come. Raises PictureError."""
    with decoding:
        data = body.read()
        framed = open_framed(data, framing, name=name, max_megapixels=max_megapixels)
        copy = thumbnail(data, name=name, longest=COPY_PIXELS, max_megapixels=max_megapixels) if with_copy else b""
    return Sent(framed, copy)


def fetch(body: IO[bytes]) -> tuple[str, IO[bytes]]:
    """The address in a JSON body, ``{"url": ...}``, and the picture there. Raises PictureError, UsageError."""
    try:
        source = Source(json.loads(body.read(MAX_JSON_BYTES + 1))["url"])
        if not source.is_url:
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UsageError('no address in the body: send {"url": "https://..."}') from None
    file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    file.write(source.read())
    file.seek(0)
    return source.text, file
