"""Duplicates: groups of pictures that are one picture; vectors propose, pixels decide.

A pair is a **copy** (the same bytes), the **same** picture (another size, format, quality or brightness, in grey,
mirrored, cut a little: by its decoded pixels, `model.pictures.sameness`), or **alike** (by its vectors only: two takes
of one scene, two letters). A group is made around one picture, its first, and every other in it is so related to that
one: in a chain, where each is near to the next only, the ends may have nothing in common. Pictures are taken the best
first, so the first of a group is the one to keep. Memory grows with the number of pictures, not of pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ingest.records import Picture
from query.asking.gathering import gathered
from query.asking.joined import Compared
from query.asking.judging import Judge
from query.asking.nearest import Order
from query.asking.proposing import Proposing

DEFAULT_THRESHOLD = 0.9
"""Cosine from which pictures are alike. Half of those that are alike at this are not the same."""

PROPOSED = 0.4
"""Cosine from which pixels are compared: of copies that are 75 pixels wide, a fifth have less than 0.6, and so have a
few grey ones."""

MOST_PROPOSED = 32
"""Pictures whose pixels are compared with one picture's, the nearest first, and more of those that are alike."""


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
    with gathered(collection) as all:
        contents = _contents(all.pictures)
        rows = np.array([same[0] for same in contents], np.int64)
        order = Order(all.vectors, rows)
        groups = []
        with Judge(collection.metadata.root, all, rows) as judge:
            for first, kinds in _related(order, judge, threshold, alike=alike):
                advance(len(contents[first]))
                collection.yield_lock()
                copies = {place: [all.pictures[row] for row in contents[place]] for place in kinds}
                if group := _group(first, kinds, copies, collection.metadata.root):
                    groups.append(group)
    return groups


def _contents(pictures: Sequence[Picture]) -> list[list[int]]:
    """Where the pictures of each content are, the best first; the contents in the order of their best pictures."""
    contents: dict[str, list[int]] = {}
    for row in sorted(range(len(pictures)), key=lambda row: _rank(pictures[row])):
        contents.setdefault(pictures[row].sha256, []).append(row)
    return list(contents.values())


Kinds = dict[int, tuple[Kind, float]]
"""What pictures are to a first one, and their cosines with it; by their places among the contents."""


def _related(order: Order, judge: Judge, threshold: float, *, alike: bool) -> Iterator[tuple[int, Kinds]]:
    """Of every picture, the best first, what is related to it and to none before; of those, nothing."""
    grouped = np.zeros(len(judge.pictures), bool)
    proposing = Proposing(order, judge, MOST_PROPOSED, min(threshold, PROPOSED), threshold)
    for proposed in proposing.each(grouped):
        first = proposed.first
        if grouped[first]:
            yield first, {}
            continue
        kinds: Kinds = {first: (Kind.COPY, 1.0)}
        for other in judge.same_as(first, [place for place in proposed.possible if not grouped[place]]):
            kinds[other] = (Kind.SAME, order.cosine(first, other))
        if alike:
            near = zip(proposed.near.places.tolist(), proposed.near.cosines.tolist(), strict=True)
            for other, cosine in near:
                if cosine >= threshold and not grouped[other]:
                    kinds.setdefault(other, (Kind.ALIKE, cosine))
        if len(kinds) > 1:
            grouped[list(kinds)] = True
        yield first, kinds


def _group(first: int, kinds: Kinds, copies: dict[int, list[Picture]], root: str) -> Group | None:
    """Of the contents in ``kinds``; None where that is one file."""
    members = [
        Member(picture, score, kind, root) for place, (kind, score) in kinds.items() for picture in copies[place]
    ]
    members.sort(key=lambda member: (member.picture.sha256 != copies[first][0].sha256, _rank(member.picture)))
    return Group(tuple(members)) if len(members) > 1 else None


def _rank(picture: Picture) -> tuple[int, int, int, str]:
    return (-picture.width * picture.height, -picture.size, picture.mtime_ns, picture.path)
