"""The command `ingest`: options in, reports out; no logic. It must not know how anything is done."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest import carrying, report
from ingest.options import CollectionName, Json, LayoutOptions, MaxMegapixels, MaxSeconds, StoreOptions, takes_records
from ingest.stores import Store, choose_collection, none_yet
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
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="Only this folder of FOLDER, while other machines take others; repeatable.",
            metavar="SUBFOLDER",
        ),
    ] = None,
    ray: Annotated[
        str,
        typer.Option(
            "--ray",
            help="Embed on every machine of this Ray cluster (auto: that of this machine), or: local.",
            metavar="ADDRESS",
            show_default=False,
        ),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Keep the collection up to date until Ctrl-C.")] = False,
    poll: Annotated[
        int,
        typer.Option("--poll", min=1, help="With --watch, look every so many seconds in any case."),
    ] = DEFAULT_POLL_SECONDS,
    spread: LayoutOptions,
    place: StoreOptions,
) -> None:
    """Embed folders of pictures; run again, only what changed."""
    from ingest.collection import Options, parts_of

    if watch and len(folders) > 1:
        raise UsageError(f"--watch stays with one folder, and these are {len(folders)}: name one")
    if collection and sum(not expanded(folder).is_file() for folder in folders) > 1:
        raise UsageError(f"each folder gets a collection of its own: name one folder, or leave out -c {collection}")
    if dry_run and watch:
        raise UsageError("--dry-run tells what one run would do, and --watch goes on: choose one")
    if yes and keep_missing:
        raise UsageError("--yes removes pictures whose files are gone and --keep-missing keeps them: choose one")
    if part and (len(folders) > 1 or ray or re_embed or watch):
        raise UsageError("--part is of one folder, and without --ray, --re-embed and --watch")
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
        ray=ray,
        parts=parts_of(part or ()),
    )
    with place.open_to_make(spread.layout) as opened:
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


for _command in carrying.COMMANDS:
    app.command()(takes_records(_command))


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
