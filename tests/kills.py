"""What a killed command may leave, and must not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ingest.collection import read_failures
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from tests import hostile
from tests.copies import copy_store

Vectors = dict[str, dict[str, np.ndarray]]
"""The vectors of a collection by path and name."""

LEARNT = ("cat", "rocket")
EACH = 12


def alone_on_a_core(**more: str) -> dict[str, str]:
    """The environment of a command that leaves the other cores to the other tests."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def small_pictures(folder: Path, count: int, *, bad: int = 0, different: int | None = None) -> Path:
    """``count`` pictures: two labels that a head can learn, the others below a year; and bad files.

    ``different``: so many contents, in turn; else all differ.
    """
    for number in range(count):
        place = LEARNT[number // EACH] if number < EACH * len(LEARNT) else f"2019/{number % 7}"
        path = folder / place / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.picture(number % (different or count), "jpg", (96, 72)))
    for number in range(bad):
        (folder / f"bad-{number}.png").write_bytes(b"no picture")
    return folder


def vectors_in(store: Path, name: str) -> Vectors:
    """What a collection holds; fails where a picture is there twice."""
    found: Vectors = {}
    with EmbeddedStore(store).open(name) as collection:
        for page in collection.scroll([VISUAL, SEMANTIC]):
            for point in page:
                picture = Picture.from_payload(point.payload)
                assert picture.path not in found, f"{picture.path} is there twice"
                assert point.id == picture.id
                found[picture.path] = dict(point.vectors)
        assert len(found) == collection.count()
    return found


def opens_with_right_vectors(store: Path, right: Vectors, name: str = "photos") -> Vectors:
    """Open every collection after a kill; whatever is there must be right. Returns what is there of ``name``."""
    opened = EmbeddedStore(store)
    for there in opened.names():
        with opened.open(there) as collection:
            collection.count()
    found = vectors_in(store, name) if name in opened.names() else {}
    for path, vectors in found.items():
        np.testing.assert_allclose(vectors[VISUAL], right[path][VISUAL], atol=1e-6, err_msg=path)
        assert np.isfinite(vectors[SEMANTIC]).all()
    return found


def assert_equal(found: Vectors, right: Vectors) -> None:
    """The same pictures with the same vectors."""
    assert found.keys() == right.keys()
    for path, vectors in right.items():
        for name, vector in vectors.items():
            np.testing.assert_allclose(found[path][name], vector, atol=1e-5, err_msg=f"{name} of {path}")


def bad_files(store: Path, name: str) -> set[str]:
    with EmbeddedStore(store).open(name) as collection:
        return set(read_failures(collection))


def leftovers(*folders: Path) -> list[Path]:
    """Files that only a command at work may have."""
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".tmp", ".part", ".wordsight-old") or ".next." in path.name
    ]


def begin_with(store: Path, original: Path | None) -> Callable[[], None]:
    """What makes ``store`` a copy of ``original``, or empty."""

    def begin() -> None:
        shutil.rmtree(store, ignore_errors=True)
        if original:
            copy_store(original, store)

    return begin
