"""The tag vocabulary as a collection of its own, shared by all collections with the same word vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ingest.errors import CollectionNotFound, StoreInUse
from ingest.records import CollectionMetadata, Pending, stable_id
from ingest.stores import WORD, Point, Store, batches
from model.system.events import note
from model.words import VERSION, TextSpace, tag_vocabulary

BATCH = 1000


def tags_name(words: str, words_sha256: str) -> str:
    """The collection's name; it says all that decides what is in it."""
    return f"tags-{words}-{words_sha256[:8]}-v{VERSION}"


def need_tags(store: Store, words: str, words_sha256: str) -> str:
    """The vocabulary's collection, whole.

    Raises:
        CollectionNotFound: it is missing, or was left half made.
    """
    name = tags_name(words, words_sha256)
    if not _is_whole(store, name):
        raise CollectionNotFound(f"the tag vocabulary in {store.where} is not complete: run `ingest run` once more")
    return name


def _is_whole(store: Store, name: str) -> bool:
    return name in store.names() and store.metadata(name).pending != Pending.INCOMPLETE


def ensure_tags(store: Store, words: TextSpace, class_names: Iterable[str]) -> str:
    """Make the vocabulary's collection where it is missing or was left half made; returns its name."""
    name = tags_name(words.name, words.sha256)
    if _is_whole(store, name):
        if not store.damage(name):
            return name
        note("the tag vocabulary is damaged, and is made anew")
        store.drop(name)
    metadata = CollectionMetadata(
        kind="words",
        vectors={WORD: words.width},
        words=words.name,
        words_sha256=words.sha256,
        pending=Pending.INCOMPLETE,
    )
    try:
        collection = store.create(name, metadata) if name not in store.names() else store.open(name, write=True)
    except StoreInUse:
        return name  # another run is filling it
    note("making the tag vocabulary (once)")
    with collection:
        for tags in batches(tag_vocabulary(words, class_names), BATCH):
            vectors = words.embed([tag.word for tag in tags])
            collection.upsert(
                [
                    Point(stable_id(tag.word), {WORD: vector}, {"word": tag.word, "rank": tag.rank})
                    for tag, vector in zip(tags, vectors, strict=True)
                ]
            )
        collection.save(replace(metadata, pending=Pending.NOTHING))
    return name
