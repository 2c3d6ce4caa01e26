"""Points that come in batches, each with the vector of its number."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Point, Vector

WIDTH = 32
METADATA = CollectionMetadata(kind="pictures", vectors={VISUAL: WIDTH}, words="glove", words_sha256="00")
BATCH = 16


def vector(number: int) -> Vector:
    return np.random.default_rng(number).standard_normal(WIDTH).astype(np.float32)


def points(start: int, count: int) -> list[Point]:
    return [
        Point(UUID(int=i), {VISUAL: vector(i)}, {"i": i, "label": f"l{i % 3}"}) for i in range(start, start + count)
    ]
