"""What pictures show, as probabilities of the encoder's classes and of the labels that a collection learnt after
these: the sparse vector ``classes`` of a collection.

A picture gets its own probabilities with its point; at the end of a run they are smoothed with those of the pictures
that look most like it (`smooth`). Its own evidence is never lost: it is computed again from the stored visual vector.
It must not know how files become points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.collection.projection import PAGE, features_of, learnt_as, read_collection_projection
from ingest.records import Pending
from ingest.stores import CLASSES, VISUAL, Collection, Filter, Hit, Point, SparseVector
from model.class_space import (
    NEIGHBOURS,
    believed,
    has_class_space,
    neighbour_shares,
    smoothed,
    sparse,
)
from model.encoders import Classifier, Encoder, Features
from model.projections import BestProjection, fold_of, softmax, unit
from model.words import TextSpace

Matrix = NDArray[np.float32]

ALL_FROM = 10
"""Where more than one picture in so many changed, every one is smoothed anew; else those that changed, and the ones
that look like these."""

FEW = 256
"""So many are always few."""

ROWS = 512
COLUMNS = 16_384
"""Pictures compared at once: 32 MB of cosines."""


def sparse_names(encoder: Encoder, words: TextSpace) -> tuple[str, ...]:
    """The sparse vectors that a new collection of this pair gets."""
    return (CLASSES,) if encoder.classifier is not None and has_class_space(words.name) else ()


def own_evidence(
    collection: Collection, features: Features, classifier: Classifier | None
) -> list[dict[str, SparseVector]]:
    """The sparse vectors that new points of features (n, width) begin with, for a collection that keeps any."""
    if not collection.metadata.sparse or classifier is None:
        return [{} for _ in features]
    return [{CLASSES: _to_sparse(row)} for row in softmax(classifier.logits(features))]


def _to_sparse(row: Matrix) -> SparseVector:
    """Of probabilities (classes,)."""
    return SparseVector(*sparse(row))


def mark_stale(collection: Collection) -> None:
    """Before the first change of a run: should it be killed, the next one smooths every picture."""
    if collection.metadata.sparse and not collection.metadata.stale:
        collection.save(replace(collection.metadata, stale=True))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What says of pictures what they show: the encoder's classifier, and the labels learnt where there are any."""

    classifier: Classifier
    labels: BestProjection | None = None

    @property
    def width(self) -> int:
        return len(self.classifier.names) + (len(self.labels.header.labels) if self.labels else 0)

    @property
    def neighbour_shares(self) -> Matrix:
        """(width,): how much a picture's neighbours count for each class."""
        classes = len(self.classifier.names)
        return neighbour_shares(classes, self.width - classes)

    def of(self, points: Sequence[Point]) -> Matrix:
        """(n, width), each picture's own."""
        features = np.stack([features_of(point) for point in points])
        logits = self.classifier.logits(features)
        shown = softmax(logits)
        return np.hstack([shown, _of_labels(self.labels, points, features, logits)]) if self.labels else shown


def _of_labels(labels: BestProjection, points: Sequence[Point], features: Features, logits: Matrix) -> Matrix:
    rows = {label: row for row, label in enumerate(labels.header.labels)}
    named = [learnt_as(point.payload, labels.header.labels) for point in points]
    own = [None if label is None else rows[label] for label in named]
    folds = [
        None if label is None else fold_of(point.payload["sha256"]) for label, point in zip(own, points, strict=True)
    ]
    learnt = np.array([trust.learnt for trust in labels.header.label_trusts()], np.float32)
    return believed(labels.label_probabilities(features, logits, folds), learnt, own)


def evidence_of(collection: Collection, classifier: Classifier) -> Evidence:
    """What says of this collection's pictures what they show.

    Raises:
        StoreDamaged, ProjectionError: its projection is missing or broken.
    """
    if not collection.metadata.trained:
        return Evidence(classifier)
    projection = read_collection_projection(collection)
    if isinstance(projection, BestProjection) and "label_classes" in projection.tensors:
        return Evidence(classifier, projection)
    return Evidence(classifier)


