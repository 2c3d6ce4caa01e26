"""The projection of a collection: building it, training it on stored vectors, and changing to another.

The projection is a file kept with the collection. A change is prepared beside it (``projection.next``) and
recorded as pending before the first vector changes, so that a run that is killed halfway is finished by the
next one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

import numpy as np

from ingest.collection.label_classes import write_label_classes
from ingest.errors import StoreDamaged
from ingest.records import CollectionMetadata, Pending, labels_of
from ingest.stores import SEMANTIC, VISUAL, Collection, Point
from model.encoders import Encoder, Features, need_classifier
from model.errors import NothingLearnt, ProjectionError
from model.projections import (
    ConseProjection,
    Header,
    IdentityProjection,
    Projection,
    prepared_questions,
    read_projection,
)
from model.projections.training import RECIPES, Labelled, learnable_labels, need_learnable, train
from model.system.events import note, progress
from model.system.names import first_of
from model.words import TextSpace

PROJECTION_FILE = "projection.safetensors"
NEXT_FILE = "projection.next.safetensors"

MADE_AGAIN = "`ingest run`, or `ingest check --repair`, makes it again"

TRAINING_BYTES = 256 << 20
"""Vectors kept in memory for training: 52,000 pictures 1280 wide, 16,000 of 4096; more are sampled by label."""

PAGE = 256

SHOWN_LABELS = 12
"""Named in one message."""


def header_for(encoder: Encoder, words: TextSpace) -> Header:
    return Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)


def build_conse(encoder: Encoder, words: TextSpace) -> ConseProjection:
    """The projection that needs no training."""
    return ConseProjection.build(need_classifier(encoder), header_for(encoder, words), words)


def build_untrained(encoder: Encoder, words: TextSpace) -> Projection:
    """What a new collection begins with: ConSE, or nothing where pictures and texts share a space already.

    Raises:
        UsageError: neither is possible: the encoder has no classes.
    """
    if encoder.spec.text_space == words.name:
        return IdentityProjection.build(header_for(encoder, words), words.width)
    return build_conse(encoder, words)


def read_collection_projection(collection: Collection) -> Projection:
    """The projection kept with a collection.

    Raises:
        StoreDamaged: it is missing.
        ProjectionError: it is broken, or made for other models than the collection records.
    """
    projection = _read(collection, PROJECTION_FILE)
    check_projection(projection, collection.metadata)
    return projection


def check_projection(projection: Projection, metadata: CollectionMetadata) -> None:
    """Raises ProjectionError where a projection was made for other models than a collection's."""
    widths = (metadata.vectors[VISUAL], metadata.vectors[SEMANTIC])
    projection.check(metadata.encoder, metadata.encoder_sha256, metadata.words, metadata.words_sha256, widths=widths)


def _read(collection: Collection, name: str) -> Projection:
    data = collection.read_file(name)
    if data is None:
        raise StoreDamaged(f"collection {collection.name!r} has lost its {name}: {MADE_AGAIN}")
    return read_projection(data, f"the {name} of {collection.name!r}")


def features_of(point: Point) -> Features:
    """The encoder's vector (width,) as it was before the store brought it to length 1."""
    return np.asarray(point.vectors[VISUAL] * np.float32(point.payload["visual_norm"]), np.float32)


def switch_projection(collection: Collection, projection: Projection, on_progress: Callable[[int], None]) -> None:
    """Project every stored picture anew; no picture is opened.

    Args:
        on_progress: called with the number of pictures done since.

    Raises:
        ProjectionError: a vector that is not finite came out; of the first pictures, before anything was changed.
    """
    for points in itertools.islice(collection.scroll([VISUAL], page=PAGE), 1):
        _projected(projection, points)
    collection.write_file(NEXT_FILE, projection.to_bytes())
    has_evidence = bool(collection.metadata.sparse)
    collection.save(replace(collection.metadata, pending=Pending.SWITCHING, stale=has_evidence))
    finish_switch(collection, on_progress)


def finish_switch(collection: Collection, on_progress: Callable[[int], None]) -> None:
    """Carry out, or go on with, the change that `switch_projection` recorded."""
    data = collection.read_file(NEXT_FILE)
    if data is None:
        raise StoreDamaged(f"collection {collection.name!r} has lost its {NEXT_FILE}: {MADE_AGAIN}")
    projection = read_projection(data, NEXT_FILE)
    with collection.writing_ahead() as begin:
        for points in collection.scroll([VISUAL], page=PAGE):
            ids, projected = [point.id for point in points], _projected(projection, points)
            begin(partial(collection.set_vectors, SEMANTIC, ids, projected), partial(on_progress, len(points)))
    keep_projection(collection, projection)
    before, after = collection.metadata, recorded_with(collection.metadata, projection)
    has_labels = bool(before.sparse) and bool(before.trained or after.trained)
    collection.save(replace(after, pending=Pending.RELABELLING if has_labels else Pending.NOTHING))
    forget_switch(collection)


def has_next_projection(collection: Collection) -> bool:
    """Whether what a change of projection was prepared with can be read."""
    try:
        return collection.read_file(NEXT_FILE) is not None
    except StoreDamaged:
        return False


def keep_projection(collection: Collection, projection: Projection) -> None:
    """Write a projection, and what its labels mean, beside a collection."""
    collection.write_file(PROJECTION_FILE, projection.to_bytes())
    write_label_classes(collection, projection)


