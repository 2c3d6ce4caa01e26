"""Duplicates: groups of pictures that are one picture; vectors propose, pixels decide.

A pair is a **copy** (the same bytes), the **same** picture (another size, format, quality or brightness, in grey,
mirrored, cut a little: by its decoded pixels, `model.pictures.sameness`), or **alike** (by its vectors only: two takes
of one scene, two letters). A group is made around one picture, its first, and every other in it is so related to that
one: in a chain, where each is near to the next only, the ends may have nothing in common. Pictures are taken the best
first, so the first of a group is the one to keep. Memory grows with the number of pictures, not of pairs.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.records import Picture
from ingest.stores import VISUAL, Point, batches
from model.encoders import read_file
from model.errors import PictureError
from model.pictures import Looks, PictureFile, is_same
from query.asking.joined import Compared
from query.asking.small_copies import SmallPictures, is_small

DEFAULT_THRESHOLD = 0.9
"""Cosine from which pictures are alike. Half of those that are alike at this are not the same."""

PROPOSED = 0.4
"""Cosine from which pixels are compared: of copies that are 75 pixels wide, a fifth have less than 0.6, and so have a
few grey ones."""

MOST_PROPOSED = 32
"""Pictures whose pixels are compared with one picture's, the nearest first, and more of those that are alike."""

NEIGHBOURS = 32
"""Asked of each picture at first, and four times as many while all of them are near enough."""

PAGE = 256
LOOKS_KEPT = 2048
"""Pictures kept decoded for comparing: 0.1 MB each."""


class Kind(StrEnum):
    """What a picture is to the first of its group; from the surest to the least sure."""

    COPY = "copy"
    SAME = "same"
    ALIKE = "alike"


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in a group. ``score``: its cosine with the first one. ``kind``: what it is to that one; the first is a
    copy of itself."""

    picture: Picture
    score: float
    kind: Kind
    root: str

    @property
    def file(self) -> str:
        """The file's absolute path."""
        return os.path.join(self.root, self.picture.path)

    @property
    def is_copy(self) -> bool:
        return self.kind == Kind.COPY


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that are one, the best first: most pixels, then bytes, then the oldest file."""

    members: tuple[Member, ...]

    @property
    def kind(self) -> Kind:
        """The least sure of its members'."""
        return max((member.kind for member in self.members), key=list(Kind).index)


def find_duplicates(
    collection: Compared,
    threshold: float = DEFAULT_THRESHOLD,
    advance: Callable[[int], None] = lambda _: None,
    *,
    alike: bool = False,
) -> list[Group]:
    """Group the pictures of a collection; those that no other is the same as are in no group.

    A picture whose file is not there, or has changed since it was indexed, is no proof, and the same as none but its
    copies.

    Args:
        threshold: cosine with the first of the group from which pictures are alike.
        advance: called with how many more pictures were looked at.
        alike: also what looks alike by its vectors only.
    """
    pictures = sorted(
        (Picture.from_payload(point.payload) for page in collection.scroll() for point in page), key=_rank
    )
    copies: dict[str, list[Picture]] = {}
    for picture in pictures:
        copies.setdefault(picture.sha256, []).append(picture)
    grouped: set[str] = set()
    groups = []
    with _Judge(collection.metadata.root) as judge:
        small = SmallPictures(judge.seen([same[0] for same in copies.values() if is_small(same[0])]))
        for first, point in _in_order([same[0] for same in copies.values()], collection):
            advance(len(copies[first.sha256]))
            collection.yield_lock()
            if first.sha256 in grouped:
                continue
            near = [
                (copies[sha256][0], score)
                for sha256, score in _near(point, collection, threshold)
                if sha256 in copies and sha256 not in grouped and sha256 != first.sha256
            ]
            kinds = {first.sha256: (Kind.COPY, 1.0)}
            proposed = [pair for place, pair in enumerate(near) if place < MOST_PROPOSED or pair[1] >= threshold]
            for picture, score in judge.same_as(first, proposed):
                kinds[picture.sha256] = (Kind.SAME, score)
            others = {picture.sha256 for picture, _ in proposed} | grouped | {first.sha256}
            for picture, score in _small_ones(first, point, small, judge, others, collection):
                kinds[picture.sha256] = (Kind.SAME, score)
            for picture, score in near if alike else ():
                if score >= threshold:
                    kinds.setdefault(picture.sha256, (Kind.ALIKE, score))
            if group := _group(first, kinds, copies, collection.metadata.root):
                grouped.update(kinds)
                groups.append(group)
    return groups


