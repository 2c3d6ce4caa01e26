"""The command `ingest`: options in, reports out; no logic."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest import report
from ingest.stores import choose_collection, none_yet, open_store
from ingest.stores.snapshot import DEFAULT_TARGET
from ingest.watch import DEFAULT_POLL_SECONDS, watch_folder
from model.encoders import DEFAULT_MAX_SECONDS
from model.entry import INTERRUPTED
from model.errors import UsageError
from model.options import Device, EncoderName, Offline, WordsName
from model.pair import AUTO
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.system import terminal
from model.system.paths import expanded
from model.system.terminal import NothingFoundError

app = terminal.make_app("Keep collections of pictures: embed a folder, bring it up to date, look after it.")

StoreDir = Annotated[
    Path | None, typer.Option("--store", envvar="WORDSIGHT_STORE", help="Folder of the embedded store.")
]
Url = Annotated[str, typer.Option("--url", envvar="QDRANT_URL", help="Use a Qdrant server instead.")]
ApiKey = Annotated[
    str, typer.Option("--api-key", envvar="QDRANT_API_KEY", help="The server's key.", show_default=False)
]
CollectionName = Annotated[
    str, typer.Option("--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="Which collection.")
]
MaxMegapixels = Annotated[
    int, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures; 0 lifts the limit.")
]
MaxSeconds = Annotated[
    int,
    typer.Option("--max-seconds", min=0, help="Give a file up after this, plus 1 for each MB; 0 lifts the limit."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def run(
    folder: Annotated[Path, typer.Argument(help="The folder of pictures.", metavar="FOLDER", parser=terminal.path)],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="The collection's name; else the folder's.")
    ] = "",
    encoder: EncoderName = AUTO,
    words: WordsName = AUTO,
    projection: Annotated[
        str, typer.Option(help="conse, joint, devise, a file, or auto: joint where the labels allow.")
    ] = AUTO,
    offline: Offline = False,
    keep_missing: Annotated[bool, typer.Option("--keep-missing", help="Keep pictures whose files are gone.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that failed before.")] = False,
    follow_links: Annotated[bool, typer.Option("--follow-links", help="Enter folders that are links.")] = False,
    max_megapixels: MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    max_seconds: MaxSeconds = DEFAULT_MAX_SECONDS,
    device: Device = AUTO,
    quantize: Annotated[
        bool | None,
        typer.Option(
            "--quantize/--no-quantize",
            help="Search more than 10,000 pictures by int8 codes first; else where memory is short.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with what changes, until Ctrl-C.")] = False,
    poll: Annotated[
        int, typer.Option("--poll", min=1, help="With --watch, look every so many seconds whatever is told.")
    ] = DEFAULT_POLL_SECONDS,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """Embed a folder of pictures; run again, only what changed."""
    from ingest.collection import Options
    from ingest.pipeline import run_folder

    options = Options(
        encoder=encoder,
        words=words,
        projection=projection,
        offline=offline,
        keep_missing=keep_missing,
        follow_links=follow_links,
        retry=retry,
        max_megapixels=max_megapixels,
        max_seconds=max_seconds,
        device=device,
        quantize=quantize,
    )
    opened = open_store(store, url, api_key)
    if watch:
        done = watch_folder(opened, folder, collection, options, poll_seconds=poll)
    else:
        done = run_folder(opened, folder, collection, options)
        report.tell_run(done)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command()
def reproject(
    collection: CollectionName = "",
    projection: Annotated[
        str, typer.Option(help="conse, joint, devise, a file, or auto: joint where the labels allow.")
    ] = AUTO,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """New semantic vectors from the stored visual ones, by a projection trained anew or given; opens no picture."""
    from ingest.pipeline import reproject as reproject_collection

    opened = open_store(store, url, api_key)
    reproject_collection(opened, choose_collection(opened, collection), projection)


@app.command()
def status(json: Json = False, store: StoreDir = None, url: Url = "", api_key: ApiKey = "") -> None:
    """The collections: pictures, labels, encoder, words, projection, where, how big."""
    opened = open_store(store, url, api_key)
    rows = report.status_rows(opened)
    if json:
        sys.stdout.writelines(json_format.dumps(row) + "\n" for row in rows)
    else:
        report.write_status(rows, opened.where)
    if not rows:
        raise NothingFoundError(none_yet(opened))


@app.command()
def failures(
    collection: CollectionName = "",
    retry: Annotated[
        bool, typer.Option("--retry", help="Try these files again first, and touch no other picture.")
    ] = False,
    max_megapixels: MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    max_seconds: MaxSeconds = DEFAULT_MAX_SECONDS,
    json: Json = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """The files that could not be indexed, and why."""
    from ingest.collection import Options
    from ingest.pipeline import retry_failures

    opened = open_store(store, url, api_key)
    options = Options(max_megapixels=max_megapixels, max_seconds=max_seconds)
    for name in report.names_of(opened, collection) if retry else ():
        report.tell_run(retry_failures(opened, name, options))
    rows = report.failure_rows(opened, collection)
    if json:
        sys.stdout.writelines(json_format.dumps(row) + "\n" for row in rows)
    else:
        report.write_failures(rows)
    if not rows:
        raise NothingFoundError("no bad files" if opened.collections() else none_yet(opened))


@app.command()
def drop(
    collection: Annotated[str, typer.Argument(help="The collection to remove.", metavar="COLLECTION")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """Remove a collection; the pictures themselves are not touched."""
    opened = open_store(store, url, api_key)
    pictures = opened.summary(collection).points
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{collection!r} holds {pictures} pictures: say --yes to remove it without being asked")
    if not yes:
        typer.confirm(f"Remove collection {collection!r} with {pictures} pictures?", abort=True, err=True)
    opened.drop(collection)
    terminal.note(f"removed collection {collection!r} with {pictures} pictures; the files themselves are as before")


@app.command()
def export(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The snapshot's folder; an older snapshot is replaced.", metavar="FOLDER", parser=terminal.path
        ),
    ],
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
        bool, typer.Option("--with-encoder", help="Carry the encoder too, to ask with new pictures.")
    ] = False,
    with_thumbnails: Annotated[bool, typer.Option("--with-thumbnails", help="Carry small copies.")] = False,
    with_pictures: Annotated[bool, typer.Option("--with-pictures", help="Carry the pictures themselves.")] = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """Write a collection to files that can be asked anywhere: `query ... --snapshot FOLDER`."""
    from ingest.pipeline import ExportOptions, export_collection, tell_export

    options = ExportOptions(trees, recall, seed, with_encoder, with_thumbnails, with_pictures)
    opened = open_store(store, url, api_key)
    name = choose_collection(opened, collection)
    tell_export(export_collection(opened, name, folder, options), folder)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The snapshot's folder.", metavar="FOLDER", parser=terminal.path)],
    against_collection: Annotated[
        str, typer.Option("--against-collection", help="Compare with this live collection too.")
    ] = "",
    json: Json = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
) -> None:
    """Is a snapshot whole, does it find what is near, does it answer as the collection does?"""
    from ingest.stores.snapshot import SnapshotStore
    from ingest.stores.snapshot import verify as verify_snapshot

    live = open_store(store, url, api_key) if against_collection else None
    verified = verify_snapshot(SnapshotStore(expanded(folder)), live, against_collection)
    report.write_verified(verified, as_json=json)
    if verified.differences:
        raise NothingFoundError(f"the snapshot differs from {against_collection!r}: export it again")


@app.command()
def sample(
    folder: Annotated[
        Path, typer.Argument(help="Where to write them; made where missing.", metavar="FOLDER", parser=terminal.path)
    ],
) -> None:
    """Write a few labelled photographs to try things with."""
    from ingest.sample import write_sample

    written = write_sample(folder)
    terminal.note(f"{written} photographs in {folder}: `ingest run {folder}` embeds them")
