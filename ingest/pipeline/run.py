"""`ingest run`: a folder into a collection, and a collection brought up to date with its folder.

    scan -> what changed? -> read and decode (threads) -> encode -> project -> upsert

Each batch is acknowledged by the store before the next is asked for; whatever ends the run, what was
acknowledged stays, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ingest.collection import (
    PROJECTION_FILE,
    Ledger,
    Options,
    build_conse,
    check_projection,
    check_same,
    create,
    ensure_tags,
    finish_switch,
    forget_switch,
    projection_file,
    read_collection_projection,
    switch_projection,
    train_kind,
    trainable,
)
from ingest.errors import StoreError
from ingest.pipeline.writer import BatchWriter
from ingest.records import Pending, Picture, stable_id
from ingest.stores import GRAPH_FROM, Collection, Store, batches, check_name, collection_name
from model.encoders import Embedded, Encoder, Failed, class_names, embed, open_encoder
from model.errors import DatasetError, DiskFull
from model.pictures import LeftOut, PictureFile, dataset_root, picture_file, reader_version, scan
from model.projections import Conse, Joint, Projection
from model.projections.training import TRAINED
from model.system.clock import now
from model.system.events import note, progress
from model.system.interrupt import interrupted_once
from model.system.names import shown
from model.system.paths import is_there
from model.words import TextSpace, open_words

ACK_PICTURES = 64
"""Pictures in one upsert: with half as many, flushing to disk takes a tenth of the time."""

SHOWN_FAILURES = 20
"""Bad files named on the screen; all of them are in the ledger."""


@dataclass
class Report:
    """What a run did, in pictures. ``copied``: their content was there already, so nothing was encoded."""

    collection: str
    added: int = 0
    updated: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    missing: int = 0
    failed: int = 0
    failed_before: int = 0
    total: int = 0
    to_do: int = 0
    interrupted: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def done(self) -> int:
        return self.added + self.updated + self.failed


@dataclass(frozen=True, slots=True)
class Known:
    """What the collection holds of a file."""

    size: int
    mtime_ns: int
    sha256: str
    inode: int


def run_folder(store: Store, folder: Path, name: str, options: Options) -> Report:
    """Bring a collection up to date with ``folder``, making it where there is none.

    Args:
        name: the collection's; where empty, that of the collection made from this folder before, else the
            folder's own name.

    Raises:
        DatasetError: no such folder, or nothing in it can be read; the collection is as before.
        CollectionMismatch: the collection is of another folder, encoder or words.
        StoreError, WeightsError, CacheError: as their names say.
    """
    root = dataset_root(folder)
    is_named = bool(name)
    name = check_name(name) if name else _name_for(root, store)
    report = Report(name)
    files = list(scan(root, report.left_out, follow_links=options.follow_links))
    if not files:
        raise DatasetError(f"no pictures in {folder}{_seen_instead(report.left_out)}; nothing was changed")
    if name in store.names() and store.metadata(name).pending == Pending.CREATING:
        store.drop(name)  # a run was killed before it was whole
    is_new = name not in store.names()
    encoder = None
    if is_new:
        _tell_moved(store)
        encoder = create(store, name, root, files, options)
    else:
        check_same(store.metadata(name), name, root, options, may_move=is_named)
    with _running(store, root, options, report, encoder) as ingest:
        ingest.bring_up_to_date(files)
    if not report.total and not report.interrupted:
        unread = f"none of the {len(files)} pictures in {folder} could be read"
        if is_new:
            store.drop(name)
            raise DatasetError(f"{unread}; no collection was made")
        raise DatasetError(f"{unread}: `ingest failures` tells why")
    return report


def retry_failures(store: Store, name: str, options: Options) -> Report:
    """Try the bad files of a collection again, and nothing else: no other picture is added, changed or removed.

    Raises:
        DatasetError: the folder is not there.
        StoreError, WeightsError, CacheError: as their names say.
    """
    root = dataset_root(Path(store.metadata(name).root))
    report = Report(name)
    with _running(store, root, options, report) as ingest:
        ingest.try_bad_files()
    return report


@contextmanager
def _running(
    store: Store, root: Path, options: Options, report: Report, encoder: Encoder | None = None
) -> Iterator[Ingest]:
    """One run over the collection that the report is of; interrupted, it ends in good order, and is told of."""
    name = report.collection
    with interrupted_once(), store.writing(name), store.open(name, write=True) as collection:
        before = collection.count()
        ingest = Ingest(store, collection, root, options, report, encoder)
        try:
            yield ingest
        except KeyboardInterrupt:
            report.interrupted = True
        report.total = collection.count()
        if report.interrupted:  # a batch may have been written and not counted any more
            report.added = max(report.added, report.total - before + report.removed)


def _name_for(root: Path, store: Store) -> str:
    made_from_it = [name for name, metadata in store.collections().items() if metadata.root == str(root)]
    return made_from_it[0] if made_from_it else collection_name(root.name)


def _tell_moved(store: Store) -> None:
    """Perhaps it is a folder that was moved, whose pictures need not be encoded again."""
    for name, metadata in store.collections().items():
        if not is_there(Path(metadata.root)):
            note(
                f"the folder of {name!r}, {shown(metadata.root)}, is not there: if this is it, stop, and add -c {name}"
            )


def _seen_instead(left_out: LeftOut) -> str:
    told = [f"{count} {ending}" for ending, count in left_out.endings.most_common(3)]
    told += [f"cannot read {path}: {reason}" for path, reason in list(left_out.unreadable.items())[:2]]
    told += [f"{len(left_out.links)} links to folders, which --follow-links follows"] if left_out.links else []
    return f" (but {', '.join(told)})" if told else ""


def index(collection: Collection, quantize: bool | None = None) -> None:
    """Make a large collection quick to search again; where that fails, what was written is safe, and found."""
    try:
        collection.index(quantize)
    except (StoreError, DiskFull) as error:
        note(f"no search graph this time: {error}; the next run tries again")


class Ingest:
    """One run over one open collection."""

    def __init__(
        self,
        store: Store,
        collection: Collection,
        root: Path,
        options: Options,
        report: Report,
        encoder: Encoder | None = None,
    ) -> None:
        self.collection, self.options, self.report = collection, options, report
        metadata = collection.metadata
        self.encoder: Encoder = encoder or open_encoder(
            metadata.encoder, metadata.encoder_sha256, device=options.device, many=True
        )
        self.words: TextSpace = open_words(metadata.words, metadata.words_sha256)
        ensure_tags(store, self.words, class_names(self.encoder))
        self._gone: DatasetError | None = None
        self.ledger = Ledger(collection, reader_version(options.max_megapixels, options.max_seconds))
        if metadata.root != str(root):
            note(f"the dataset moved from {metadata.root} to {root}")
            collection.save(replace(metadata, root=str(root)))

    def bring_up_to_date(self, files: list[PictureFile]) -> None:
        if self.collection.metadata.pending == Pending.SWITCHING:
            self._finish_switch()
        else:
            forget_switch(self.collection)
        known = self._known()
        inodes = {there.inode for there in known.values() if there.inode}
        to_do = [file for file in files if self._is_to_do(file, known, inodes)]
        self.report.to_do = len(to_do)
        try:
            self._embed(to_do, known)
            self._remove_vanished({file.relative for file in files}, known)
        finally:
            self.ledger.save()
        self._settle_projection()
        self.collection.save(replace(self.collection.metadata, updated=now()))
        if self.options.quantize and self.collection.count() <= GRAPH_FROM:
            note(f"--quantize changes nothing up to {GRAPH_FROM} pictures, which are all compared")
        index(self.collection, self.options.quantize)

    def try_bad_files(self) -> None:
        """Read what is in the ledger once more; files that are gone are forgotten."""
        root = Path(self.collection.metadata.root)
        files = [file for path in self.ledger.paths if (file := picture_file(root, path))]
        self.report.to_do = len(files)
        try:
            self._embed(files, self._known())
            self.ledger.keep_only({file.relative for file in files})
        finally:
            self.ledger.save()
        index(self.collection)

    def _known(self) -> dict[str, Known]:
        known: dict[str, Known] = {}
        for points in self.collection.scroll():
            for point in points:
                picture = Picture.from_payload(point.payload)
                known[picture.path] = Known(picture.size, picture.mtime_ns, picture.sha256, picture.inode)
        return known

    def _is_to_do(self, file: PictureFile, known: dict[str, Known], inodes: set[int]) -> bool:
        there = known.get(file.relative)
        if there and (there.size, there.mtime_ns) == (file.size, file.mtime_ns):
            if file.inode != there.inode and file.inode in inodes:
                return True  # a file that had another name when it was read
            self.report.unchanged += 1
            return False
        if self.ledger.knows(file) and not self.options.retry:
            self.report.failed_before += 1
            return False
        return True

    def _embed(self, to_do: list[PictureFile], known: dict[str, Known]) -> None:
        if not to_do:
            return
        projection = read_collection_projection(self.collection)
        writer = BatchWriter(self.collection, projection, known)
        results = self._read(to_do, writer.has_content)
        with progress("embedding", len(to_do), unit="pictures") as shown:
            for batch in batches(self._whole(results, writer), ACK_PICTURES):
                good = [result for result in batch if isinstance(result, Embedded)]
                writer.write(good)
                for result in batch:
                    self._count(result, known)
                self.ledger.save_now_and_then()
                shown.advance(len(batch), f"{self.report.failed} bad" if self.report.failed else "")
        if self._gone:
            raise self._gone

    def _read(self, files: list[PictureFile], is_known: Callable[[str], bool]) -> Iterator[Embedded | Failed]:
        """`embed`; where the disk goes away, what came before is kept first, and recorded."""
        limits = {"max_megapixels": self.options.max_megapixels, "max_seconds": self.options.max_seconds}
        try:
            yield from embed(files, self.encoder, is_known=is_known, **limits)
        except DatasetError as error:
            self._gone = error

    def _whole(self, results: Iterable[Embedded | Failed], writer: BatchWriter) -> Iterator[Embedded | Failed]:
        """Every result with its vector: of known content the stored one, if that still is what it was."""
        for result in results:
            if isinstance(result, Failed):
                yield result
            elif result.features is not None:
                yield _usable(result)
            elif stored := writer.stored(result):
                self.report.copied += 1
                yield stored
            else:
                yield from self._whole(self._read([result.file], lambda _: False), writer)

    def _count(self, result: Embedded | Failed, known: dict[str, Known]) -> None:
        path = result.file.relative
        if isinstance(result, Failed):
            self.report.failed += 1
            self.ledger.add(result)
            if path in known and not result.transient:  # a file that turned bad has no right vector any more
                self.collection.delete([stable_id(path)])
                self.report.removed += 1
            if self.report.failed <= SHOWN_FAILURES:
                note(f"bad file {path!r}: {result.reason}")
            elif self.report.failed == SHOWN_FAILURES + 1:
                note("more bad files: `ingest failures` lists them all")
            return
        self.ledger.mended(path)
        if path in known:
            self.report.updated += 1
        else:
            self.report.added += 1

    def _remove_vanished(self, seen: set[str], known: dict[str, Known]) -> None:
        """Forget pictures whose files are gone, but not those in folders that were not looked at."""
        left_out = self.report.left_out
        unseen = tuple(f"{folder}/" for folder in (*left_out.unreadable, *left_out.links))
        vanished = [path for path in known if path not in seen and not path.startswith(unseen)]
        if self.options.keep_missing:
            self.report.missing = len(vanished)
        else:
            self.collection.delete([stable_id(path) for path in vanished])
            self.report.removed += len(vanished)
        self.ledger.keep_only(seen, unseen)

    def _settle_projection(self) -> None:
        metadata, asked = self.collection.metadata, self.options.projection
        if metadata.pending == Pending.UNDECIDED or asked in TRAINED:
            wanted = asked if asked in TRAINED else Joint.kind
            if metadata.projection != wanted:
                self._train(wanted, required=asked in TRAINED)
            elif asked in TRAINED:
                note("the collection has such a projection already, which is kept: `ingest reproject` trains it anew")
        elif asked == Conse.kind and metadata.projection != Conse.kind:
            self._switch(build_conse(self.encoder, self.words))
        elif given := projection_file(self.options):
            check_projection(given, metadata)
            if given.to_bytes() != self.collection.read_file(PROJECTION_FILE):
                self._switch(given)

    def _train(self, kind: str, *, required: bool) -> None:
        labels = trainable(self.collection, self.words)
        if not labels and not required:
            self.collection.save(replace(self.collection.metadata, pending=Pending.NOTHING))
            return
        self._switch(train_kind(self.collection, self.encoder, self.words, kind))

    def _switch(self, projection: Projection) -> None:
        before = self.collection.metadata.projection
        with progress("projecting", self.collection.count(), unit="pictures") as shown:
            switch_projection(self.collection, projection, shown.advance)
        kind = projection.header.kind
        note(
            f"projection changed from {before} to {kind}" if self.collection.metadata.updated else f"projection: {kind}"
        )

    def _finish_switch(self) -> None:
        note("going on with the change of projection that an earlier run began")
        with progress("projecting", self.collection.count(), unit="pictures") as shown:
            finish_switch(self.collection, shown.advance)


def _usable(result: Embedded) -> Embedded | Failed:
    """A vector that is not finite or has no direction must never reach the store."""
    features = result.features
    if features is None or not np.isfinite(features).all() or not features.any():
        return Failed(result.file, "the encoder finds nothing in it")
    return result
