"""The tag vocabulary as a collection of its own, shared by all collections with the same word vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ingest.errors import CollectionNotFound, RightMissing, StoreInUse
from ingest.records import CollectionMetadata, Pending, stable_id
from ingest.stores import WORD, Collection, Point, Store, batches, open_store
from model.encoders import Encoder, class_names
from model.system.events import note
from model.words import VERSION, TextSpace, open_words, tag_vocabulary

BATCH = 1000


def tags_name(words: str, words_sha256: str) -> str:
    """The collection's name; it says all that decides what is in it."""
    return f"tags-{words}-{words_sha256[:8]}-v{VERSION}"


def need_tags(store: Store, words: str, words_sha256: str) -> str:
    """The vocabulary's collection, whole.

    Raises:
        CollectionNotFound: it is missing, or was left half made. RightMissing: the server's key may not read it.
    """
    name = tags_name(words, words_sha256)
    if not _is_whole(store, name):
        raise CollectionNotFound(f"the tag vocabulary in {store.where} is not complete: run `ingest run` once more")
    return name


def _is_whole(store: Store, name: str) -> bool:
    try:
        return store.metadata(name).pending != Pending.INCOMPLETE
    except CollectionNotFound:
        return False


@contextmanager
def asking_tags(store: Store, metadata: CollectionMetadata, encoder: Callable[[], Encoder]) -> Iterator[Collection]:
    """The vocabulary that goes with a collection, to search while the ``with`` lasts.

    Where the server's key has a right to the collection alone, this machine makes one of its own, once.

    Args:
        encoder: opens the collection's.

    Raises:
        CollectionNotFound: it is missing, or was left half made.
    """
    try:
        name = need_tags(store, metadata.words, metadata.words_sha256)
    except RightMissing:
        store = open_store()
        name = ensure_tags(store, open_words(metadata.words, metadata.words_sha256), class_names(encoder()))
    with store.asking(name) as collection:
        yield collection


def ensure_tags(store: Store, words: TextSpace, classes: Iterable[str]) -> str:
    """Make the vocabulary's collection where it is missing or was left half made; returns its name.

    A key that has no right to it goes without: see `asking_tags`.
    """
    name = tags_name(words.name, words.sha256)
    try:
        if _is_whole(store, name):
            if not store.damage(name):
                return name
            note("the tag vocabulary is damaged, and is made anew")
            store.drop(name)
        return _made(store, name, words, classes)
    except RightMissing:
        return name


def _made(store: Store, name: str, words: TextSpace, classes: Iterable[str]) -> str:
    metadata = CollectionMetadata(
        kind="words",
        vectors={WORD: words.width},
        words=words.name,
        words_sha256=words.sha256,
        pending=Pending.INCOMPLETE,
    )
    try:
        collection = store.create(name, metadata) if not store.has(name) else store.open(name, write=True)
    except StoreInUse:
        return name  # another run is filling it
    note("making the tag vocabulary (once)")
    with collection:
        for tags in batches(tag_vocabulary(words, classes), BATCH):
            vectors = words.embed([tag.word for tag in tags])
            collection.upsert(
                [
                    Point(stable_id(tag.word), {WORD: vector}, {"word": tag.word, "rank": tag.rank})
                    for tag, vector in zip(tags, vectors, strict=True)
                ]
            )
        collection.save(replace(metadata, pending=Pending.NOTHING))
    return name
