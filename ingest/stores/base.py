"""A collection as every store has it: points with named vectors, the dense ones compared by cosine.

Three stores stand behind it: `ingest.stores.embedded` (a folder), `ingest.stores.server` (a Qdrant server) and
`ingest.stores.snapshot` (files carried away, read-only). What must be alike in all is done here: validation, ties,
thresholds. It must not know any of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from ingest.errors import StoreError
from ingest.records import KEYWORDS, CollectionMetadata
from ingest.stores.points import (
    SCORE_DIGITS,
    Filter,
    Hit,
    Point,
    SparseVector,
    Vector,
    check_payload,
    check_point,
    check_sparse,
    check_vector,
)

Item = TypeVar("Item")

Begin = Callable[[Callable[[], None], Callable[[], None]], None]
"""Takes a write to a collection, and what is to be done when it is acknowledged."""

SCROLL_PAGE = 1000
TIE_MARGIN = 16
"""Asked for beyond the limit: equal scores at the cut are then decided by id, in every store alike."""


class Collection(ABC):
    """Points with the same named vectors, and their metadata. Close it, or use it in a ``with``."""

    name: str
    metadata: CollectionMetadata

    def upsert(self, points: Sequence[Point]) -> None:
        """Add or replace whole points. When this returns they survive a kill and a power cut.

        Raises:
            ValueError: a vector is missing, zero, not finite or of the wrong width, or a payload is not JSON;
                nothing was written.
            StoreError: the store cannot write them.
        """
        for point in points:
            check_point(point, self.metadata.vectors, self.metadata.sparse)
        if points:
            self._upsert(points)

    def set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        """Replace one named vector of points that are there; ``matrix``: (ids, width).

        Raises:
            ValueError: a vector is zero, not finite or of the wrong width; nothing was written.
        """
        if len(ids) != len(matrix):
            raise ValueError(f"{len(ids)} ids and {len(matrix)} vectors")
        for vector in matrix:
            check_vector(name, vector, self.metadata.vectors)
        if len(ids):
            self._set_vectors(name, ids, matrix)

    def set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None:
        """Replace the payloads of points that are there, by their ids; their vectors stay.

        Raises:
            ValueError: one is not JSON; nothing was written.
        """
        for payload in payloads.values():
            check_payload(payload)
        if payloads:
            self._set_payloads(payloads)

    def set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None:
        """Replace one sparse vector of points that are there, by their ids.

        Raises:
            ValueError: a vector is empty, not finite, or its indices do not rise; nothing was written.
        """
        for vector in vectors.values():
            check_sparse(name, vector, self.metadata.sparse)
        if vectors:
            self._set_sparse(name, vectors)

    def search(
        self,
        using: str,
        vector: Vector,
        limit: int,
        filter: Filter = Filter(),
        *,
        min_score: float = -1.0,
        exact: bool = False,
    ) -> list[Hit]:
        """The nearest points by cosine, best first, equal scores in the order of ids.

        Args:
            using: name of the vector. vector: (width,), of any length but zero.
            min_score: leave out lower cosines; a score equal to it stays.
            exact: compare everything, also where a graph would miss little.

        Raises:
            ValueError: the wrong width, not finite, or zero.
        """
        check_vector(using, vector, self.metadata.vectors)
        exact = exact or bool(filter.labels or filter.under or filter.named or filter.written or filter.is_of_photos)
        return _best(lambda wanted: _capped(self._search(using, vector, wanted, filter, exact=exact)), limit, min_score)

    def search_sparse(
        self, using: str, vector: SparseVector, limit: int, filter: Filter = Filter(), *, min_score: float = 0.0
    ) -> list[Hit]:
        """The points of the highest dot product with a sparse vector, best first, equal scores in the order of ids.

        Every point is compared; those that share no index with the vector are not found.

        Raises:
            ValueError: the vector is empty, not finite, or its indices do not rise.
        """
        check_sparse(using, vector, self.metadata.sparse)
        return _best(lambda wanted: self._search_sparse(using, vector, wanted, filter), limit, min_score)

    @contextmanager
    def writing_ahead(self) -> Iterator[Begin]:
        """Writes of different points, of which a store may have several under way.

        What is to be done when one is acknowledged is done in their order, by the thread that begins them, and for all
        when the ``with`` ends. Where it is left by an error, no write is under way any more.
        """

        def begin(write: Callable[[], None], acknowledged: Callable[[], None]) -> None:
            write()
            acknowledged()

        yield begin

    @abstractmethod
    def _upsert(self, points: Sequence[Point]) -> None: ...

    @abstractmethod
    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None: ...

    @abstractmethod
    def _set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None: ...

    @abstractmethod
    def _set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None: ...

    @abstractmethod
    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]: ...

    @abstractmethod
    def _search_sparse(self, using: str, vector: SparseVector, limit: int, filter: Filter) -> list[Hit]: ...

    @abstractmethod
    def delete(self, ids: Sequence[UUID]) -> None:
        """Remove points; ids that are not there are passed over."""

    @abstractmethod
    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        """Points by id, with the vectors named, dense ones at length 1; those not there are left out."""

    @abstractmethod
    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        """All points that pass, in pages, in the order of ids, with the vectors named."""

    def scroll_unchecked(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        """As `scroll`, where that refuses points whose vectors a disk has changed."""
        return self.scroll(vectors, page, filter)

    @abstractmethod
    def count(self, filter: Filter = Filter()) -> int:
        """How many points there are, exactly."""

    def labels(self) -> dict[str, int]:
        """Every label, of folders and of keywords, with its number of points, the most frequent first."""
        counts = Counter(self._facet("label")) + Counter(self._facet(KEYWORDS))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def has_keywords(self) -> bool:
        """Whether any point has one."""
        return bool(self._facet(KEYWORDS))

    def folders(self) -> dict[str, int]:
        """Every folder of the dataset with the number of points below it, in the order of names."""
        return dict(sorted(self._facet("folders").items()))

    @abstractmethod
    def _facet(self, field: str) -> dict[str, int]:
        """Every value of a payload field, or of the list it holds, with its number of points; none without an index,
        which older collections do not have of keywords."""

    @property
    def has_name_index(self) -> bool:
        """Whether words of paths are looked up; without an index, which the next run makes, every path is read."""
        return True

    @abstractmethod
    def save(self, metadata: CollectionMetadata) -> None:
        """Record ``metadata`` in place of the old metadata, whole or not at all."""

    @abstractmethod
    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file with the collection, in place of an older one of that name."""

    @abstractmethod
    def read_file(self, name: str) -> bytes | None:
        """A file kept with the collection, or None."""

    @abstractmethod
    def kept_files(self) -> list[str]:
        """Names of the files kept with the collection, sorted."""

    def lost_files(self) -> list[str]:
        """Names of files that were kept with the collection and are not there any more, for a writer to make again;
        a store that sees that at opening has none."""
        return []

    def yield_lock(self) -> None:  # noqa: B027 - most keep nobody out
        """Let others who wait have it, as a long reading must between two pages; it may have changed afterwards."""

    def index(self, quantize: bool | None = None) -> bool:  # noqa: ARG002 - not every store has one to build
        """Build what makes a large collection quick to search, where it has grown; searches go on meanwhile.

        Args:
            quantize: keep int8 codes of the visual vectors beside them and follow the graph by those; None for
                as it was before, or else by size.

        Returns:
            Whether a graph was built that searches follow from now on.

        Raises:
            StoreError: it cannot be built now; the collection is as it was.
        """
        return False

    @abstractmethod
    def remove_file(self, name: str) -> None:
        """Remove a file kept with the collection; nothing happens where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Release everything that is open for it; safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _best(search: Callable[[int], list[Hit]], limit: int, min_score: float) -> list[Hit]:
    """The best ``limit`` hits of a search for so many; equal scores at the cut are decided by id."""
    if limit < 1:
        return []
    wanted = limit + TIE_MARGIN
    while True:
        found = search(wanted)
        hits = _in_order(found)
        if len(found) < wanted or hits[-1].score < hits[limit - 1].score:
            return [hit for hit in hits if hit.score >= min_score][:limit]
        wanted *= 4  # more ties than the margin: all of them must be seen


def _capped(found: Sequence[Hit]) -> list[Hit]:
    """A cosine may exceed 1 by what float32 rounds."""
    return [hit if hit.score <= 1 else Hit(hit.id, 1.0, hit.payload) for hit in found]


def _in_order(found: Sequence[Hit]) -> list[Hit]:
    """Rounded scores, the highest first, equal ones in the order of ids."""
    hits = [Hit(hit.id, round(hit.score, SCORE_DIGITS), hit.payload) for hit in found]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


class ReadOnlyCollection(Collection):
    """One that is not changed. ``read_only``: why, and what to do instead."""

    read_only: str

    def _upsert(self, points: Sequence[Point]) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def _set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def _set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def delete(self, ids: Sequence[UUID]) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def save(self, metadata: CollectionMetadata) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def write_file(self, name: str, data: bytes) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)

    def remove_file(self, name: str) -> None:  # noqa: ARG002
        raise StoreError(self.read_only)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to ``size`` items, in order."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
