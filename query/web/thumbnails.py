"""Thumbnails made before, and those being made, each once however many ask for it.

It must not know what they are of, or how they are made.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from model.errors import PictureError, PictureGone, PictureOutside

CACHE_BYTES = 64 << 20
FAILED_SECONDS = 60.0
"""A file that cannot be decoded is not tried again for so long: it takes a decoder's time up, each time."""

MOST_FAILED = 1000
Key = tuple[str, int]
"""What it is of, and its size."""


class Thumbnails:
    """As many as fit into 64 MB are kept, the longest unused going first. Used by one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0
        self._making: dict[Key, asyncio.Future[bytes]] = {}
        self._failed: OrderedDict[Key, tuple[float, PictureError]] = OrderedDict()

    async def get(self, key: Key, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The thumbnail under ``key``, made where it is not kept.

        Raises:
            PictureError: it could not be made, now or just before.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if failed := self._failed.get(key):
            until, error = failed
            if time.monotonic() < until:
                raise error
            del self._failed[key]
        if key not in self._making:
            making = asyncio.ensure_future(make())
            self._making[key] = making
            making.add_done_callback(lambda made: self._keep(key, made))
        return await asyncio.shield(self._making[key])

    def _keep(self, key: Key, made: asyncio.Future[bytes]) -> None:
        del self._making[key]
        if made.cancelled():
            return
        error = made.exception()
        if isinstance(error, PictureError) and not isinstance(error, PictureGone | PictureOutside):
            self._failed[key] = (time.monotonic() + FAILED_SECONDS, error)
            while len(self._failed) > MOST_FAILED:
                self._failed.popitem(last=False)
        if error:
            return
        data = made.result()
        self._kept[key] = data
        self._bytes += len(data)
        while self._bytes > CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def forget(self, of: str) -> None:
        """Those of one picture."""
        for key in [key for key in self._kept if key[0] == of]:
            self._bytes -= len(self._kept.pop(key))
