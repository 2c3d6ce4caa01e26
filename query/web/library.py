"""The collections that are served, open for as long as the server runs.

It must not know requests or answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import CollectionNotFound
from ingest.stores import Filter, PooledStore, Store, Summary
from model.errors import UsageError, WordsightError
from query.asking import CollectionContext, SharedContexts
from query.web.catalogue import Catalogue, Catalogues, Order, entries_of, in_order

ALL = "all"
"""In the place of a name: all collections that are served."""


class ChooseCollection(UsageError):  # noqa: N818 - as in `model.errors`
    """All collections were named where only one can be meant."""


NOTHING_YET = "there are no pictures here yet: `ingest run FOLDER` makes a collection of a folder"


class Library:
    """What a client may ask: the collections of a store, or only one of them.

    A name that a client gives is compared with those there are, and never made a path.

    Args:
        default: the collection meant where a client names none; empty where there is none yet, and then the first by
            name is, as soon as there is one.
        only: whether no other is served.
    """

    def __init__(self, store: Store, default: str, *, only: bool, max_megapixels: int) -> None:
        self.store = PooledStore(store)
        self._default = default
        self.max_megapixels = max_megapixels
        self._only = only
        self._known: frozenset[str] = frozenset([default] if default else [])
        self.contexts = SharedContexts(self.store, max_megapixels=max_megapixels)
        self._catalogues = Catalogues()

    @property
    def default(self) -> str:
        """The collection meant where none is named; empty where there is none."""
        if not self._default:
            self._default = min(self.store.collections(), default="")
        return self._default

    def summaries(self) -> list[Summary]:
        """The collections served, by name."""
        names = [self.default] if self._only else sorted(self.store.collections())
        self._known |= frozenset(names)
        return [self.summary(name) for name in names if name]

    def summary(self, asked: str) -> Summary:
        """What is known of a collection without asking it.

        Raises:
            CollectionNotFound: none that is served.
        """
        name = self.name(asked)
        with _served(name):
            return self.store.summary(name)

    def name(self, asked: str) -> str:
        """The collection meant by what a client wrote.

        Raises:
            CollectionNotFound: none that is served.
        """
        name = asked or self.default
        if name == ALL and not self._only and ALL not in self.store.collections():
            name = self.default  # whose models are taken where only one collection's can be
        if not name:
            raise CollectionNotFound(NOTHING_YET)
        if name not in self._known and not self._only:
            self._known |= frozenset(self.store.collections())
        if name not in self._known:
            raise CollectionNotFound(f"no collection {name!r} is served here")
        return name

    def names(self, asked: str) -> list[str]:
        """The collections meant: one, or all."""
        if asked == ALL and not self._only:
            self._known |= frozenset(there := self.store.collections())
            if there and ALL not in there:
                return sorted(there)
        return [self.name(asked)]

    def one(self, asked: str) -> str:
        """The one collection meant, where a question has no sense for several.

        Raises:
            ChooseCollection: it means several.
        """
        names = self.names(asked)
        if len(names) > 1:
            raise ChooseCollection(f"this asks one collection, not all of them: choose {' | '.join(names)}")
        return names[0]

    @contextmanager
    def asking(self, asked: str) -> Iterator[CollectionContext]:
        """A collection to ask, by the name a client gave or none.

        Raises:
            CollectionNotFound: none that is served.
        """
        name = self.name(asked)
        with _served(name), self.contexts.asking(name) as context:
            yield context

    def catalogue(self, asked: str, filter: Filter, order: Order) -> tuple[list[str], Catalogue]:
        """The names of the collections meant, and all their pictures in an order."""
        names = self.names(asked)
        versions = []
        for name in names:
            with self.asking(name) as context:
                versions.append((name, context.metadata.updated, context.collection.count()))

        def make() -> Catalogue:
            entries = []
            for place, name in enumerate(names):
                with self.asking(name) as context:
                    entries += entries_of(context.collection, place, filter)
            return in_order(entries, order)

        return names, self._catalogues.get((tuple(versions), filter, order), make)

    def not_ready_yet(self) -> str:
        """What is to be done before there is anything to ask; empty where a collection can be asked.

        Raises:
            StoreError: the store does not answer, or the only collection that is served is gone.
        """
        there = [self.default] if self._only else sorted(self.store.collections())
        if not there:
            return NOTHING_YET
        self.summary(self.default if self.default in there else there[0])
        return ""

    def warm_up(self) -> str:
        """Load what the default collection's questions need, so that the first is answered as fast as the others.

        Returns:
            What cannot be asked, and why; empty where everything can.
        """
        if not self.default:
            return NOTHING_YET
        with self.asking("") as context:
            context.words.phrase("picture")
            try:
                _ = context.projection, context.encoder
            except WordsightError as error:
                return f"only pictures of the collection can be asked about: {error}"
        return ""

    def close(self) -> None:
        self.store.close()


@contextmanager
def _served(name: str) -> Iterator[None]:
    """The store's own message would give away where it is, and which other collections it has."""
    try:
        yield
    except CollectionNotFound:
        raise CollectionNotFound(f"no collection {name!r} is served here") from None
