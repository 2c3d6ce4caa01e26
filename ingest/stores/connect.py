"""Which store a command talks to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from platformdirs import user_data_path

from ingest.errors import CollectionNotFound
from ingest.records import CollectionMetadata
from ingest.stores.layout import Layout
from ingest.stores.store import Store
from model.errors import UsageError
from model.system.cache import APP
from model.system.events import note
from model.system.paths import expanded, working_folder


def default_store_dir() -> Path:
    """Where embedded collections are kept; moved by ``WORDSIGHT_STORE``."""
    moved = os.environ.get("WORDSIGHT_STORE")
    return expanded(Path(moved)) if moved else user_data_path(APP) / "store"


def open_store(
    store: Path | None = None,
    url: str = "",
    api_key: str = "",
    snapshot: Path | None = None,
    *,
    check: bool = False,
    grpc_port: str = "",
    layout: Layout = Layout(),
) -> Store:
    """The snapshot in a folder, the Qdrant server at ``url``, or else the embedded store in the folder ``store``.

    ``check`` takes the checksums of a snapshot's files again. Each store imports only its own engine: the
    embedded one costs 30 ms, the client over a second.

    Args:
        grpc_port: of the server. layout: of collections that are made there.

    Raises:
        UsageError: ``check`` without a snapshot, or ``layout`` without a server.
        StoreError: the server does not answer, or the folder is a file.
    """
    if check and not snapshot:
        raise UsageError("--check takes the checksums of a snapshot again: name one with --snapshot")
    if layout.is_asked_for and not url:
        raise UsageError("--shards, --replicas and --write-consistency are of a server: name one with --url")
    if snapshot:
        from ingest.stores.snapshot import SnapshotStore

        return SnapshotStore(expanded(snapshot), check=check)
    if url:
        from ingest.stores.server import connect

        return connect(url, api_key or None, grpc_port, layout)
    from ingest.stores.embedded import EmbeddedStore

    return EmbeddedStore(expanded(store) if store else default_store_dir())


def choose_collection(store: Store, name: str, near: Path | None = None) -> str:
    """The collection named, else that of the folder that ``near`` or the working directory lies in, else the only one.

    Raises:
        UsageError: several collections, and ``near`` is not there.
        CollectionNotFound: there is none of that name, none at all, or several and no folder decides.
    """
    if name:
        if store.metadata(name).kind != "pictures":
            raise store.not_found(name)
        return name
    there = store.collections()
    if not there:
        raise CollectionNotFound(none_yet(store))
    for place in (near, working_folder()):
        inside = [found for found, metadata in there.items() if place and place.is_relative_to(metadata.root)]
        if inside:
            return _nearest(inside, there)
    if len(there) == 1:
        return next(iter(there))
    if near and not near.exists():
        raise UsageError(f"no file {str(near)!r}")
    raise CollectionNotFound(
        f"several collections in {store.where}: choose with --collection {' | '.join(sorted(there))}"
    )


def _nearest(inside: Sequence[str], there: Mapping[str, CollectionMetadata]) -> str:
    """The one of the innermost folder; where several hold that one, which is taken is said."""
    chosen = max(inside, key=lambda found: (len(there[found].root), found))
    others = sorted(name for name in inside if there[name].root == there[chosen].root and name != chosen)
    if others:
        note(f"asking {chosen!r}; {', '.join(map(repr, others))} hold the same folder: -c chooses")
    return chosen


def none_yet(store: Store) -> str:
    """The message for a store without collections."""
    return f"no collection in {store.where} yet: `ingest run FOLDER` makes one"
