"""`ingest reproject`: new semantic vectors from the stored visual ones. It must not know pictures."""

from __future__ import annotations

from functools import cache, partial

from ingest.collection import (
    build_conse,
    check_projection,
    ensure_tags,
    switch_projection,
    train_kind,
    train_or_conse,
    trainable,
)
from ingest.errors import CollectionMismatch
from ingest.pipeline.search_graph import build_search_graph
from ingest.pipeline.smoothing import smooth_evidence
from ingest.records import Pending
from ingest.stores import Collection, Store
from model.encoders import Encoder, class_names, open_encoder
from model.pair import AUTO
from model.projections import BestProjection, ConseProjection, Projection, load_chosen
from model.projections.training import RECIPES
from model.system.events import note, progress
from model.words import open_words


def reproject(store: Store, name: str, wanted: str) -> Projection:
    """Give every picture of a collection a new semantic vector.

    What the collection had is not read: a broken projection, or one of an older format, is replaced as well.

    Args:
        wanted: a kind (conse, best, document), which is built or trained anew on the stored vectors, a file's
            path, or auto: best where the labels allow, else conse.

    Raises:
        DatasetError: nothing to train on. ProjectionError: the file is broken, or made for other models.
        CollectionMismatch: not a collection of pictures, or one that was never finished.
    """
    metadata = store.metadata(name)
    if metadata.kind != "pictures" or metadata.pending == Pending.CREATING:
        raise CollectionMismatch(f"{name!r} is not a finished collection of pictures: `ingest run` makes one")
    given = load_chosen(wanted, (AUTO, ConseProjection.kind, *RECIPES))
    if given:
        check_projection(given, metadata)
    with store.writing(name), store.open(name, write=True) as collection:
        # opened only where it is needed: a given projection does without
        encoder = cache(partial(open_encoder, metadata.encoder, metadata.encoder_sha256, framing=metadata.framing))
        projection = given or _made(store, collection, encoder(), wanted)
        with progress("projecting", collection.count(), unit="pictures") as shown:
            switch_projection(collection, projection, shown.advance)
        if metadata.sparse:
            smooth_evidence(collection, encoder(), (), is_stale=True)
        build_search_graph(collection)  # every vector written anew has left the graph
        note(f"{collection.count()} pictures of {name!r} projected by {projection.header.kind}; none was opened")
    return projection


def _made(store: Store, collection: Collection, encoder: Encoder, wanted: str) -> Projection:
    metadata = collection.metadata
    words = open_words(metadata.words, metadata.words_sha256)
    ensure_tags(store, words, class_names(encoder))
    if wanted == ConseProjection.kind or (wanted == AUTO and not trainable(collection, words)):
        return build_conse(encoder, words)
    if wanted == AUTO:
        return train_or_conse(collection, encoder, words, BestProjection.kind)
    return train_kind(collection, encoder, words, wanted)
