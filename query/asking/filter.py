"""Which pictures may be answers, as the user writes it: labels, a folder in the dataset or of this machine, days, a
camera, a place.

It must not know the question.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ingest.stores import Filter, Near, words_of
from model.errors import UsageError
from model.pictures import wall_seconds
from model.system.names import shown
from model.system.paths import absolute, expanded

MOMENT = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d))?)?)?)?", re.ASCII)

LEAST = (0, 1, 1, 0, 0, 0)
"""What stands for a part of a moment that is not given."""

HALF_ROUND = 20_038
"""Kilometres to the other side of the earth: no place is further away."""


@dataclass(frozen=True, slots=True)
class Taken:
    """When, by which camera and where pictures were taken, as the user writes it; empty for any.

    ``after``, ``before``: ``2019``, ``2019-07``, ``2019-07-03`` or ``2019-07-03 14:30``, each meaning where it begins.
    ``camera``: words of its name. ``near``: ``LATITUDE,LONGITUDE,KILOMETRES``.
    """

    after: str = ""
    before: str = ""
    camera: str = ""
    near: str = ""

    def narrowed(self, filter: Filter) -> Filter:
        """The filter with these conditions.

        Raises:
            UsageError: no date, no words, or no place.
        """
        if self.camera and not words_of(self.camera):
            raise UsageError(f"--camera takes words of its name, such as 'iphone 12', not {self.camera!r}")
        return replace(
            filter,
            after=_moment("--after", self.after),
            before=_moment("--before", self.before),
            camera=self.camera,
            near=_near(self.near),
        )


def _moment(option: str, text: str) -> int | None:
    if not text:
        return None
    found = MOMENT.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        given = zip(found.groups(), LEAST, strict=True)
        year, month, day, hour, minute, second = (int(part or least) for part, least in given)
        moment = datetime(year, month, day, hour, minute, second)
    except ValueError:
        raise UsageError(f"{option} takes a date such as 2019, 2019-07 or 2019-07-03, not {text!r}") from None
    return wall_seconds(moment.isoformat())


def _near(text: str) -> Near | None:
    if not text:
        return None
    try:
        latitude, longitude, kilometres = (float(part) for part in text.split(","))
    except ValueError:
        latitude = longitude = kilometres = math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < kilometres <= HALF_ROUND):
        raise UsageError(f"--near takes latitude, longitude and kilometres, such as 48.21,16.37,5, not {text!r}")
    return Near(latitude, longitude, kilometres)


def picture_filter(root: str, labels: Sequence[str] = (), under: str = "", taken: Taken = Taken()) -> Filter:
    """The filter meant.

    Args:
        root: the folder of the dataset.
        under: a folder relative to it, or an absolute path in it.

    Raises:
        UsageError: an absolute folder outside the dataset, or conditions that are none.
    """
    folder = expanded(Path(under))
    if folder.parts[:1] == ("..",):
        folder = absolute(folder)
    if folder.is_absolute():
        if not folder.is_relative_to(root):
            raise UsageError(f"{under} is not in the dataset {root}")
        folder = folder.relative_to(root)
    inside = shown(os.path.normpath(folder).replace(os.sep, "/")) if under else ""
    return taken.narrowed(Filter(labels=tuple(map(shown, labels)), under="" if inside == "." else inside))
