"""An open collection with what questions to it need: each is loaded when it is first needed, and kept.

It must not know any question.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ingest.collection import asking_tags, read_collection_projection, read_label_classes
from ingest.records import CollectionMetadata, Pending, Picture
from ingest.stores import Collection, Store
from model.class_space import LabelClasses, QuestionWeights, TagTable
from model.encoders import Encoder
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.projections import DocumentProjection, Projection, label_vectors
from model.system.events import note
from model.words import TextSpace
from query.asking.answer import PictureHit
from query.asking.background import Backgrounds
from query.asking.image_query import ImageQuery

Vector = NDArray[np.float32]


class CollectionContext:
    """What questions to one open collection are answered with. Threads may share it where they may share its store.

    Args:
        max_megapixels: refuse larger query pictures; 0 lifts the limit.
    """

    def __init__(self, store: Store, collection: Collection, *, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS) -> None:
        self.store = store
        self.collection = collection
        if collection.metadata.pending == Pending.RE_EMBEDDING:
            note(
                f"the pictures of {collection.name!r} are being embedded again, and some of them are still compared as "
                "they were framed before: `ingest run` finishes it"
            )
        self.max_megapixels = max_megapixels
        self.projection_sha256 = collection.metadata.projection_sha256
        self.backgrounds = Backgrounds(collection, self.vocabulary)

    @property
    def name(self) -> str:
        """The collection's."""
        return self.collection.name

    @property
    def metadata(self) -> CollectionMetadata:
        return self.collection.metadata

    @cached_property
    def words(self) -> TextSpace:
        return self.store.words(self.metadata)

    @property
    def answers_by_classes(self) -> bool:
        """Whether words are answered by the classes that pictures show, rather than by the projection.

        The document answers from its own vectors, so a collection that has its projection does too.
        """
        return bool(self.metadata.sparse) and self.metadata.projection != DocumentProjection.kind

    @cached_property
    def class_space(self) -> QuestionWeights:
        return self.store.class_space(self.metadata)

    @property
    def tag_table(self) -> TagTable | None:
        """What the words of the tag vocabulary mean, where words are answered by classes."""
        return self.class_space.tags if self.answers_by_classes else None

    @cached_property
    def label_classes(self) -> LabelClasses | None:
        """The labels that answer as classes of their own; None where nothing was learnt."""
        return read_label_classes(self.collection) if self.metadata.trained else None

    @cached_property
    def encoder(self) -> Encoder:
        return self.store.encoder(self.metadata)

    @cached_property
    def projection(self) -> Projection:
        return read_collection_projection(self.collection)

    @cached_property
    def trained(self) -> dict[str, Vector]:
        """The labels the projection was trained on, as words, with their vectors."""
        return label_vectors(self.metadata.trained, self.words)

    def learnt(self, phrases: Iterable[str]) -> Mapping[str, Vector]:
        """Where the pictures of trained labels are; the projection is read only if one of them is asked for."""
        return {} if self._trained_names.isdisjoint(phrases) else self.projection.learnt

    @cached_property
    def _trained_names(self) -> frozenset[str]:
        return frozenset(map(self.words.name_of, self.metadata.trained))

    def vocabulary(self) -> AbstractContextManager[Collection]:
        """The collection of tags that goes with this one's text space."""
        return asking_tags(self.store, self.metadata, lambda: self.encoder)

    def hit(self, picture: Picture, score: float) -> PictureHit:
        """A picture of this collection, found."""
        return PictureHit(picture, score, self.metadata.root, collection=self.name)

    def asked(self, image: ImageQuery | None) -> PictureHit | None:
        """The picture asked about, where this collection has it unchanged."""
        return self.hit(image.picture, 1.0) if image and image.picture else None


class SharedContexts:
    """One context a collection for all threads of a process that lives long, as long as the collection stays the same.

    Args:
        store: one whose `asking` keeps collections open (`ingest.stores.ResidentStore`).
    """

    def __init__(self, store: Store, *, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS) -> None:
        self.store = store
        self.max_megapixels = max_megapixels
        self._contexts: dict[str, tuple[CollectionMetadata, CollectionContext]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def asking(self, name: str) -> Iterator[CollectionContext]:
        """The context of a collection.

        Raises:
            CollectionNotFound: there is none of that name.
        """
        with self.store.asking(name) as collection:
            yield self._share(collection)

    def _share(self, collection: Collection) -> CollectionContext:
        with self._lock:
            metadata, context = self._contexts.get(collection.name, (None, None))
            if context is None or context.collection is not collection or metadata != collection.metadata:
                context = CollectionContext(self.store, collection, max_megapixels=self.max_megapixels)
                self._contexts[collection.name] = (collection.metadata, context)
            return context
