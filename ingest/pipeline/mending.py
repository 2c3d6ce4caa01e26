"""Mending a damaged collection: what is sound of it goes into new files, and all that can be made again is.

The visual vectors are kept; the others, the indexes and the graph follow from them, and the projection is built or
trained anew where it is lost. Pictures whose points are lost are not read here: the next run finds that they are
missing. It must not know which files were damaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.collection import (
    build_untrained,
    features_of,
    keep_projection,
    mark_stale,
    own_evidence,
    read_collection_projection,
    semantic_of,
)
from ingest.errors import StoreDamaged
from ingest.pipeline.lost_files import forget_what_is_broken, train_again
from ingest.pipeline.search_graph import build_search_graph
from ingest.pipeline.smoothing import smooth_evidence
from ingest.records import Picture, is_sound
from ingest.stores import SEMANTIC, VISUAL, Collection, Point, Store
from model.encoders import Encoder, open_encoder
from model.errors import ProjectionError
from model.projections import Projection
from model.system.events import note, progress
from model.words import TextSpace, open_words


@dataclass(frozen=True, slots=True)
class Mended:
    """``kept``: pictures that were sound. ``lost``: those recorded before and not kept, as far as that is known."""

    kept: int
    lost: int


def mend_collection(store: Store, name: str) -> Mended:
    """Make a collection of pictures anew from what is sound of it; no picture is opened. Whoever calls holds its turn
    to write (`Store.writing`).

    Raises:
        StoreError: the store cannot be mended from here, or the disk does not do.
        WeightsError: its encoder or text space is not here.
    """
    metadata = store.metadata(name)
    recorded = store.summary(name).points
    note(f"mending collection {name!r}: what is sound of it is kept")
    encoder = open_encoder(metadata.encoder, metadata.encoder_sha256)
    words = open_words(metadata.words, metadata.words_sha256)
    with store.mending(name) as (salvaged, collection):
        projection, is_lost = _projection_of(collection, encoder, words)
        keep_projection(collection, projection)
        with progress("mending", recorded, unit="pictures") as shown:
            for points in salvaged:
                _write(collection, [point for point in points if _is_sound(point)], projection, encoder)
                shown.advance(len(points))
        mark_stale(collection)
    with store.open(name, write=True) as collection:
        forget_what_is_broken(collection)
        if is_lost:
            train_again(collection, encoder, words)
        smooth_evidence(collection, encoder, (), is_stale=collection.metadata.stale)
        build_search_graph(collection)
        kept = collection.count()
    return Mended(kept, max(0, recorded - kept))


def _projection_of(collection: Collection, encoder: Encoder, words: TextSpace) -> tuple[Projection, bool]:
    """The collection's projection, or another until it has one again, and whether its own is lost."""
    try:
        return read_collection_projection(collection), False
    except (StoreDamaged, ProjectionError) as error:
        note(f"the projection is made anew: {error}")
    return build_untrained(encoder, words), True


def _is_sound(point: Point) -> bool:
    """Whether a point is of the picture it says, and has a direction."""
    vector = point.vectors[VISUAL]
    if not is_sound(point.payload) or not np.isfinite(vector).all() or not vector.any():
        return False
    return Picture.from_payload(point.payload).id == point.id


def _write(collection: Collection, points: Sequence[Point], projection: Projection, encoder: Encoder) -> None:
    if not points:
        return
    features = np.stack([features_of(point) for point in points])
    semantic = semantic_of(projection, features, [point.id for point in points])
    evidence = own_evidence(collection, features, encoder.classifier)
    collection.upsert(
        [
            Point(point.id, {VISUAL: own, SEMANTIC: meaning}, point.payload, shown)
            for point, own, meaning, shown in zip(points, features, semantic, evidence, strict=True)
        ]
    )
