"""The server store: the same collections on a Qdrant server, for several machines or more than one writer.

A collection is one collection of the server: the points of the pictures, and beside them, as points without vectors,
what is recorded of it, the files kept with it and the lease of who writes it (`ingest.stores.server.records`). The
server's own metadata of it holds a mark that it is ours (`ingest.stores.server.mark`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from ingest.errors import CollectionNotFound, StoreError, StoreInUse, StoreUnreachable
from ingest.records import CollectionMetadata, Pending
from ingest.stores import Layout, Store, Summary, check_length
from ingest.stores.server.client import RUN, ServerClient
from ingest.stores.server.collection import ServerCollection
from ingest.stores.server.conversion import has_graph, is_quantized, sparse_params, vector_params
from ingest.stores.server.fault import CONFLICT, Fault
from ingest.stores.server.health import health_of, nodes_of
from ingest.stores.server.lease import BorrowedLease, Lease, PartLeases, this_process
from ingest.stores.server.mark import MARK_KEY, Mark, read_mark
from ingest.stores.server.older import OlderFiles, drop_files, is_left_over, refuse_older_writer, turn
from ingest.stores.server.records import METADATA, Records, with_vector
from ingest.stores.server.requests import Requests, has_status
from model.system.events import note
from model.system.process import forget

ON_DISK_WIDTH = 1024
"""From here on, vectors stay on the server's disk and pass through its page cache."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept with a collection. ``files``: by name, with their SHA-256. ``older``: the files, where it is as an
    earlier version made it. ``is_recorded``: whether the record of it is there."""

    metadata: CollectionMetadata
    files: Mapping[str, str]
    older: OlderFiles | None = None
    is_recorded: bool = True


class ServerStore(Store):
    """Collections on a server; those without our mark are not ours, and left alone.

    Args:
        layout: of collections that are made.
        reopen: opens it elsewhere, for a collection and the token of its lease.
    """

    def __init__(
        self,
        client: ServerClient,
        where: str,
        layout: Layout = Layout(),
        reopen: Callable[[str, str], ServerStore] | None = None,
    ) -> None:
        self.client = client
        self.where = where
        self._layout = layout
        self._reopen = reopen
        self._requests = Requests(client, where)
        self._process = this_process()
        self._leases: dict[str, Lease | PartLeases | BorrowedLease] = {}

    def names(self) -> list[str]:
        listed = self._requests.ask(self.client.get_collections).collections
        return sorted(collection.name for collection in listed if self._is_listed(collection.name))

    def has(self, name: str) -> bool:
        with suppress(CollectionNotFound):
            return self._is_ours(name)
        return False

    def _is_ours(self, name: str) -> bool:
        return MARK_KEY in self._requests.metadata(name)

    def _is_listed(self, name: str) -> bool:
        """Whether it is ours; one that cannot be asked keeps nobody from the others."""
        try:
            return self._is_ours(name)
        except CollectionNotFound:  # dropped since it was listed
            return False
        except StoreUnreachable:
            raise
        except StoreError as error:
            note(f"left out: collection {name!r}: {error}")
            return False

    def metadata(self, name: str) -> CollectionMetadata:
        return self._kept(name).metadata

    def _kept(self, name: str) -> Kept:
        try:
            record = Records(self._requests, name).read(METADATA)
            if record is not None:
                return Kept(CollectionMetadata.from_json(record["record"], name), record["files"])
            kept = self._requests.metadata(name)
            mark = read_mark(kept, name)
            if mark is not None:
                return Kept(self._unrecorded(name, mark.made), {}, is_recorded=False)
        except CollectionNotFound:
            raise self.not_found(name) from None
        metadata = CollectionMetadata.from_json(kept.get(MARK_KEY, {}), name)
        return Kept(metadata, {}, older=OlderFiles(self._requests, name))

    def _unrecorded(self, name: str, made: CollectionMetadata) -> CollectionMetadata:
        """Of a collection whose record is not there: it is just being made, or was lost with a part of its points.

        What was lost is then made again as where a change of projection was begun.
        """
        if made.kind != "pictures" or not self._count(name, made):
            return made
        return replace(made, pending=Pending.SWITCHING, stale=bool(made.sparse))

    def _count(self, name: str, metadata: CollectionMetadata) -> int:
        only = with_vector(next(iter(metadata.vectors)))
        count: int = self._requests.ask(self.client.count, name, only, exact=True).count
        return count

    def summary(self, name: str) -> Summary:
        collection = self.open(name)
        info = self._requests.info(name)
        try:
            points = collection.count()
        except StoreError:  # a part of it is where no node is up; its state says so
            points = info.points_count or 0
        return Summary(
            name,
            collection.metadata,
            points,
            None,
            points if has_graph(info) else 0,
            is_quantized(info),
            health=health_of(self.client, name, info),
        )

    def open(self, name: str, *, write: bool = False) -> ServerCollection:
        """Open a collection; to write it, hold its lease (`writing`).

        One that an earlier version made is read as it is, and kept as of today from the first ``write`` on.
        """
        kept = self._kept(name)
        if write and (kept.older or is_left_over(self._requests.metadata(name))):
            turn(self._requests, name, kept.metadata, self._process)
            kept = self._kept(name)
        collection = self._opened(name, kept)
        if write:
            if not kept.is_recorded:
                collection.save(kept.metadata)
            collection.make_indexes()
        return collection

    def _opened(self, name: str, kept: Kept) -> ServerCollection:
        return ServerCollection(
            self._requests, name, kept.metadata, lambda: self._leases.get(name), kept.files, kept.older
        )

    @contextmanager
    def writing(self, name: str, parts: Sequence[str] = ()) -> Iterator[None]:
        self.metadata(name)  # which says what there is where it is not
        refuse_older_writer(self._requests, name)
        leases = [Lease(Records(self._requests, name), name, part=part) for part in parts or ("",)]
        with self._requests.patient(), self._leased(leases, name):
            yield

    def elsewhere(self, name: str) -> Callable[[], Store] | None:
        held = self._leases[name]
        return partial(self._reopen, name, held.token) if self._reopen and isinstance(held, Lease) else None

    def borrow(self, name: str, token: str) -> None:
        """Write a collection under the lease that a run on another machine holds, and as patiently as that does."""
        self._leases[name] = BorrowedLease(Records(self._requests, name), name, token)
        self.client.patience = RUN

    @contextmanager
    def _leased(self, leases: Sequence[Lease], name: str) -> Iterator[None]:
        with ExitStack() as held:
            for lease in leases:
                held.enter_context(lease)
            self._leases[name] = leases[0] if len(leases) == 1 else PartLeases(leases)
            try:
                yield
            finally:
                del self._leases[name]

    def create(self, name: str, metadata: CollectionMetadata) -> ServerCollection:
        """Make an empty collection.

        Raises:
            UsageError: the name is too long for a server.
            StoreInUse: another run makes it, or just has.
            StoreError: there is one of that name that is not ours.
        """
        check_length(name)
        params = vector_params(metadata.vectors, ON_DISK_WIDTH)
        mark = Mark(metadata, self._process)
        try:
            self._requests.create(
                name, params, MARK_KEY, mark.to_json(), sparse_params(metadata.sparse), self._laid_out(metadata.kind)
            )
        except StoreError as error:
            if not has_status(error, CONFLICT):
                raise
            raise self._there_already(name) from error
        collection = self._opened(name, Kept(metadata, {}))
        collection.save(metadata)
        collection.make_indexes()
        return collection

    def _laid_out(self, kind: str) -> Layout:
        """As asked for, else as it suits the number of nodes; words are few, and lie in one part."""
        layout = self._layout.on(nodes_of(self.client))
        return layout if kind == "pictures" else replace(layout, shards=1)

    def _there_already(self, name: str) -> StoreError:
        if self._is_ours(name):
            return StoreInUse(
                f"collection {name!r} on {self.where} already exists, and another run may be making it: run again when "
                "that ends"
            )
        return StoreError(
            f"collection {name!r} on {self.where} already exists and was not made by this program: choose another "
            "name with --collection"
        )

    def drop_unfinished(self, name: str) -> None:
        mark = read_mark(self._requests.metadata(name), name)
        by_another = mark is not None and mark.maker["token"] != self._process["token"]
        lease = Lease(Records(self._requests, name), name, mark.maker if mark and by_another else None)
        with self._leased([lease], name):
            metadata = self.metadata(name)  # who was making it may have ended well since it was looked at
            if metadata.pending == Pending.CREATING and not self._count(name, metadata):
                self.drop(name)

    def drop(self, name: str) -> None:
        self.metadata(name)  # not ours, not ours to remove
        if real := self._alias_of(name):
            raise StoreError(f"{name!r} is another name of collection {real!r}: `ingest drop {real}` removes that")
        is_older = read_mark(self._requests.metadata(name), name) is None
        self._requests.ask(self.client.delete_collection, name)
        if is_older:
            drop_files(self._requests, name)

    def _alias_of(self, name: str) -> str:
        """The collection that an alias stands for; empty where it is none, or the key may not ask."""
        with suppress(Fault):
            for alias in self.client.get_aliases().aliases:
                if alias.alias_name == name:
                    return str(alias.collection_name)
        return ""

    def close(self) -> None:
        forget(self._process["token"])
        self.client.close()
