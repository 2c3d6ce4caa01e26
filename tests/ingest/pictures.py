"""Made-up pictures as points of a collection."""

from __future__ import annotations

import numpy as np

from ingest.collection.tags import tags_name
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from tests.snapshots import make_payload

PICTURES = 120
WIDTHS = {VISUAL: 48, SEMANTIC: 12}
LABELS = ("cat", "dog", None)
TAGS_NAME = tags_name("glove", "00")


def make_points(count: int, widths: dict[str, int] = WIDTHS, seed: int = 0) -> list[Point]:
    numbers = np.random.default_rng(seed)
    points = []
    for number in range(count):
        label = LABELS[number % 3]
        payload = make_payload(f"{'top' if number % 10 else 'rare'}/{number}.jpg", label)
        vectors = {name: numbers.standard_normal(width).astype(np.float32) for name, width in widths.items()}
        points.append(Point(Picture.from_payload(payload).id, vectors, payload))
    return points
