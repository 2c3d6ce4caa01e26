"""New and changed files into points: read, encoded, written in batches; what was bad goes into the ledger.

It must not know which files have changed, nor which projection they are to get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from ingest.collection import Ledger, Options, RemovedVectors, mark_stale, read_collection_projection
from ingest.pipeline.changes import Indexed
from ingest.pipeline.report import Report
from ingest.pipeline.writer import BatchWriter
from ingest.records import stable_id
from ingest.stores import Collection, batches
from model.encoders import Embedded, Encoder, Failed, Record, Stopped, Vanished, embed
from model.errors import DatasetError
from model.pictures import PictureFile
from model.system.events import note, progress

ACK_PICTURES = 64
"""Pictures in one upsert: with half as many, flushing to disk takes a tenth of the time."""

SHOWN_FAILURES = 20
"""Bad files named as they are met; all of them are in the ledger."""


class Embedding:
    """Brings files into one collection, and counts in ``report`` what became of them.

    ``contents``: the SHA-256 of what was written. ``removed``: vectors of contents that were there once.
    """

    def __init__(
        self,
        collection: Collection,
        encoder: Encoder,
        ledger: Ledger,
        options: Options,
        report: Report,
        removed: RemovedVectors,
    ) -> None:
        self._collection = collection
        self._encoder = encoder
        self._ledger = ledger
        self._options = options
        self._report = report
        self._removed = removed
        self.contents: set[str] = set()

    def run(self, files: Sequence[PictureFile], indexed: Mapping[str, Indexed]) -> None:
        """Read, encode and write ``files``. Whatever ends it, the batches that were acknowledged are safe.

        Args:
            indexed: what the collection holds before, by path.

        Raises:
            DatasetError: their disk is gone; all files that were read before are kept.
            StoreError, ProjectionError: a batch cannot be written.
        """
        if not files:
            return
        mark_stale(self._collection)
        projection = read_collection_projection(self._collection)
        framing = self._encoder.spec.framing.rule
        known, removed = ({}, None) if self._options.re_embed else (indexed, self._removed)
        writer = BatchWriter(self._collection, projection, framing, known, self._encoder.classifier, removed)
        with progress("embedding", len(files), unit="pictures") as shown, self._collection.writing_ahead() as begin:

            def acknowledged(batch: Sequence[Record]) -> None:
                for record in batch:
                    if isinstance(record, Stopped):
                        raise DatasetError(record.reason)
                    self._count(record, is_indexed=record.file.relative in indexed)
                self._ledger.save_now_and_then()
                shown.advance(len(batch), f"{self._report.failed} bad" if self._report.failed else "")

            for batch in batches(self._with_vectors(files, writer), ACK_PICTURES):
                pictures = [record for record in batch if isinstance(record, Embedded)]
                writer.write(pictures, begin, partial(acknowledged, batch))

    def _embed(self, files: Sequence[PictureFile], is_known: Callable[[str], bool]) -> Iterator[Record]:
        return embed(
            files,
            self._encoder,
            is_known=is_known,
            max_megapixels=self._options.max_megapixels,
            max_seconds=self._options.max_seconds,
            strict=self._options.strict,
        )

    def _with_vectors(self, files: Sequence[PictureFile], writer: BatchWriter) -> Iterator[Record]:
        """Every record with its vector: of content that is indexed already the stored one, if it is still there."""
        for record in self._embed(files, writer.is_indexed):
            if not isinstance(record, Embedded):
                yield record
            elif record.features is not None:
                yield _usable(record)
            elif copied := writer.copy_of(record):
                self._report.copied += 1
                yield copied
            else:
                yield from map(_usable, self._embed([record.file], lambda _: False))

    def _count(self, record: Embedded | Failed | Vanished, *, is_indexed: bool) -> None:
        if isinstance(record, Vanished):  # the next run sees whether it was deleted
            self._report.vanished += 1
            return
        if isinstance(record, Failed):
            self._count_failed(record, is_indexed=is_indexed)
            return
        self.contents.add(record.sha256)
        if record.damaged:
            self._count_damaged(record)
        else:
            self._ledger.mended(record.file.relative)
        if is_indexed:
            self._report.updated += 1
        else:
            self._report.added += 1

    def _count_damaged(self, record: Embedded) -> None:
        self._report.damaged += 1
        self._ledger.add_damaged(record)
        if self._report.damaged <= SHOWN_FAILURES:
            note(f"damaged file {record.file.relative!r}, shown as far as it goes: {record.damaged}")
        elif self._report.damaged == SHOWN_FAILURES + 1:
            note("more damaged files: `ingest failures` lists them all")

    def _count_failed(self, failed: Failed, *, is_indexed: bool) -> None:
        path = failed.file.relative
        self._report.failed += 1
        self._ledger.add(failed)
        if is_indexed and not failed.transient:  # a file that turned bad has no right vector any more
            self._collection.delete([stable_id(path)])
            self._report.removed += 1
        if self._report.failed <= SHOWN_FAILURES:
            note(f"bad file {path!r}: {failed.reason}")
        elif self._report.failed == SHOWN_FAILURES + 1:
            note("more bad files: `ingest failures` lists them all")


def _usable(record: Record) -> Record:
    """A vector that is not finite or has no direction must never reach the store."""
    if not isinstance(record, Embedded):
        return record
    features = record.features
    if features is None or not np.isfinite(features).all() or not features.any():
        return Failed(record.file, "the encoder finds nothing in it")
    return record
