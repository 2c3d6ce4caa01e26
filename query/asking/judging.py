"""Whether pictures of a collection are one picture: by their signatures, and by the pixels of their files where those
do not refute it.

A picture without a signature, which an earlier version wrote, is read from its file once. It must not know which
pictures are compared.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from ingest.stores import batches
from model.encoders import read_file
from model.errors import PictureError
from model.pictures import Glances, Looks, PictureFile, Signatures, is_same, signature_of
from query.asking.gathering import Gathered

LOOKS_KEPT = 2048
"""Pictures kept decoded for comparing: 0.1 MB each."""

READ_AT_ONCE = 256

MOST_UNLIKE_SHAPES = 1.3
"""Ratio of the ratios of their sides, at most; before a file is opened."""

Places = NDArray[np.int64]


class Judge:
    """Compares pictures that are named by their places.

    Args:
        root: of the dataset. all: pictures as they were gathered. rows: (places,), where among them each is.
    """

    def __init__(self, root: str, all: Gathered, rows: Places) -> None:
        self.pictures = [all.pictures[row] for row in rows]
        self._root = Path(root)
        self._signatures = Signatures(all.greys)
        self._rows = rows
        self._signed = all.signed[rows]
        self._unread = ~self._signed
        self._ratios = np.array([picture.width / max(1, picture.height) for picture in self.pictures])
        self._kept: OrderedDict[str, Looks | None] = OrderedDict()
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def may_be_same(self, ones: Places, others: Places) -> NDArray[np.bool_]:
        """(n,): False where two are not one picture. A picture that cannot be read is the same as none."""
        ratios = self._ratios[ones] / np.maximum(self._ratios[others], 1e-9)
        possible = np.asarray((ratios > 1 / MOST_UNLIKE_SHAPES) & (ratios < MOST_UNLIKE_SHAPES), bool)
        left = np.flatnonzero(possible)
        self._read_unsigned(np.union1d(ones[left], others[left]))
        left = left[self._signed[ones[left]] & self._signed[others[left]]]
        possible[:] = False
        possible[left] = self._signatures.may_be_same(self._rows[ones[left]], self._rows[others[left]])
        return possible

    def glances(self, places: Places) -> Glances:
        """Zeros where a picture cannot be read."""
        self._read_unsigned(places)
        return self._signatures.glances(self._rows[places])

    def _read_unsigned(self, places: Places) -> None:
        """Make the signatures that are missing."""
        unread = places[self._unread[places]]
        self._unread[unread] = False
        for batch in batches(unread.tolist(), READ_AT_ONCE):
            for place, looks in zip(batch, self._looks(batch), strict=True):
                if looks is not None:
                    self._signatures.put(int(self._rows[place]), signature_of(looks.grey))
                    self._signed[place] = True

    def same_as(self, first: int, others: list[int]) -> list[int]:
        """Those of ``others`` that are the same picture as ``first``, by their pixels."""
        if not others:
            return []
        looks, *found = self._looks([first, *others])
        if looks is None:
            return []
        verdicts = self._threads.map(lambda other: other is not None and is_same(looks, other), found)
        return [other for other, is_one in zip(others, verdicts, strict=True) if is_one]

    def _looks(self, places: Sequence[int]) -> list[Looks | None]:
        pictures = [self.pictures[place] for place in places]
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
