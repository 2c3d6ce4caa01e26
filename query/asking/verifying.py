"""Duplicates as their files are now. What is listed may be removed by whoever reads the list, so nothing is listed that
was not looked at just before.

The first of a group is the one that is kept: it is read as a whole, and it is a file of its own. Every other one is
there as it was indexed, and neither a link nor another name of the first. It must not know how groups are found or
shown.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ingest.stores import SCORE_DIGITS, VISUAL, Filter
from model.pictures import Looks, is_same
from model.system.atomic import sha256_file
from model.system.events import note, progress
from query.asking.duplicates import Group, Kind, Member
from query.asking.joined import Compared
from query.asking.judging import read_looks

THREADS = 8

Rank = Callable[[Member], int | bool]


class Fault(StrEnum):
    """Why a file is not listed; as the note says it."""

    GONE = "gone"
    CHANGED = "changed since they were indexed"
    UNREADABLE = "not readable"
    LINK = "links"
    SAME_FILE = "other names of the first file"
    UNLIKE = "not the same as the one preferred"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is left of a group: the one to keep, and the others."""

    first: Member
    others: tuple[Member, ...]


def verify(
    groups: Sequence[Group],
    collection: Compared,
    *,
    rank: Rank = lambda _: 0,
    filter: Filter = Filter(),
    threshold: float = 1.0,
) -> list[Group]:
    """The groups as their files are now; what is left out is noted.

    Args:
        rank: the lowest is first in its group; equal ones keep their order. A damaged picture is first only where all
            are damaged.
        filter: only these are listed; the first of their group may be another.
        threshold: cosine from which pictures are alike.
    """
    faults: Counter[Fault] = Counter()
    verified = []
    with ThreadPoolExecutor(THREADS) as threads, progress("verifying", len(groups), unit="groups") as shown:
        for group, (kept, found) in zip(groups, threads.map(lambda group: _look_at(group, rank), groups), strict=True):
            shown.advance()
            faults.update(found)
            if kept is None:
                continue
            others = _as_to(kept.first, kept.others, group.members[0], collection, threshold)
            faults[Fault.UNLIKE] += len(kept.others) - len(others)
            listed = [member for member in others if _passes(member, filter)]
            if listed:
                first = replace(kept.first, score=1.0, kind=Kind.COPY)
                verified.append(Group((first, *listed)))
    if told := ", ".join(f"{fault} {faults[fault]}" for fault in Fault if faults[fault]):
        note(f"files left out of the duplicates: {told}")
    return verified


def _look_at(group: Group, rank: Rank) -> tuple[_Kept | None, list[Fault]]:
    """Which member is kept and which others are there; and why the rest is not."""
    faults: list[Fault] = []
    there: list[tuple[Member, tuple[int, int]]] = []
    for member in group.members:
        try:
            there.append((member, _identity(member)))
        except _Faulty as faulty:
            faults.append(faulty.fault)
    there.sort(key=lambda pair: (bool(pair[0].picture.damaged), rank(pair[0])))
    while len(there) > 1:
        first, identity = there.pop(0)
        if _sha256(first.file) != first.picture.sha256:  # the last copy may be this one: all of it is read
            faults.append(Fault.UNREADABLE)
            continue
        others = tuple(member for member, its in there if its != identity)
        faults += [Fault.SAME_FILE] * (len(there) - len(others))
        return (_Kept(first, others) if others else None), faults
    return None, faults


class _Faulty(Exception):  # noqa: N818 - it never leaves this file
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def _identity(member: Member) -> tuple[int, int]:
    """The number of a file that is there as it was indexed; two names of one file have the same.

    Raises:
        _Faulty: it is not, or is a link, or lies behind one.
    """
    path = Path(member.picture.path)
    if path.anchor or ".." in path.parts:  # a server may say anything: no file outside the dataset is listed
        raise _Faulty(Fault.LINK)
    try:
        status = os.stat(member.file)
        is_link = os.path.realpath(member.file) != os.path.join(os.path.realpath(member.root), member.picture.path)
    except (FileNotFoundError, NotADirectoryError):
        raise _Faulty(Fault.GONE) from None
    except (OSError, ValueError):
        raise _Faulty(Fault.UNREADABLE) from None
    if is_link:
        raise _Faulty(Fault.LINK)
    is_as_it_was = (status.st_size, status.st_mtime_ns) == (member.picture.size, member.picture.mtime_ns)
    if not stat.S_ISREG(status.st_mode) or (not is_as_it_was and _sha256(member.file) != member.picture.sha256):
        raise _Faulty(Fault.CHANGED)
    return status.st_dev, status.st_ino


def _sha256(file: str) -> str | None:
    """Of a file's content, in hex; None where it cannot be read."""
    try:
        return sha256_file(Path(file))
    except OSError:
        return None


def _passes(member: Member, filter: Filter) -> bool:
    label = not filter.labels or not set(member.picture.labels).isdisjoint(filter.labels)
    return label and (not filter.under or member.picture.path.startswith(f"{filter.under}/"))


def _as_to(
    first: Member, others: Iterable[Member], before: Member, collection: Compared, threshold: float
) -> tuple[Member, ...]:
    """What the others are to the first of their group, where that was another one ``before``."""
    if first.picture.sha256 == before.picture.sha256:
        return tuple(others)
    scores = _scores(first, [*others], collection)
    seen: dict[str, Looks | None] = {}
    related = (
        replace(member, score=score, kind=kind)
        for member, score in scores
        if (kind := _kind(first, member, score, threshold, seen)) is not None
    )
    return tuple(related)


def _scores(first: Member, others: list[Member], collection: Compared) -> list[tuple[Member, float]]:
    points = collection.retrieve([member.picture.id for member in (first, *others)], [VISUAL])
    if first.picture.id not in points:
        return []
    vector = points[first.picture.id].vectors[VISUAL]
    return [
        (member, min(1.0, round(float(points[member.picture.id].vectors[VISUAL] @ vector), SCORE_DIGITS)))
        for member in others
        if member.picture.id in points
    ]


def _kind(first: Member, other: Member, score: float, threshold: float, seen: dict[str, Looks | None]) -> Kind | None:
    """None where it is nothing to the first, though both were something to the one before."""
    if other.picture.sha256 == first.picture.sha256:
        return Kind.COPY
    for member in (first, other):
        if member.picture.sha256 not in seen:
            seen[member.picture.sha256] = read_looks(Path(member.file), member.picture)
    one, two = seen[first.picture.sha256], seen[other.picture.sha256]
    if one is not None and two is not None and is_same(one, two):
        return Kind.SAME
    is_alike = Kind.ALIKE in (first.kind, other.kind) and score >= threshold
    return Kind.ALIKE if is_alike else None


def rank_of(prefer: str, folder: Callable[[str], Filter]) -> Rank:
    """What ``--prefer`` means: oldest, newest or largest (of the files), or a folder whose pictures are kept.

    Args:
        folder: gives the filter of a folder, as the user wrote it.
    """
    by_file: dict[str, Rank] = {
        "": lambda _: 0,
        "oldest": lambda member: member.picture.mtime_ns,
        "newest": lambda member: -member.picture.mtime_ns,
        "largest": lambda member: -member.picture.size,
    }
    if prefer in by_file:
        return by_file[prefer]
    inside = folder(prefer)
    return lambda member: not _passes(member, inside)
