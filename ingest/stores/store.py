"""The interface of a store: a place that holds collections, and opens what these were made with.

It must not know any of the three (`ingest.stores.base` names them), nor how points are searched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from ingest.errors import CollectionNotFound, StoreError, StoreUnreachable
from ingest.records import CollectionMetadata, Pending
from ingest.stores.base import Collection
from ingest.stores.layout import Health
from ingest.stores.points import Point
from model.class_space import QuestionWeights, open_class_space
from model.encoders import Encoder, open_encoder
from model.projections import prepare_classes
from model.system.events import note
from model.words import TextSpace, open_words


@dataclass(frozen=True, slots=True)
class Summary:
    """What can be said of a collection without searching it.

    ``size``: bytes on disk, or None. ``graph``: points an HNSW graph was built over, 0 where search is exact.
    ``quantized``: whether it is followed by int8 codes. ``engine``: what wrote its points last, with its version, where
    that is known. ``health``: what a server tells of it.
    """

    name: str
    metadata: CollectionMetadata
    points: int
    size: int | None
    graph: int = 0
    quantized: bool = False
    engine: str = ""
    health: Health | None = None


class Store(ABC):
    """A place that holds collections. ``where``: its folder or address, for messages."""

    where: str

    @abstractmethod
    def names(self) -> list[str]:
        """All collections, sorted."""

    def has(self, name: str) -> bool:
        """Whether there is a collection of that name; a server may know one by further names."""
        return name in self.names()

    @abstractmethod
    def metadata(self, name: str) -> CollectionMetadata:
        """What is recorded of a collection, also while another process writes it.

        Raises:
            CollectionNotFound: no collection has that name.
        """

    @abstractmethod
    def summary(self, name: str) -> Summary: ...

    @abstractmethod
    def open(self, name: str, *, write: bool = False) -> Collection:
        """Open a collection; with ``write``, as the only writer.

        Raises:
            CollectionNotFound: no collection has that name.
            StoreInUse: another process has it, and for long.
            StoreDamaged: files are missing or changed.
        """

    def open_shared(self, name: str) -> Collection:
        """Open a collection to search it now and then for a long time, without keeping other processes from it."""
        return self.open(name)

    @contextmanager
    def asking(self, name: str) -> Iterator[Collection]:
        """A collection to search for as long as the ``with`` lasts."""
        with self.open(name) as collection:
            yield collection

    def thumbnail(self, id: UUID) -> bytes | None:  # noqa: ARG002 - most stores keep none
        """The thumbnail (a JPEG file) that is kept of a picture, for where its file is not."""
        return None

    def writing(
        self,
        name: str,  # noqa: ARG002 - most stores need nothing here
        parts: Sequence[str] = (),  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Keep other runs from writing a collection while the ``with`` lasts, where `open` does not; or from these
        folders of its dataset and all below them, while runs may write the others.

        Raises:
            StoreInUse: another run writes it.
        """
        return nullcontext()

    def elsewhere(self, name: str) -> Callable[[], Store] | None:  # noqa: ARG002 - a folder is of one machine
        """What opens this store on another machine, to write a collection under the lease that is held here; it can be
        pickled. None where another machine does not reach it."""
        return None

    @abstractmethod
    def create(self, name: str, metadata: CollectionMetadata) -> Collection:
        """Make an empty collection and open it for writing."""

    def damage(
        self,
        name: str,  # noqa: ARG002 - most stores keep no files of their own
        *,
        thorough: bool = False,  # noqa: ARG002
        advance: Callable[[int], None] = lambda _: None,  # noqa: ARG002
    ) -> list[str]:
        """What of the store's own files of a collection is missing or was changed, by name.

        Args:
            thorough: read all of them, and not only what tells soonest.
            advance: called with the number of bytes of each file that was looked at.
        """
        return []

    def mending(self, name: str) -> AbstractContextManager[tuple[Iterator[list[Point]], Collection]]:
        """What is sound of a damaged collection, and the collection, empty, to be filled anew.

        The points have the visual vector alone. Until the ``with`` ends without an error the collection is refused to
        readers and writers, and the next call begins with the same points.

        Raises:
            StoreError: this store mends its files itself, or has none.
        """
        raise StoreError(f"collection {name!r} in {self.where} cannot be mended from here: see the server's log")

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a collection with all in it."""

    def drop_unfinished(self, name: str) -> None:
        """Remove a collection whose making was killed; one that is whole by now stays.

        Raises:
            StoreInUse: it is being made.
        """
        with self.writing(name):  # who was making it may have ended well since it was looked at
            if self.metadata(name).pending == Pending.CREATING:
                self.drop(name)

    def words(self, metadata: CollectionMetadata) -> TextSpace:
        """The word vectors a collection was made with.

        Raises:
            WeightsError: they are not here.
        """
        return open_words(metadata.words, metadata.words_sha256)

    def class_space(self, metadata: CollectionMetadata) -> QuestionWeights:
        """What weighs the classes for a question to a collection that keeps evidence of them.

        Raises:
            WeightsError: its folder in the cache is broken.
        """
        return open_class_space(prepare_classes(self.words(metadata)))

    def encoder(self, metadata: CollectionMetadata) -> Encoder:
        """The encoder a collection was made with, to look at a new picture.

        Raises:
            WeightsError: its weights are not here.
        """
        return open_encoder(metadata.encoder, metadata.encoder_sha256, framing=metadata.framing)

    def collections(self) -> dict[str, CollectionMetadata]:
        """Collections of pictures by name; one that cannot be read is left out with a warning."""
        found: dict[str, CollectionMetadata] = {}
        for name in self.names():
            try:
                metadata = self.metadata(name)
            except StoreUnreachable:
                raise
            except StoreError as error:
                note(f"left out: {error}")
                continue
            if metadata.kind == "pictures":
                found[name] = metadata
        return found

    def not_found(self, name: str) -> CollectionNotFound:
        there = ", ".join(sorted(self.collections())) or "none yet: `ingest run FOLDER` makes one"
        return CollectionNotFound(f"no collection {name!r} in {self.where}; there are: {there}")

    def close(self) -> None:  # noqa: B027 - a store need not hold anything open
        """Release what the store itself holds open; safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
