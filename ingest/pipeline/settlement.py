"""Which projection a collection gets at the end of a run, and the change to it.

It must not know how pictures came in.
"""

from __future__ import annotations

from dataclasses import replace

from ingest.collection import (
    PROJECTION_FILE,
    Options,
    build_conse,
    check_projection,
    finish_switch,
    forget_switch,
    projection_file,
    switch_projection,
    train_kind,
    train_or_conse,
    trainable,
)
from ingest.records import Pending
from ingest.stores import Collection
from model.encoders import Encoder
from model.pair import AUTO
from model.projections import BestProjection, ConseProjection, Projection
from model.projections.training import RECIPES
from model.system.events import note, progress
from model.words import TextSpace


def finish_earlier_switch(collection: Collection) -> None:
    """Carry out a change of projection that an earlier run began, or forget one that it only prepared."""
    if collection.metadata.pending != Pending.SWITCHING:
        forget_switch(collection)
        return
    note("finishing the change of projection that an earlier run began")
    with progress("projecting", collection.count(), unit="pictures") as shown:
        finish_switch(collection, shown.advance)


def settle_projection(collection: Collection, encoder: Encoder, words: TextSpace, options: Options) -> bool:
    """Give a collection the projection asked for; where none was, train one on its first pictures if they allow.

    The collection's first run may have ended before it was settled; then it is settled by the next.

    Returns:
        Whether the projection changed.

    Raises:
        DatasetError: a trained one was asked for, and there is nothing to learn from.
        ProjectionError: the file asked for is broken, or made for other models.
    """
    projection = _wanted(collection, encoder, words, options)
    if projection:
        _switch(collection, projection)
    if collection.metadata.pending == Pending.UNDECIDED:
        collection.save(replace(collection.metadata, pending=Pending.NOTHING))
    return projection is not None


def _wanted(collection: Collection, encoder: Encoder, words: TextSpace, options: Options) -> Projection | None:
    """The projection that the collection is to change to, None where it keeps what it has."""
    asked, there = options.projection, collection.metadata.projection
    if asked == AUTO:
        undecided = collection.metadata.pending == Pending.UNDECIDED and trainable(collection, words)
        return _learnt(collection, encoder, words) if undecided else None
    if asked in RECIPES:
        if there != asked:
            return train_kind(collection, encoder, words, asked)
        note(f"the collection has a {asked} projection already, which is kept: `ingest reproject` trains it again")
        return None
    if asked == ConseProjection.kind:
        return build_conse(encoder, words) if there != asked else None
    given = projection_file(options)
    if given:
        check_projection(given, collection.metadata)
        return given if given.to_bytes() != collection.read_file(PROJECTION_FILE) else None
    return None


def _learnt(collection: Collection, encoder: Encoder, words: TextSpace) -> Projection | None:
    """Trained on the labels that are worth it; None where none is: the collection has what needs no training."""
    projection = train_or_conse(collection, encoder, words, BestProjection.kind)
    if projection.header.kind == BestProjection.kind:
        return projection
    collection.save(replace(collection.metadata, not_learnt=tuple(projection.header.not_learnt)))
    return None


def _switch(collection: Collection, projection: Projection) -> None:
    before = collection.metadata.projection
    with progress("projecting", collection.count(), unit="pictures") as shown:
        switch_projection(collection, projection, shown.advance)
    kind = projection.header.kind
    note(f"projection changed from {before} to {kind}" if collection.metadata.updated else f"projection: {kind}")
