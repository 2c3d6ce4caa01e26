"""The command `ingest`: options in, reports out; no logic. It must not know how anything is done."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest import report
from ingest.options import CollectionName, Json, MaxMegapixels, MaxSeconds, StoreOptions, takes_records
from ingest.stores import Store, choose_collection, none_yet
from ingest.stores.snapshot import DEFAULT_TARGET
from ingest.watch import DEFAULT_POLL_SECONDS, watch_folder
from model.encoders import DEFAULT_MAX_SECONDS
from model.entry import INTERRUPTED
from model.errors import UsageError, WordsightError
from model.options import Device, EncoderName, FramingRule, Offline, WordsName
from model.pair import AUTO
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.system import terminal
from model.system.paths import expanded
from model.system.terminal import NothingFoundError

if TYPE_CHECKING:
    from ingest.collection import Options
    from ingest.pipeline import Report

app = terminal.make_app("Keep collections of pictures: embed a folder, bring it up to date, look after it.")

WantedProjection = Annotated[
    str, typer.Option("--projection", help="conse, best, document, a file, or auto: best where the labels allow.")
]


@app.command()
@takes_records
def run(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of pictures, a collection each; or files in such folders.",
            metavar="FOLDER...",
            parser=terminal.path,
        ),
    ],
    *,
    collection: Annotated[
        str,
        typer.Option(
            "--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="The collection's name; else the folder's."
        ),
    ] = "",
    encoder: EncoderName = AUTO,
    words: WordsName = AUTO,
    projection: WantedProjection = AUTO,
    framing: FramingRule = "",
    offline: Offline = False,
    keep_missing: Annotated[bool, typer.Option("--keep-missing", help="Keep pictures whose files are gone.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove them, also where a whole folder is gone, as with a disk.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that failed before or are damaged.")] = False,
    re_embed: Annotated[
        bool, typer.Option("--re-embed", help="Embed every picture again, as --framing says or the encoder does now.")
    ] = False,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Read dates, cameras and places where earlier versions did not.")
    ] = False,
    ocr: Annotated[
        bool | None,
        typer.Option(
            "--ocr/--no-ocr",
            help="Read the text that stands in pictures, also in later runs; a second of one core for each.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse damaged pictures, however much of them can be shown.")
    ] = False,
    follow_links: Annotated[bool, typer.Option("--follow-links", help="Enter folders that are links.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Leave out what matches, as in a .gitignore; repeatable.", metavar="GLOB"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done, and about how long it would take.")
    ] = False,
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
    watch: Annotated[bool, typer.Option("--watch", help="Keep the collection up to date until Ctrl-C.")] = False,
    poll: Annotated[
        int,
        typer.Option("--poll", min=1, help="With --watch, look every so many seconds in any case."),
    ] = DEFAULT_POLL_SECONDS,
    place: StoreOptions,
) -> None:
    """Embed folders of pictures; run again, only what changed."""
    from ingest.collection import Options

    if watch and len(folders) > 1:
        raise UsageError(f"--watch stays with one folder, and these are {len(folders)}: name one")
    if collection and sum(not expanded(folder).is_file() for folder in folders) > 1:
        raise UsageError(f"each folder gets a collection of its own: name one folder, or leave out -c {collection}")
    if dry_run and watch:
        raise UsageError("--dry-run tells what one run would do, and --watch goes on: choose one")
    if yes and keep_missing:
        raise UsageError("--yes removes pictures whose files are gone and --keep-missing keeps them: choose one")
    options = Options(
        encoder=encoder,
        words=words,
        projection=projection,
        framing=framing,
        offline=offline,
        keep_missing=keep_missing,
        remove_missing=yes,
        follow_links=follow_links,
        exclude=tuple(exclude or ()),
        retry=retry,
        re_embed=re_embed,
        metadata=metadata,
        ocr=ocr,
        strict=strict,
        max_megapixels=max_megapixels,
        max_seconds=max_seconds,
        device=device,
        quantize=quantize,
    )
    with place.open() as opened:
        if watch:
            done = [watch_folder(opened, folders[0], collection, options, poll_seconds=poll)]
        else:
            done = _run_each(opened, folders, collection, options, dry_run=dry_run)
    if any(one.interrupted for one in done):
        raise typer.Exit(INTERRUPTED)


def _run_each(store: Store, places: list[Path], collection: str, options: Options, *, dry_run: bool) -> list[Report]:
    """Folders one after the other, then the files among the places; one that fails keeps none from its turn.

    Raises:
        WordsightError: the last that met one, when all had their turn.
    """
    from ingest.pipeline import plan_run, run_files

    files = [place for place in places if expanded(place).is_file()]
    if files and dry_run:
        raise UsageError(f"--dry-run is for folders, and {files[0]} is a file")
    done: list[Report] = []
    failed: WordsightError | None = None
    for folder in [place for place in places if place not in files]:
        try:
            if dry_run:
                report.note_plan(plan_run(store, folder, collection, options))
                continue
            done.append(_run_folder(store, folder, collection, options))
        except WordsightError as error:
            if failed:
                terminal.note(f"error: {failed}")
            failed = error
            continue
        if done[-1].interrupted:
            return done
    if files:
        for one in run_files(store, files, collection, options):
            report.note_run(one)
            done.append(one)
    if failed:
        raise failed
    return done


def _run_folder(store: Store, folder: Path, collection: str, options: Options) -> Report:
    from ingest.pipeline import run_folder

    done = run_folder(store, folder, collection, options)
    report.note_run(done)
    if _are_deleted(done):
        again = replace(options, remove_missing=True, projection=AUTO, retry=False, re_embed=False)
        done = run_folder(store, folder, done.collection, again)
        report.note_run(done)
    return done


def _are_deleted(done: Report) -> bool:
    """Of pictures that an earlier run found missing already, ask whether they were deleted, if there is a terminal."""
    if not (done.gone and done.gone_before and sys.stdin.isatty()):
        return False
    return terminal.confirm(f"Were those {sum(done.gone.values())} pictures deleted? Remove them?")


@app.command()
@takes_records
def reproject(
    *,
    collection: CollectionName = "",
    projection: WantedProjection = AUTO,
    place: StoreOptions,
) -> None:
    """New semantic vectors from the stored visual ones, by a projection trained anew or given; opens no picture."""
    from ingest.pipeline import reproject as reproject_collection

    with place.open() as opened:
        reproject_collection(opened, choose_collection(opened, collection), projection)


@app.command()
@takes_records
def status(*, json: Json = False, place: StoreOptions) -> None:
    """The collections: pictures, labels, encoder, words, projection, where, how big."""
    with place.open() as opened:
        rows = report.status_rows(opened)
        if json:
            terminal.write_json(rows)
        else:
            report.write_status(rows, opened.where)
        if not rows:
            raise NothingFoundError(none_yet(opened))


@app.command()
@takes_records
def failures(
    *,
    collection: CollectionName = "",
    retry: Annotated[
        bool, typer.Option("--retry", help="Try these files again first, and touch no other picture.")
    ] = False,
    max_megapixels: MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    max_seconds: MaxSeconds = DEFAULT_MAX_SECONDS,
    json: Json = False,
    place: StoreOptions,
) -> None:
    """The files that could not be indexed, and why."""
    from ingest.collection import Options
    from ingest.pipeline import retry_failures

    options = Options(max_megapixels=max_megapixels, max_seconds=max_seconds)
    with place.open() as opened:
        for name in report.names_of(opened, collection) if retry else ():
            report.note_run(retry_failures(opened, name, options))
        rows = report.failure_rows(opened, collection)
        if json:
            terminal.write_json(rows)
        else:
            report.write_failures(rows)
        if not rows:
            raise NothingFoundError("no bad files" if opened.collections() else none_yet(opened))


@app.command()
@takes_records
def check(
    *,
    collection: CollectionName = "",
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be, and embed lost pictures again.")] = False,
    json: Json = False,
    place: StoreOptions,
) -> None:
    """Check that nothing in a store was damaged: every file and every point of each collection, or of one."""
    from ingest.pipeline import check_collection
    from ingest.pipeline import repair as mend

    with place.open() as opened:
        if collection:
            opened.metadata(collection)  # which says what there is where it is not
        checked = [check_collection(opened, name) for name in ([collection] if collection else opened.names())]
        if repair:
            checked = [mend(opened, one) if one.problems else one for one in checked]
        if not checked:
            raise NothingFoundError(none_yet(opened))
    report.write_checked(checked, as_json=json)
    if any(one.problems and not one.mended for one in checked):
        raise NothingFoundError("`ingest check --repair` mends what can be mended")


@app.command()
@takes_records
def drop(
    collection: Annotated[str, typer.Argument(help="The collection to remove.", metavar="COLLECTION")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    place: StoreOptions,
) -> None:
    """Remove a collection; the pictures themselves are not touched."""
    with place.open() as opened:
        pictures = opened.summary(collection).points
        if not yes and not sys.stdin.isatty():
            raise UsageError(f"{collection!r} holds {pictures} pictures: --yes removes it without asking")
        if not yes and not terminal.confirm(f"Remove collection {collection!r} with {pictures} pictures?"):
            raise NothingFoundError(f"{collection!r} was not removed")
        opened.drop(collection)
    terminal.note(f"removed collection {collection!r} with {pictures} pictures; the files themselves were not touched")


@app.command()
@takes_records
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


@app.command()
@takes_records
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
