"""What becomes of new and changed files: counted, and what was bad put into the ledger.

It must not know how they are read (`embedder`), nor on which machines (`ray_cluster`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ingest.collection import Ledger, Options, RemovedVectors, mark_stale
from ingest.pipeline.changes import Indexed
from ingest.pipeline.embedder import Embedder
from ingest.pipeline.ray_cluster import embed_on_ray
from ingest.pipeline.report import Report
from ingest.records import stable_id
from ingest.stores import Collection, Store
from model.encoders import Embedded, Encoder, Failed, Record, Stopped, Vanished
from model.errors import DatasetError
from model.pictures import PictureFile
from model.system.events import note, progress

SHOWN_FAILURES = 20
"""Bad files named as they are met; all of them are in the ledger."""


class Embedding:
    """Brings files into one collection, and counts in ``report`` what became of them.

    ``contents``: the SHA-256 of what was written. ``removed``: vectors of contents that were there once. ``elsewhere``:
    opens the store on another machine, where those of a Ray cluster do the work.
    """

    def __init__(
        self,
        collection: Collection,
        encoder: Encoder,
        ledger: Ledger,
        options: Options,
        report: Report,
        removed: RemovedVectors,
        elsewhere: Callable[[], Store] | None = None,
    ) -> None:
        self._collection = collection
        self._encoder = encoder
        self._ledger = ledger
        self._options = options
        self._report = report
        self._removed = removed
        self._elsewhere = elsewhere
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
        with progress("embedding", len(files), unit="pictures") as shown:

            def acknowledged(batch: Sequence[Record]) -> None:
                for record in batch:
                    if isinstance(record, Stopped):
                        raise DatasetError(record.reason)
                    self._count(record, is_indexed=record.file.relative in indexed)
                self._ledger.save_now_and_then()
                shown.advance(len(batch), f"{self._report.failed} bad" if self._report.failed else "")

            self._report.copied += self._embed(files, indexed, acknowledged)

    def _embed(
        self,
        files: Sequence[PictureFile],
        indexed: Mapping[str, Indexed],
        acknowledged: Callable[[Sequence[Record]], None],
    ) -> int:
        """Here or by Ray; returns how many were known by their content."""
        if self._elsewhere:
            name, root = self._collection.name, files[0].root
            return embed_on_ray(self._elsewhere, name, root, self._options, files, indexed, acknowledged)
        embedder = Embedder(self._collection, self._encoder, self._options, indexed, self._removed)
        embedder.embed(files, acknowledged)
        return embedder.copied

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
