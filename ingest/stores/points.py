"""Points with named vectors, what a search finds of them, and what must be true of them before they reach a store.

It must not know stores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

VISUAL = "visual"
SEMANTIC = "semantic"
WORD = "word"
CLASSES = "classes"

EARTH_KILOMETRES = 6371.0088
"""Its mean radius (IUGG)."""

SCORE_DIGITS = 6
"""Scores of two stores differ by up to 3e-7 (notes/qdrant-edge.md): a `Hit` has its score rounded to this."""

UNIT_TOLERANCE = 1e-3
"""How far the length of a stored vector may be from 1."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A vector of which most numbers are zero. ``indices``: (n,) uint32, rising. ``values``: (n,) float32."""

    indices: NDArray[np.uint32]
    values: Vector


@dataclass(frozen=True, slots=True)
class Point:
    """An id with named vectors and a payload.

    ``vectors``: name to (width,) float32. ``payload``: JSON types only. ``sparse``: name to sparse vector.
    """

    id: UUID
    vectors: Mapping[str, Vector]
    payload: Mapping[str, Any]
    sparse: Mapping[str, SparseVector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A point that a search found. ``score``: cosine, or the dot product of sparse vectors, to six digits."""

    id: UUID
    score: float
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Near:
    """Within so many kilometres of a place, along the ground. ``latitude``, ``longitude``: degrees."""

    latitude: float
    longitude: float
    kilometres: float

    def holds(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether places are; NaN is not. By the haversine formula on a sphere, as the engine does it."""
        here = np.radians([self.latitude, self.longitude])
        north, east = np.radians(latitude), np.radians(longitude)
        chord = np.sin((north - here[0]) / 2) ** 2 + np.cos(here[0]) * np.cos(north) * np.sin((east - here[1]) / 2) ** 2
        return np.asarray(2 * EARTH_KILOMETRES * np.arcsin(np.sqrt(np.clip(chord, 0, 1))) <= self.kilometres)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which points may be found: any of ``labels``, be they folders or keywords, below the folder ``under``, none of
    ``without``.

    ``named``: words that all stand in the path, each in one of these spellings (`words_of`). ``written``: the same, in
    the picture. ``after``, ``before``: taken at or after, and before these moments (`model.pictures.wall_seconds`).
    ``camera``: words that all stand in the camera's name. ``near``: taken there. What a picture does not say, or was
    not asked for, does not pass.
    """

    labels: tuple[str, ...] = ()
    under: str = ""
    without: tuple[UUID, ...] = ()
    named: tuple[tuple[str, ...], ...] = ()
    written: tuple[tuple[str, ...], ...] = ()
    after: int | None = None
    before: int | None = None
    camera: str = ""
    near: Near | None = None

    @property
    def is_of_photos(self) -> bool:
        """Whether it asks when, where or by which camera."""
        return (self.after, self.before, self.camera, self.near) != (None, None, "", None)


def words_of(text: str) -> list[str]:
    """The words of a text, as the engine's text index tells them apart: runs of letters and digits, in lower case."""
    return [word.lower() for word in re.findall(r"[^\W_]+", text)]


def check_point(point: Point, widths: Mapping[str, int], sparse: Sequence[str] = ()) -> None:
    """Raises ValueError unless a point has just the vectors of ``widths`` and ``sparse``, and a payload of JSON."""
    if set(point.sparse) != set(sparse):
        raise ValueError(f"a point with sparse vectors {sorted(point.sparse)}: {sorted(sparse)} expected")
    for name, one in point.sparse.items():
        check_sparse(name, one, sparse)
    if point.vectors.keys() != widths.keys():
        raise ValueError(f"a point with vectors {sorted(point.vectors)}: {sorted(widths)} expected")
    for name, vector in point.vectors.items():
        check_vector(name, vector, widths)
    check_payload(point.payload)


def check_payload(payload: Mapping[str, Any]) -> None:
    """Raises ValueError unless it is JSON."""
    try:
        json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:  # UnicodeEncodeError, of a surrogate, is a ValueError
        raise ValueError(f"a payload that is not JSON: {error}") from error


def check_vector(name: str, vector: Vector, widths: Mapping[str, int]) -> None:
    """Raises ValueError unless a vector has the width of its name, is finite, and has a direction."""
    width = widths.get(name)
    if width is None:
        raise ValueError(f"no vector {name!r}, only {sorted(widths)}")
    if vector.shape != (width,):
        raise ValueError(f"{name!r} is {width} wide, got {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name!r} holds numbers that are not finite")
    if not vector.any():
        raise ValueError(f"{name!r} is a zero vector, which has no direction: cosine needs one")


def is_unit(vector: Vector) -> bool:
    """Whether it is of length 1, as every stored dense vector is unless a disk has changed it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(abs(float(np.linalg.norm(vector)) - 1) <= UNIT_TOLERANCE)  # False of what is not finite


def check_sparse(name: str, vector: SparseVector, names: Sequence[str]) -> None:
    """Raises ValueError unless a sparse vector is of one of ``names``, not empty, finite, and its indices rise."""
    if name not in names:
        raise ValueError(f"no sparse vector {name!r}, only {sorted(names)}")
    if not len(vector.indices) or vector.indices.shape != vector.values.shape:
        raise ValueError(f"{name!r} has {len(vector.indices)} indices and {len(vector.values)} values")
    if not np.isfinite(vector.values).all():
        raise ValueError(f"{name!r} holds numbers that are not finite")
    if (np.diff(vector.indices.astype(np.int64)) <= 0).any():
        raise ValueError(f"the indices of {name!r} do not rise")
