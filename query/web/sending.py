"""A file sent as it is: whole or a part of it, never more than was announced, and not to those who have it.

It must not know which file.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from query.web.problems import problem

CHUNK_BYTES = 1 << 18
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
"""One part, which is all that is given; several are answered with the whole (RFC 9110, 14.2)."""


class FileSent(Response):
    """The response. It closes the file, whatever happens.

    Args:
        headers: beside those of its size and version.
    """

    def __init__(self, file: IO[bytes], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers, media_type)
        self._file = file
        status = os.fstat(file.fileno())
        self._size = status.st_size
        self.tag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
        self.headers["ETag"] = self.tag
        self.headers["Accept-Ranges"] = "bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            headers = Headers(scope=scope)
            if is_known(self.tag, headers.get("if-none-match")):
                await Response(status_code=304, headers={"ETag": self.tag})(scope, receive, send)
                return
            part = self._part(headers)
            if part is None:
                unsatisfied = {"Content-Range": f"bytes */{self._size}"}
                refused = problem(416, f"the file has {self._size} bytes", headers=unsatisfied)
                await refused(scope, receive, send)
                return
            begin, end = part
            self.headers["Content-Length"] = str(end - begin)
            status = 200
            if (begin, end) != (0, self._size):
                status = 206
                self.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{self._size}"
            await send({"type": "http.response.start", "status": status, "headers": self.raw_headers})
            await self._send(begin, end - begin, receive, send)

    def _part(self, headers: Headers) -> tuple[int, int] | None:
        """First byte, and the one after the last; None where there are none."""
        asked = RANGE.fullmatch(headers.get("range", ""))
        if not asked or asked.group() == "bytes=-" or headers.get("if-range", self.tag) != self.tag:
            return 0, self._size
        first, last = asked.groups()
        if not first:
            return (max(0, self._size - int(last)), self._size) if int(last) and self._size else None
        begin = int(first)
        end = min(self._size, int(last) + 1) if last else self._size
        if last and int(last) < begin:
            return 0, self._size
        return (begin, end) if begin < self._size else None

    async def _send(self, begin: int, size: int, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await run_in_threadpool(self._file.seek, begin)
            while not gone.done():
                chunk = await run_in_threadpool(self._file.read, min(CHUNK_BYTES, size))
                size -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": bool(size)})
                if not size or not chunk:  # or it was cut short meanwhile: the connection then ends, which tells
                    return
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def is_known(tag: str, known: str | None) -> bool:
    """Whether a client has what bears this tag, by its If-None-Match."""
    tags = [one.strip().removeprefix("W/") for one in (known or "").split(",")]
    return tag in tags or tags == ["*"]


def tagged(request: Request, data: bytes, media_type: str, tag: str, headers: dict[str, str]) -> Response:
    """A small answer with a tag; empty where the client has it."""
    quoted = f'"{tag}"'
    if is_known(quoted, request.headers.get("if-none-match")):
        return Response(status_code=304, headers={"ETag": quoted, **headers})
    return Response(data, media_type=media_type, headers={"ETag": quoted, **headers})