def recorded_with(metadata: CollectionMetadata, projection: Projection) -> CollectionMetadata:
    """What is recorded of a collection that has this projection."""
    header = projection.header
    return replace(
        metadata,
        projection=header.kind,
        projection_sha256=sha256(projection.to_bytes()).hexdigest(),
        trained=tuple(sorted(header.labels)),
        not_learnt=tuple(sorted(header.not_learnt)),
    )


def _projected(projection: Projection, points: Sequence[Point]) -> Features:
    return semantic_of(projection, np.stack([features_of(point) for point in points]), [point.id for point in points])


def forget_switch(collection: Collection) -> None:
    """Remove what a change of projection was prepared with: it is over, or was killed before it was recorded."""
    collection.remove_file(NEXT_FILE)


def trainable(collection: Collection, words: TextSpace) -> dict[str, int]:
    """The labels of a collection that a head can learn, with their counts; none where they are too few."""
    return learnable_labels(_label_counts(collection, words), words)


def learnt_as(payload: Mapping[str, Any], labels: Mapping[str, int]) -> str | None:
    """The label that a picture is an example of: the rarest of its own, which says the most; None where it has none.

    Args:
        labels: those that there are, with their numbers of pictures.
    """
    own = [label for label in labels_of(payload) if label in labels]
    return min(own, key=lambda label: (labels[label], label), default=None)


def _label_counts(collection: Collection, words: TextSpace) -> Counter[str]:
    """How many pictures are examples of each label: where there are keywords, a picture may have several."""
    every = Counter(collection.labels())
    if not collection.has_keywords:
        return every
    candidates = learnable_labels(every, words)
    payloads = (point.payload for points in collection.scroll() for point in points)
    return Counter(label for payload in payloads if (label := learnt_as(payload, candidates)) is not None)


def train_kind(collection: Collection, encoder: Encoder, words: TextSpace, kind: str) -> Projection:
    """Train a projection of that kind on the stored vectors of a labelled collection, and note how well it does.

    Raises:
        DatasetError: nothing to learn from, or nothing that could be learnt.
    """
    recipe = RECIPES[kind]()
    labels = need_learnable(_label_counts(collection, words), words)
    note(f"training on {sum(labels.values())} pictures of {len(labels)} labels")
    data = _labelled(collection, labels, collection.metadata)
    with progress("training", recipe.steps(len(labels)), unit=recipe.unit) as shown:
        trained = train(
            data,
            words,
            header_for(encoder, words),
            encoder.classifier,
            recipe=recipe,
            questions=prepared_questions(words) if collection.metadata.sparse else None,
            on_step=lambda detail: shown.advance(1, detail),
        )
    note(learnt_message(len(labels), trained.header.not_learnt))
    hit = trained.header.figures["test"]
    if not hit:
        note("no picture could be held back to measure it: of each label, all pictures are near duplicates")
        return trained
    note(
        f"of the pictures held back, {hit['1']}% have their own label as the nearest one, {hit['2']}% among the "
        f"first 2, {hit['3']}% among the first 3"
    )
    return trained


def train_or_conse(collection: Collection, encoder: Encoder, words: TextSpace, kind: str) -> Projection:
    """As `train_kind`; where no label is worth it, what needs no training, and a note.

    Raises:
        DatasetError: nothing to learn from.
    """
    try:
        return train_kind(collection, encoder, words, kind)
    except NothingLearnt as error:
        note(f"{error}; words are searched without them")
        conse = build_conse(encoder, words)
        conse.header = replace(conse.header, not_learnt=list(error.labels))
        return conse


def learnt_message(labels: int, not_learnt: Sequence[str]) -> str:
    """One line on which labels of how many were learnt."""
    if not not_learnt:
        return f"learnt {labels} of {labels} labels"
    some = first_of(not_learnt, SHOWN_LABELS)
    return f"learnt {labels - len(not_learnt)} of {labels} labels; not learnt, their pictures are too mixed: {some}"


def _labelled(collection: Collection, labels: Mapping[str, int], metadata: CollectionMetadata) -> Labelled:
    room = TRAINING_BYTES // (4 * metadata.vectors[VISUAL])
    each = _largest_share(list(labels.values()), room)
    taken: Counter[str] = Counter()
    chosen: list[tuple[str, str]] = []
    features = np.empty((min(room, sum(min(n, each) for n in labels.values())), metadata.vectors[VISUAL]), np.float32)
    for label, payload, point in _labelled_points(collection, labels):
        if taken[label] < each and len(chosen) < len(features):
            taken[label] += 1
            features[len(chosen)] = features_of(point)
            chosen.append((label, payload["sha256"]))
    kept = features[: len(chosen)]
    return Labelled(kept, [label for label, _ in chosen], [sha256 for _, sha256 in chosen])


def _labelled_points(
    collection: Collection, labels: Mapping[str, int]
) -> Iterator[tuple[str, Mapping[str, Any], Point]]:
    for points in collection.scroll([VISUAL], page=PAGE):
        for point in points:
            if (label := learnt_as(point.payload, labels)) is not None:
                yield label, point.payload, point


def _largest_share(counts: list[int], room: int) -> int:
    """The most pictures a label may give so that all together fit into ``room``."""
    low, high = 1, max(counts, default=1)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in counts) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def semantic_of(projection: Projection, features: Features, ids: list[UUID]) -> Features:
    """Project, and refuse what a store must never get.

    Raises:
        ProjectionError: a vector came out that is zero or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        semantic = projection.project(features)
    bad = ~(np.isfinite(semantic).all(axis=1) & semantic.any(axis=1))
    if bad.any():
        raise ProjectionError(
            f"the projection gives no vector with a direction for {ids[int(np.argmax(bad))]}: train it again"
        )
    return semantic
