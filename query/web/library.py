"""The collections that are served, open for as long as the server runs.

It must not know requests or answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import CollectionNotFound
from ingest.stores import PooledStore, Store, Summary
from model.errors import WordsightError
from query.asking import CollectionContext, SharedContexts


class Library:
    """What a client may ask: the collections of a store, or only one of them.

    A name that a client gives is compared with those there are, and never made a path.

    Args:
        default: the collection meant where a client names none.
        only: whether no other is served.
    """

    def __init__(self, store: Store, default: str, *, only: bool, max_megapixels: int) -> None:
        self.store = PooledStore(store)
        self.default = default
        self.max_megapixels = max_megapixels
        self._only = only
        self._known: frozenset[str] = frozenset([default])
        self._contexts = SharedContexts(self.store, max_megapixels=max_megapixels)

    def summaries(self) -> list[Summary]:
        """The collections served, by name."""
        names = [self.default] if self._only else sorted(self.store.collections())
        self._known |= frozenset(names)
        return [self.summary(name) for name in names]

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
        if name not in self._known and not self._only:
            self._known |= frozenset(self.store.collections())
        if name not in self._known:
            raise CollectionNotFound(f"no collection {name!r} is served here")
        return name

    @contextmanager
    def asking(self, asked: str) -> Iterator[CollectionContext]:
        """A collection to ask, by the name a client gave or none.

        Raises:
            CollectionNotFound: none that is served.
        """
        name = self.name(asked)
        with _served(name), self._contexts.asking(name) as context:
            yield context

    def warm_up(self) -> str:
        """Load what the default collection's questions need, so that the first is answered as fast as the others.

        Returns:
            What cannot be asked, and why; empty where everything can.
        """
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
