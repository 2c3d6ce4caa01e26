"""Near duplicates: groups of pictures that look the same, found through neighbour questions.

A group is made around one picture, its first, and every other in it is as near to that one as the threshold says:
in a chain, where each is near to the next only, the ends may have nothing in common. Pictures are taken the best
first, so the first of a group is the one to keep. Files of the same content are one picture here, and said to be
exact copies. Memory grows with the number of pictures, not of pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ingest.records import Picture
from ingest.stores import VISUAL, Collection, Point, batches

DEFAULT_THRESHOLD = 0.9
"""Of copies saved at quality 60, brightened by 15% or cut by 3% at each side it finds 98% (bundled encoder), and of
1,454 different photographs it takes 19 pairs for alike, half of which are (`benchmarks/duplicates.py`)."""

NEIGHBOURS = 32
"""Asked of each picture at first, and four times as many while all of them are near enough."""

PAGE = 256


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in a group. ``score``: its cosine with the first one. ``is_copy``: the content of one before it."""

    picture: Picture
    score: float
    is_copy: bool
    root: str

    @property
    def file(self) -> str:
        """The file's absolute path."""
        return os.path.join(self.root, self.picture.path)


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that look the same, the best first: most pixels, then bytes, then the oldest file."""

    members: tuple[Member, ...]


def find_duplicates(
    collection: Collection, threshold: float = DEFAULT_THRESHOLD, advance: Callable[[int], None] = lambda _: None
) -> list[Group]:
    """Group the pictures of a collection; those that resemble no other are in no group.

    Args:
        threshold: cosine with the first of the group.
        advance: told how many more pictures were looked at.
    """
    pictures = sorted(
        (Picture.from_payload(point.payload) for page in collection.scroll() for point in page), key=_rank
    )
    copies: dict[str, list[Picture]] = {}
    for picture in pictures:
        copies.setdefault(picture.sha256, []).append(picture)
    grouped: set[str] = set()
    groups = []
    for first, point in _in_order([same[0] for same in copies.values()], collection):
        advance(len(copies[first.sha256]))
        collection.yield_lock()
        if first.sha256 in grouped:
            continue
        near = {first.sha256: 1.0}
        for sha256, score in _near(point, collection, threshold):
            if sha256 in copies and sha256 not in grouped:
                near.setdefault(sha256, score)
        members = [
            Member(picture, score, picture is not copies[sha256][0], collection.metadata.root)
            for sha256, score in near.items()
            for picture in copies[sha256]
        ]
        if len(members) > 1:
            grouped.update(near)
            members.sort(key=lambda member: (member.picture.sha256 != first.sha256, _rank(member.picture)))
            groups.append(Group(tuple(members)))
    return groups


def _rank(picture: Picture) -> tuple[int, int, int, str]:
    return (-picture.width * picture.height, -picture.size, picture.mtime_ns, picture.path)


def _in_order(pictures: list[Picture], collection: Collection) -> Iterator[tuple[Picture, Point]]:
    """Each with its point; one that an ingest has removed meanwhile is left out."""
    for page in batches(pictures, PAGE):
        points = collection.retrieve([picture.id for picture in page], [VISUAL])
        yield from ((picture, points[picture.id]) for picture in page if picture.id in points)


def _near(point: Point, collection: Collection, threshold: float) -> Iterator[tuple[str, float]]:
    """Content and cosine of every picture at or above the threshold, the nearest first."""
    limit = NEIGHBOURS
    while True:
        hits = collection.search(VISUAL, point.vectors[VISUAL], limit, min_score=threshold)
        if len(hits) < limit:
            return iter([(str(hit.payload["sha256"]), hit.score) for hit in hits])
        limit *= 4