def _small_ones(
    first: Picture, point: Point, small: SmallPictures, judge: _Judge, others: set[str], collection: Compared
) -> Iterator[tuple[Picture, float]]:
    """Small pictures that are the same as ``first``, and their cosine with it; none of ``others``."""
    looks = judge.looks_of(first) if small else None
    proposed = [(picture, 0.0) for picture in small.like(looks) if picture.sha256 not in others] if looks else []
    for picture, _ in judge.same_as(first, proposed):
        found = collection.retrieve([picture.id], [VISUAL]).get(picture.id)
        if found is not None:
            yield picture, float(found.vectors[VISUAL] @ point.vectors[VISUAL])


def _group(
    first: Picture, kinds: dict[str, tuple[Kind, float]], copies: dict[str, list[Picture]], root: str
) -> Group | None:
    """Of the contents in ``kinds``; None where that is one file."""
    members = [
        Member(picture, score, kind, root) for sha256, (kind, score) in kinds.items() for picture in copies[sha256]
    ]
    members.sort(key=lambda member: (member.picture.sha256 != first.sha256, _rank(member.picture)))
    return Group(tuple(members)) if len(members) > 1 else None


class _Judge:
    """Compares pictures by their pixels, and keeps those decoded last."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._kept: OrderedDict[str, Looks | None] = OrderedDict()
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))

    def __enter__(self) -> _Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def same_as(self, first: Picture, others: list[tuple[Picture, float]]) -> list[tuple[Picture, float]]:
        """Those of ``others``, with their scores, that are the same picture as ``first``."""
        others = [(other, score) for other, score in others if _may_be_one(first, other)]
        if not others:
            return []
        known = dict(zip([first, *(other for other, _ in others)], self._looks(first, others), strict=True))
        looks = known[first]
        if looks is None:
            return []

        def judge(other: Picture) -> bool:
            seen = known[other]
            return seen is not None and is_same(looks, seen)

        verdicts = self._threads.map(judge, [other for other, _ in others])
        return [pair for pair, is_one in zip(others, verdicts, strict=True) if is_one]

    def seen(self, pictures: list[Picture]) -> Iterator[tuple[Picture, Looks | None]]:
        """Each with what it looks like, which is not kept."""
        return zip(pictures, self._threads.map(self._read, pictures), strict=True)

    def looks_of(self, picture: Picture) -> Looks | None:
        return self._looks(picture, [])[0]

    def _looks(self, first: Picture, others: list[tuple[Picture, float]]) -> list[Looks | None]:
        pictures = [first, *(other for other, _ in others)]
        missing = [picture for picture in pictures if picture.sha256 not in self._kept]
        for picture, looks in zip(missing, self._threads.map(self._read, missing), strict=True):
            self._kept[picture.sha256] = looks
        found = [self._kept[picture.sha256] for picture in pictures]
        for picture in pictures:
            self._kept.move_to_end(picture.sha256)
        while len(self._kept) > LOOKS_KEPT:
            self._kept.popitem(last=False)
        return found

    def _read(self, picture: Picture) -> Looks | None:
        return read_looks(self._root / picture.path, picture)


def read_looks(file: Path, picture: Picture) -> Looks | None:
    """None where the file is not there, or is not the one that was indexed."""
    try:
        _, data = read_file(PictureFile(file.parent, file.name, picture.size, picture.mtime_ns))
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            return None
        return Looks.read(data, name=picture.path)
    except (OSError, PictureError, MemoryError):
        return None


MOST_UNLIKE_SHAPES = 1.3


def _may_be_one(one: Picture, other: Picture) -> bool:
    """By their shapes, before a file is opened."""
    ratios = one.width * other.height / max(1, one.height * other.width)
    return 1 / MOST_UNLIKE_SHAPES < ratios < MOST_UNLIKE_SHAPES


def _rank(picture: Picture) -> tuple[int, int, int, str]:
    return (-picture.width * picture.height, -picture.size, picture.mtime_ns, picture.path)


def _in_order(pictures: list[Picture], collection: Compared) -> Iterator[tuple[Picture, Point]]:
    """Each with its point; one that an ingest has removed meanwhile is left out."""
    for page in batches(pictures, PAGE):
        points = collection.retrieve([picture.id for picture in page], [VISUAL])
        yield from ((picture, points[picture.id]) for picture in page if picture.id in points)


def _near(point: Point, collection: Compared, threshold: float) -> Iterator[tuple[str, float]]:
    """Content and cosine of every picture at or above the threshold, and some below it, the nearest first."""
    limit, lowest = NEIGHBOURS, min(threshold, PROPOSED)
    while True:
        hits = collection.search(VISUAL, point.vectors[VISUAL], limit, min_score=lowest)
        if len(hits) < limit or hits[-1].score < threshold:
            return iter([(str(hit.payload["sha256"]), hit.score) for hit in hits])
        limit *= 4
