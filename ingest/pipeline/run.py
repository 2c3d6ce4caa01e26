"""`ingest run`: a folder into a collection, and a collection brought up to date with its folder.

    scan -> what changed? -> read and decode (threads) -> encode -> project -> upsert -> vanished files -> projection

Each step is a module beside this one; here they are put in order. Each batch is acknowledged by the store before
the next is asked for; whatever ends the run, what was acknowledged stays, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.collection import (
    Ledger,
    Options,
    ProgressKept,
    RemovedVectors,
    check_same,
    create,
    ensure_tags,
    projection_file,
)
from ingest.errors import StoreDamaged, StoreError
from ingest.pipeline.changes import Changes, Indexed, find_changes, read_indexed
from ingest.pipeline.describing import describe_pictures
from ingest.pipeline.embedding import Embedding
from ingest.pipeline.found import look_through
from ingest.pipeline.lost_files import find_lost, make_again
from ingest.pipeline.mending import mend_collection
from ingest.pipeline.reframing import finish_re_embedding, settle_framing
from ingest.pipeline.report import Report
from ingest.pipeline.search_graph import build_search_graph
from ingest.pipeline.settlement import finish_earlier_switch, settle_projection
from ingest.pipeline.smoothing import smooth_evidence
from ingest.pipeline.texts import read_texts
from ingest.pipeline.vanished import settle_vanished
from ingest.records import Pending
from ingest.stores import GRAPH_FROM, Collection, Store
from model.encoders import Encoder, class_names, open_encoder
from model.errors import DatasetError, UsageError
from model.pictures import PictureFile, dataset_root, decoder_version, picture_file, reader_version
from model.system.clock import now
from model.system.events import note
from model.system.interrupt import interrupted_once
from model.system.names import shown
from model.words import TextSpace, open_words


def run_folder(store: Store, folder: Path, name: str, options: Options) -> Report:
    """Bring a collection up to date with ``folder``, making it where there is none.

    Args:
        name: the collection's; where empty, that of the collection made from this folder, wherever it was then;
            else the folder's own name.

    Raises:
        DatasetError: no such folder, or nothing in it can be read; the collection is as before.
        CollectionMismatch: the collection is of another folder, encoder or words.
        UsageError: several collections are of this folder.
        StoreError, WeightsError, CacheError: as their names say.
    """
    projection_file(options)  # a wrong one is refused before a picture is opened
    found = look_through(store, folder, name, options)
    root, files, report = found.root, found.files, found.report
    encoder = _create_or_check(store, report.collection, root, files, options, may_move=found.may_move)
    with open_run(store, root, options, report, encoder) as run:
        bring_up_to_date(run, files)
    if not report.total and not report.interrupted:
        unread = f"none of the {len(files)} pictures in {folder} could be read"
        if encoder:
            store.drop(report.collection)
            raise DatasetError(f"{unread}; no collection was made")
        raise DatasetError(f"{unread}: `ingest failures` lists the reasons")
    return report


def retry_failures(store: Store, name: str, options: Options) -> Report:
    """Try the bad files of a collection again, and nothing else: no other picture is added, changed or removed.

    Raises:
        DatasetError: the folder is not there.
        StoreError, WeightsError, CacheError: as their names say.
    """
    root = dataset_root(Path(store.metadata(name).root))
    report = Report(name)
    with open_run(store, root, options, report) as run:
        try_bad_files(run)
    return report


@dataclass(frozen=True)
class Run:
    """What one run has open."""

    collection: Collection
    encoder: Encoder
    words: TextSpace
    ledger: Ledger
    removed: RemovedVectors
    options: Options
    report: Report
    elsewhere: Callable[[], Store] | None = None

    def embedding(self) -> Embedding:
        """The step that reads, encodes and writes, here or where ``elsewhere`` opens the store."""
        return Embedding(
            self.collection, self.encoder, self.ledger, self.options, self.report, self.removed, self.elsewhere
        )


@contextmanager
def open_run(
    store: Store, root: Path, options: Options, report: Report, encoder: Encoder | None = None
) -> Iterator[Run]:
    """One run over the collection that the report is of; Ctrl-C ends it in good order, and the report says so.

    Args:
        encoder: of the collection, where it is open already.
    """
    name = report.collection
    with interrupted_once(), store.writing(name, options.parts), _mended(store, name) as collection:
        before = collection.count()
        run = _opened(store, collection, root, options, report, encoder)
        try:
            with ProgressKept(collection, lambda: report.failed, options.parts):
                yield run
        except KeyboardInterrupt:
            report.interrupted = True
        report.total = collection.count()
        if report.interrupted:  # a batch may have been written and not counted any more
            report.added = max(report.added, report.total - before + report.removed + report.excluded)


def _mended(store: Store, name: str) -> Collection:
    """The collection opened for writing; one that is damaged is mended first."""
    try:
        return store.open(name, write=True)
    except StoreDamaged as damage:
        note(str(damage).partition(": `ingest check")[0])
    mended = mend_collection(store, name)
    note(f"{mended.kept} pictures of {name!r} were sound; {mended.lost} are embedded again")
    return store.open(name, write=True)


def _opened(
    store: Store, collection: Collection, root: Path, options: Options, report: Report, encoder: Encoder | None
) -> Run:
    if options.parts:
        _check_whole(collection, root)
    settle_framing(collection, options)
    metadata = collection.metadata
    encoder = encoder or open_encoder(
        metadata.encoder, metadata.encoder_sha256, framing=metadata.framing, device=options.device, many=True
    )
    words = open_words(metadata.words, metadata.words_sha256)
    ensure_tags(store, words, class_names(encoder))
    if find_lost(collection):
        make_again(collection, encoder, words)
        metadata = collection.metadata
    if metadata.root != str(root):
        note(f"the dataset moved from {metadata.root} to {root}")
        collection.save(replace(metadata, root=str(root)))
    reader = reader_version(options.max_megapixels, options.max_seconds, strict=options.strict)
    ledger = Ledger(collection, reader, options.parts)
    elsewhere = _for_others(store, collection.name) if options.ray else None
    return Run(collection, encoder, words, ledger, RemovedVectors.read(collection), options, report, elsewhere)


def _check_whole(collection: Collection, root: Path) -> None:
    """Raises UsageError where something is to be done first that is of the whole collection."""
    metadata = collection.metadata
    is_begun = metadata.pending in (Pending.SWITCHING, Pending.RELABELLING, Pending.RE_EMBEDDING)
    if is_begun or metadata.root != str(root) or find_lost(collection):
        raise UsageError(
            f"something is to be done first for the whole of {collection.name!r}: `ingest run {shown(str(root))}`, "
            "without --part"
        )


def _for_others(store: Store, name: str) -> Callable[[], Store]:
    """What opens the store on other machines. Raises UsageError where only this one has it."""
    if elsewhere := store.elsewhere(name):
        return elsewhere
    raise UsageError("--ray needs a Qdrant server that every machine of the cluster reaches: name one with --url")


def bring_up_to_date(run: Run, files: Sequence[PictureFile]) -> None:
    """The steps of a run, in their order; ``files`` are all that the folder has, or the parts of it that are meant."""
    collection = run.collection
    if run.options.parts:
        _bring_files(run, files)
        read_texts(collection, files, run.options, run.report)
        place = f"`ingest run {shown(collection.metadata.root)}`"
        note(f"once all parts are there, {place} trains and compares what is of the whole collection")
        return
    finish_earlier_switch(collection)
    stale = collection.metadata.stale
    changes = _bring_files(run, files)
    finish_re_embedding(collection)
    changed = settle_projection(collection, run.encoder, run.words, run.options)
    smooth_evidence(collection, run.encoder, changes.to_do, is_stale=stale or changed)
    decoder = decoder_version() if run.report.added + run.report.updated else collection.metadata.decoder
    collection.save(replace(collection.metadata, updated=now(), decoder=decoder))
    read_texts(collection, files, run.options, run.report)
    if run.options.quantize and collection.count() <= GRAPH_FROM:
        note(f"--quantize changes nothing up to {GRAPH_FROM} pictures, which are all compared")
    build_search_graph(collection, run.options.quantize)


def _bring_files(run: Run, files: Sequence[PictureFile]) -> Changes:
    """What is done of each file by itself: new and changed ones are embedded, those that are gone are removed."""
    collection, report = run.collection, run.report
    indexed = _indexed(collection, run.options.parts)
    changes = find_changes(files, indexed, run.ledger, collection.metadata.framing, run.options)
    report.to_do = len(changes.to_do)
    report.unchanged, report.failed_before = changes.unchanged, changes.failed_before
    embedding = run.embedding()
    try:
        embedding.run(changes.to_do, indexed)
        seen = {file.relative for file in files}
        contents = _contents(files, changes, indexed) | embedding.contents
        settle_vanished(collection, run.ledger, indexed, seen, contents, report, run.options, run.removed)
        if run.options.metadata:
            describe_pictures(collection, files, report)
    finally:
        run.ledger.save()
    return changes


def _indexed(collection: Collection, parts: Sequence[str] = ()) -> dict[str, Indexed]:
    """What a collection holds, by path; points that damage has left without their picture are removed."""
    indexed, ghosts = read_indexed(collection, parts)
    if ghosts:
        note(f"{len(ghosts)} damaged points of {collection.name!r} are removed, and their pictures embedded again")
        collection.delete(ghosts)
    return indexed


def _contents(files: Sequence[PictureFile], changes: Changes, indexed: Mapping[str, Indexed]) -> set[str]:
    """The SHA-256 of the files that have not changed."""
    read = {file.relative for file in changes.to_do}
    unchanged = (indexed.get(file.relative) for file in files if file.relative not in read)
    return {there.sha256 for there in unchanged if there}


def try_bad_files(run: Run) -> None:
    """Read what is in the ledger once more; files that are gone are forgotten."""
    root = Path(run.collection.metadata.root)
    files = [file for path in run.ledger.paths if (file := picture_file(root, path))]
    _read(run, files, _indexed(run.collection))
    run.ledger.keep_only({file.relative for file in files})
    run.ledger.save()


def read_files(run: Run, files: Sequence[PictureFile]) -> None:
    """Bring these files up to date, and look at no other."""
    indexed = _indexed(run.collection)
    changes = find_changes(files, indexed, run.ledger, run.collection.metadata.framing, run.options)
    run.report.unchanged, run.report.failed_before = changes.unchanged, changes.failed_before
    _read(run, changes.to_do, indexed)


def _read(run: Run, files: Sequence[PictureFile], indexed: Mapping[str, Indexed]) -> None:
    run.report.to_do = len(files)
    stale = run.collection.metadata.stale
    try:
        run.embedding().run(files, indexed)
    finally:
        run.ledger.save()
    smooth_evidence(run.collection, run.encoder, files, is_stale=stale)
    read_texts(run.collection, files, run.options, run.report)
    build_search_graph(run.collection)


def _create_or_check(
    store: Store, name: str, root: Path, files: list[PictureFile], options: Options, *, may_move: bool
) -> Encoder | None:
    """Make the collection, which gives its encoder, or see that the one there was made alike, which gives None."""
    if store.has(name) and store.metadata(name).pending == Pending.CREATING:
        store.drop_unfinished(name)  # a run was killed before it was whole
    if store.has(name):
        metadata = store.metadata(name)
        if metadata.pending == Pending.CREATING:  # with points in it already, as only restoring does
            go_on = f"`ingest restore` goes on, `ingest drop {name}` removes it"
            raise StoreError(f"{name!r} was restored in part: {go_on}")
        check_same(metadata, name, root, options, may_move=may_move)
        return None
    return create(store, name, root, files, options)
