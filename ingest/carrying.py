"""Commands that carry collections away and back: as snapshots to be asked, and as backups. It must not know how."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ingest import report
from ingest.options import CollectionName, Json, LayoutOptions, StoreOptions
from ingest.stores import choose_collection, none_yet
from ingest.stores.snapshot import DEFAULT_TARGET
from model.system import terminal
from model.system.paths import expanded
from model.system.terminal import NothingFoundError


def export(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The snapshot's folder; an older snapshot is replaced.", metavar="FOLDER", parser=terminal.path
        ),
    ],
    *,
    collection: CollectionName = "",
    trees: Annotated[
        int | None,
        typer.Option(min=1, help="Exactly so many trees; else as many as the recall needs.", show_default=False),
    ] = None,
    recall: Annotated[float, typer.Option(min=0.0, max=1.0, help="The recall@10 to reach.")] = DEFAULT_TARGET,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 2, help="Of the trees: the same seed gives the same files.")
    ] = 0,
    with_encoder: Annotated[
        bool, typer.Option("--with-encoder", help="Include the encoder, to query with new pictures.")
    ] = False,
    with_thumbnails: Annotated[bool, typer.Option("--with-thumbnails", help="Include thumbnails.")] = False,
    with_pictures: Annotated[bool, typer.Option("--with-pictures", help="Include the pictures themselves.")] = False,
    place: StoreOptions,
) -> None:
    """Write a collection to files that can be queried anywhere: `query ... --snapshot FOLDER`."""
    from ingest.pipeline import ExportOptions, export_collection

    options = ExportOptions(trees, recall, seed, with_encoder, with_thumbnails, with_pictures)
    with place.open() as opened:
        name = choose_collection(opened, collection)
        report.note_export(export_collection(opened, name, folder, options), folder)


def backup(
    folder: Annotated[
        Path,
        typer.Argument(help="Where to keep it: a folder for each collection.", metavar="FOLDER", parser=terminal.path),
    ],
    *,
    collection: CollectionName = "",
    place: StoreOptions,
) -> None:
    """Keep collections as files, whole: every point, all its vectors, and what they were made with."""
    from ingest.pipeline import back_up

    with place.open() as opened:
        if collection:
            opened.metadata(collection)  # which says what there is where it is not
        if not (names := [collection] if collection else opened.names()):
            raise NothingFoundError(none_yet(opened))
        for name in names:
            report.note_backup(back_up(opened, name, folder), folder)


def restore(
    folder: Annotated[
        Path, typer.Argument(help="Where `ingest backup` kept it.", metavar="FOLDER", parser=terminal.path)
    ],
    *,
    collection: CollectionName = "",
    spread: LayoutOptions,
    place: StoreOptions,
) -> None:
    """Make collections as they were when they were backed up, in this store or another."""
    from ingest.pipeline import backups_in
    from ingest.pipeline import restore as restore_backup

    with place.open_to_make(spread.layout) as opened:
        for found in backups_in(folder, collection):
            report.note_restored(restore_backup(opened, found), opened.where)


def verify(
    folder: Annotated[Path, typer.Argument(help="The snapshot's folder.", metavar="FOLDER", parser=terminal.path)],
    *,
    against_collection: Annotated[
        str, typer.Option("--against-collection", help="Compare with this live collection too.")
    ] = "",
    json: Json = False,
    place: StoreOptions,
) -> None:
    """Check that a snapshot is complete, finds what is near, and answers as the collection does."""
    from ingest.stores.snapshot import SnapshotStore
    from ingest.stores.snapshot import verify as verify_snapshot

    with ExitStack() as opened:
        live = opened.enter_context(place.open()) if against_collection else None
        snapshot = opened.enter_context(SnapshotStore(expanded(folder)))
        verified = verify_snapshot(snapshot, live, against_collection)
    report.write_verified(verified, as_json=json)
    if verified.differences:
        raise NothingFoundError(f"the snapshot differs from {against_collection!r}: export it again")


COMMANDS = (export, backup, restore, verify)
