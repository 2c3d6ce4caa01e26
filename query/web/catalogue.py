"""All pictures of some collections that a filter lets through, in an order: for looking at any place of a long list.

It must not know requests or answers.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from ingest.stores import Collection, Filter
from model.errors import UsageError

KEPT = 8
"""Lists: one of 100,000 pictures takes about 20 MB."""

SCROLLED_AT_ONCE = 1000
MONTH = 7
"""Letters of `2019-07`."""


class Order(StrEnum):
    """``ID``: as good as shuffled, and the same every time. ``DATE``: the oldest first, those without one last."""

    ID = "id"
    DATE = "date"
    NEWEST = "-date"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Entry:
    """``place``: which of the collections. ``taken``: local time, empty where it is not known. ``path``: as shown."""

    id: UUID
    place: int
    taken: str
    path: str


@dataclass(frozen=True, slots=True)
class Month:
    """``name``: `2019-07`, empty for pictures without a date. ``offset``: of its first picture in the list."""

    name: str
    pictures: int
    offset: int


class Catalogue:
    """A list of entries, of which any part can be had."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def months(self) -> list[Month]:
        """Of a list in the order of dates."""
        months = []
        offset = 0
        for name, group in groupby(self.entries, key=lambda entry: entry.taken[:MONTH]):
            pictures = sum(1 for _ in group)
            months.append(Month(name, pictures, offset))
            offset += pictures
        return months

    def after(self, cursor: str) -> int:
        """Where the list goes on, though pictures were added or removed meanwhile. Raises UsageError."""
        offset, id = read_cursor(cursor)
        if not id:
            return offset
        if 0 < offset <= len(self) and str(self.entries[offset - 1].id) == id:
            return offset
        return next((place + 1 for place, entry in enumerate(self.entries) if str(entry.id) == id), offset)


def read_cursor(cursor: str) -> tuple[int, str]:
    """Offset, and the id of the picture before it. Raises UsageError where it is none that was given."""
    try:
        offset, id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
        if not (isinstance(offset, int) and isinstance(id, str) and 0 <= offset < 1 << 31):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UsageError("that is no cursor: give one back as an answer had it in `cursor`") from None
    return offset, id


def cursor_after(offset: int, id: str = "") -> str:
    """What leads to the entries from ``offset`` on."""
    return base64.urlsafe_b64encode(json.dumps([offset, id]).encode()).decode().rstrip("=")


class Catalogues:
    """Lists made before, the longest unused going first. Threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Catalogue] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: object, make: Callable[[], Catalogue]) -> Catalogue:
        """The list under ``key``, which holds what it depends on; one at a time is made."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = make()
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return made


def entries_of(collection: Collection, place: int, filter: Filter) -> list[Entry]:
    """Those of one collection, in the order of their ids."""
    entries = []
    for points in collection.scroll(page=SCROLLED_AT_ONCE, filter=filter):
        for point in points:  # not made a `Picture` of, which takes as long as reading it
            said = point.payload
            entries.append(Entry(point.id, place, said.get("taken") or "", said["path"]))
    return entries


def in_order(entries: Sequence[Entry], order: Order) -> Catalogue:
    """Equal ones by path, so that the list is the same every time."""
    if order is Order.ID:
        return Catalogue(sorted(entries, key=lambda entry: (entry.place, entry.id)))
    if order is Order.NAME:
        return Catalogue(sorted(entries, key=lambda entry: (entry.path, entry.place)))
    dated = sorted((one for one in entries if one.taken), key=lambda entry: (entry.taken[:19], entry.path))
    if order is Order.NEWEST:
        dated.reverse()
    undated = sorted((one for one in entries if not one.taken), key=lambda entry: entry.path)
    return Catalogue([*dated, *undated])
