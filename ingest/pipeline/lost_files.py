"""Files kept with a collection that are lost or broken while its points are sound: made again where they can be.

The projection is trained or built anew from the stored vectors, what its labels mean follows from it, and the records
beside the points are no loss: the next run finds the same again. No picture is opened. It must not know how a store
keeps its files.
"""

from __future__ import annotations

from collections.abc import Callable

from ingest.collection import (
    LEDGER_FILE,
    MISSING_FILE,
    REMOVED_FILE,
    RemovedVectors,
    build_untrained,
    has_next_projection,
    read_collection_projection,
    read_failures,
    read_label_classes,
    read_missing,
    switch_projection,
    train_or_conse,
    trainable,
    write_label_classes,
)
from ingest.errors import StoreDamaged
from ingest.records import Pending
from ingest.stores import Collection
from model.encoders import Encoder
from model.errors import ProjectionError
from model.projections import Projection
from model.projections.training import RECIPES
from model.system.events import note, progress
from model.words import TextSpace


def find_lost(collection: Collection) -> bool:
    """Whether a file that was kept with a collection is not there, so that `make_again` has something to do."""
    lost = collection.lost_files()
    if lost:
        note(f"collection {collection.name!r} has lost what was kept with it: {', '.join(sorted(lost))}")
    is_recordless = collection.metadata.pending == Pending.SWITCHING and not has_next_projection(collection)
    return bool(lost) or is_recordless


def make_again(collection: Collection, encoder: Encoder, words: TextSpace) -> None:
    """Make again what is lost or broken beside the points of a collection, and say what cannot be.

    Raises:
        StoreError: the store cannot be written.
    """
    forget_what_is_broken(collection)
    try:
        projection = read_collection_projection(collection)
    except (StoreDamaged, ProjectionError) as error:
        note(f"the projection is made anew: {error}")
        train_again(collection, encoder, words)
        return
    if collection.metadata.pending == Pending.SWITCHING and not has_next_projection(collection):
        note("a change of projection was begun and is lost: every picture is projected by the one that is kept")
        _switch(collection, projection)
        return
    try:
        read_label_classes(collection)
    except StoreDamaged:
        write_label_classes(collection, projection)
        note("what the labels learnt mean was lost, and follows from the projection")
    collection.save(collection.metadata)


def forget_what_is_broken(collection: Collection) -> None:
    """Remove broken records beside the points."""
    beside: tuple[tuple[str, Callable[[Collection], object], str], ...] = (
        (LEDGER_FILE, read_failures, "the list of bad files was damaged: they are all tried again"),
        (MISSING_FILE, read_missing, "the list of missing files was damaged: the next run looks for them again"),
        (REMOVED_FILE, RemovedVectors.read, "the vectors of removed pictures were damaged, and are forgotten"),
    )
    for file, read, message in beside:
        try:
            read(collection)
        except StoreDamaged:
            collection.remove_file(file)
            note(message)


def train_again(collection: Collection, encoder: Encoder, words: TextSpace) -> None:
    """A projection of the kind that the collection had, trained or built anew, and every picture projected by it."""
    kind = collection.metadata.projection
    wanted = kind in RECIPES and trainable(collection, words)
    projection = train_or_conse(collection, encoder, words, kind) if wanted else build_untrained(encoder, words)
    made = projection.header.kind
    if kind not in ("", made):
        note(
            f"a {kind} projection cannot be trained here, so it is {made} now: `ingest reproject` takes another's file"
        )
    _switch(collection, projection)


def _switch(collection: Collection, projection: Projection) -> None:
    with progress("projecting", collection.count(), unit="pictures") as shown:
        switch_projection(collection, projection, shown.advance)