def smooth(
    collection: Collection, classifier: Classifier, changed: Sequence[UUID] | None, advance: Callable[[int], None]
) -> None:
    """Smooth the evidence of pictures with that of their neighbours, and record that it is up to date.

    Args:
        changed: the pictures that changed; None for any.
        advance: called with how many more are done.
    """
    count = collection.count()
    evidence = evidence_of(collection, classifier)
    if changed is None or len(changed) > max(FEW, count // ALL_FROM):
        _smooth_all(collection, evidence, count, advance)
    elif changed:
        _smooth_some(collection, evidence, changed, advance)
    pending = collection.metadata.pending
    left = Pending.NOTHING if pending == Pending.RELABELLING else pending
    collection.save(replace(collection.metadata, stale=False, pending=left))


def _smooth_some(
    collection: Collection, evidence: Evidence, changed: Sequence[UUID], advance: Callable[[int], None]
) -> None:
    """The pictures that changed, and the neighbours of these, which may have them as neighbours now."""
    shares = evidence.neighbour_shares
    own = collection.retrieve(changed, [VISUAL])
    touched = dict.fromkeys(own)
    for id, point in own.items():
        touched.update(dict.fromkeys(hit.id for hit in _neighbours(collection, id, point.vectors[VISUAL])))
    for id, point in collection.retrieve(list(touched), [VISUAL]).items():
        hits = _neighbours(collection, id, point.vectors[VISUAL])
        near = collection.retrieve([hit.id for hit in hits], [VISUAL])
        rows = evidence.of([point, *(near[hit.id] for hit in hits if hit.id in near)])
        cosines = np.array([hit.score for hit in hits if hit.id in near], np.float32)
        collection.set_sparse(CLASSES, {id: _to_sparse(smoothed(rows[0], rows[1:], cosines, shares))})
        collection.yield_lock()
    advance(len(changed))


def _neighbours(collection: Collection, id: UUID, vector: Matrix) -> list[Hit]:
    return collection.search(VISUAL, vector, NEIGHBOURS, Filter(without=(id,)))


def _smooth_all(collection: Collection, evidence: Evidence, count: int, advance: Callable[[int], None]) -> None:
    """By full comparison, in blocks; the vectors lie in temporary files, so memory stays bounded."""
    with TemporaryDirectory(prefix="wordsight-") as place:
        ids, vectors, shown = _spooled(collection, evidence, count, Path(place))
        shares = evidence.neighbour_shares
        for start in range(0, len(ids), ROWS):
            rows, cosines = _nearest(vectors, start)
            block = {}
            for place_in_block, id in enumerate(ids[start : start + ROWS]):
                near = np.asarray(shown[rows[place_in_block]], np.float32)
                own = np.asarray(shown[start + place_in_block], np.float32)
                block[id] = _to_sparse(smoothed(own, near, cosines[place_in_block], shares))
            collection.set_sparse(CLASSES, block)
            collection.yield_lock()
            advance(len(block))


def _spooled(
    collection: Collection, evidence: Evidence, count: int, place: Path
) -> tuple[list[UUID], NDArray[np.float16], NDArray[np.float16]]:
    """Ids, unit visual vectors and own evidence of every picture, the two latter in files."""
    width = collection.metadata.vectors[VISUAL]
    vectors = np.memmap(place / "vectors", np.float16, "w+", shape=(max(count, 1), width))
    shown = np.memmap(place / "evidence", np.float16, "w+", shape=(max(count, 1), evidence.width))
    ids: list[UUID] = []
    for page in collection.scroll([VISUAL], page=PAGE):
        points = page[: count - len(ids)]
        if points:
            rows = slice(len(ids), len(ids) + len(points))
            vectors[rows] = unit(np.stack([features_of(point) for point in points]))
            shown[rows] = evidence.of(points)
            ids += [point.id for point in points]
        collection.yield_lock()
    return ids, vectors[: len(ids)], shown[: len(ids)]


def _nearest(vectors: NDArray[np.float16], start: int) -> tuple[NDArray[np.int64], Matrix]:
    """Rows and cosines of the nearest others of `ROWS` pictures from ``start`` on, the nearest first."""
    queries = np.asarray(vectors[start : start + ROWS], np.float32)
    best = np.full((len(queries), 0), -1.0, np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    for first in range(0, len(vectors), COLUMNS):
        cosines = queries @ np.asarray(vectors[first : first + COLUMNS], np.float32).T
        own = np.arange(start, start + len(queries)) - first
        inside = (own >= 0) & (own < cosines.shape[1])
        cosines[inside, own[inside]] = -np.inf
        best = np.concatenate([best, cosines], axis=1)
        rows = np.concatenate(
            [rows, np.broadcast_to(np.arange(first, first + cosines.shape[1]), cosines.shape)], axis=1
        )
        order = np.argsort(-best, axis=1, kind="stable")[:, :NEIGHBOURS]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows, np.maximum(best, 0)
