"""Several collections of pictures as one, to find what is in more than one of them.

A picture is called by its path from the folder that all their datasets lie in, and one that two collections hold is
there once. It must not know what is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import UUID

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SCROLL_PAGE, Collection, Point
from model.errors import UsageError


class Compared(Protocol):
    """Pictures that are compared with each other: a collection, or several."""

    metadata: CollectionMetadata

    def count(self) -> int: ...

    def scroll(self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE) -> Iterator[list[Point]]: ...

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]: ...

    def yield_lock(self) -> None: ...


def join_collections(collections: Sequence[Collection]) -> Compared:
    """One collection as it is, and several as one.

    Raises:
        UsageError: their vectors cannot be compared, or no folder holds all their datasets.
    """
    return collections[0] if len(collections) == 1 else _Joined(collections)


class _Joined:
    """``metadata`` is that of the first, with the folder that all datasets lie in as its root."""

    def __init__(self, collections: Sequence[Collection]) -> None:
        first = collections[0]
        for other in collections[1:]:
            if other.metadata.encoder_sha256 != first.metadata.encoder_sha256:
                raise UsageError(
                    f"{first.name!r} was made with encoder {first.metadata.encoder} and {other.name!r} with "
                    f"{other.metadata.encoder}: vectors of two models cannot be compared"
                )
        roots = [collection.metadata.root for collection in collections]
        try:
            root = os.path.commonpath(roots)
        except ValueError as error:
            raise UsageError(f"no folder holds all of {', '.join(roots)}: compare what lies on one drive") from error
        self.metadata = replace(first.metadata, root=root)
        self._parts = [
            (collection, Path(collection.metadata.root).relative_to(root).as_posix()) for collection in collections
        ]
        self._ids = {
            here: (collection, own)
            for collection, folder in reversed(self._parts)
            for page in collection.scroll()
            for here, own in ((_picture(point, folder).id, point.id) for point in page)
        }

    def count(self) -> int:
        return len(self._ids)

    def scroll(self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE) -> Iterator[list[Point]]:
        for collection, folder in self._parts:
            for there in collection.scroll(vectors, page):
                points = [_under(point, folder) for point in there]
                yield [point for point in points if self._ids.get(point.id, (None,))[0] is collection]

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        wanted = [id for id in ids if id in self._ids]
        found: dict[UUID, Point] = {}
        for collection, folder in self._parts:
            own = [self._ids[id][1] for id in wanted if self._ids[id][0] is collection]
            for point in collection.retrieve(own, vectors).values():
                there = _under(point, folder)
                found[there.id] = there
        return {id: found[id] for id in wanted if id in found}

    def yield_lock(self) -> None:
        for collection, _ in self._parts:
            collection.yield_lock()


def _picture(found: Point, folder: str) -> Picture:
    """With its path from the folder of all; ``folder``: that of its own dataset there, ``.`` where it is the same."""
    picture = Picture.from_payload(found.payload)
    return picture if folder == "." else replace(picture, path=f"{folder}/{picture.path}")


def _under(point: Point, folder: str) -> Point:
    picture = _picture(point, folder)
    return replace(point, id=picture.id, payload=picture.to_payload())
