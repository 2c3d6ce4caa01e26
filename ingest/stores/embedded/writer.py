"""A collection of the embedded store as its one writer has it.

The engine's habits this file is written around (DESIGN.md, "The store"): it holds the GIL for the whole of each call,
applies half of a batch that fails, takes NaN silently, and dies of SIGBUS on a full disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from ingest.errors import StoreError
from ingest.records import CollectionMetadata
from ingest.stores import VISUAL, Point, SparseVector, Vector, wants_codes, wants_graph
from ingest.stores.embedded.checking import DAMAGED, check_shard
from ingest.stores.embedded.collection import EmbeddedCollection
from ingest.stores.embedded.engine import (
    OF_SOME_POINTS,
    count_points,
    engine_version,
    make_indexes,
    shard_config,
    to_sparse,
    to_vectors,
)
from ingest.stores.embedded.files import KeptFiles, checksum
from ingest.stores.embedded.graph import build_graph
from ingest.stores.embedded.record import COPY_FILE, METADATA_FILE
from ingest.stores.embedded.seal import has_journal, seal_shard
from ingest.stores.embedded.shard import Access
from ingest.stores.embedded.shard_lock import lock_writer
from model.errors import DiskFull
from model.system.atomic import fsync_dir, remove_at_once, sweep
from model.system.disk import folder_bytes, need_space
from model.system.events import note

PAYLOAD_BYTES = 1024
"""What a payload takes at most, for foreseeing a full disk."""


class EmbeddedWriter(EmbeddedCollection):
    """The only writer of a collection, which releases the shard between calls for readers who wait.

    Args:
        new: make the collection, with the metadata in ``record``.
        mending: put its damaged shard aside and begin an empty one, until `end_mending`.

    Raises:
        StoreInUse: another process writes it.
        StoreDamaged: files of the shard are missing or were changed.
    """

    def __init__(
        self, folder: Path, name: str, record: Mapping[str, Any], *, new: bool = False, mending: bool = False
    ) -> None:
        self._new = new
        self._mending = mending
        self._is_closed = False
        self._writer_lock = lock_writer(folder, name)
        try:
            super().__init__(folder, name, record, Access.WRITE)
        except BaseException:
            self._writer_lock.close()
            raise

    def _start(self) -> None:
        self._files = KeptFiles(self.folder, self.name, lambda: self._record, self._writer_lock)
        if self._new and (self.folder / METADATA_FILE).exists():
            raise StoreError(f"there is a collection {self.name!r} already: {self.folder}")
        sweep(self.folder)
        self._is_checked = False
        self._indexed: set[str] = set()
        try:
            if self._mending:
                self._put_aside()
            with self._shard.opened(shard_config(self.metadata) if self._new or self._mending else None) as shard:
                lost = 0 if self._mending else self._record.missing(count_points(shard))
                make_indexes(shard)
                if not self._mending:
                    self._save_record(clean=False, points=count_points(shard), seal=None, engine=engine_version())
        except BaseException:
            self._shard.close()
            raise
        if lost:
            note(f"collection {self.name!r} has lost {lost} points; what is missing is added again")

    def _put_aside(self) -> None:
        """The damaged shard goes first, so that no reader takes what is mended of it for all there is."""
        aside = self.folder / DAMAGED
        with self._shard.closed() as path:
            if not aside.exists() and path.exists():
                path.replace(aside)
            aside.mkdir(exist_ok=True)  # of a shard of which nothing was left
            fsync_dir(self.folder)
        self._save_record(clean=False, graph=0, written=0, deleted=0)
        self._is_checked = True

    def end_mending(self) -> None:
        """What was sound is in the new shard: the damaged one goes."""
        remove_at_once(self.folder / DAMAGED)
        self._mending = False

    def _before_load(self) -> None:
        """What is recorded is this writer's own, and so is the shard once it was loaded."""
        if not self._is_checked:
            check_shard(self.folder, self.name, self._record)
            self._is_checked = True

    def _on_load(self, shard: edge.EdgeShard) -> None:
        """Points that are missing are noted and made again, see `_start`."""

    def _upsert(self, points: Sequence[Point]) -> None:
        self._need_space(len(points))
        batch = [edge.Point(str(point.id), to_vectors(point), dict(point.payload)) for point in points]
        with self._shard.opened() as shard:
            self._make_indexes(shard, [point.payload for point in points])
            shard.update(edge.UpdateOperation.upsert_points(batch))
            shard.flush()
        self._record.written += len(points)  # a point that is written leaves the graph, also where it was in it

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        self._need_space(len(ids))
        batch = [edge.PointVectors(str(id), {name: row.tolist()}) for id, row in zip(ids, matrix, strict=True)]
        with self._shard.opened() as shard:
            shard.update(edge.UpdateOperation.update_vectors(batch))
            shard.flush()
        self._record.written += len(ids)

    def _set_payloads(self, payloads: Mapping[UUID, Mapping[str, Any]]) -> None:
        self._need_space(len(payloads))
        with self._shard.opened() as shard:
            self._make_indexes(shard, payloads.values())
            for id, payload in payloads.items():
                shard.update(edge.UpdateOperation.overwrite_payload([str(id)], dict(payload)))
            shard.flush()
        self._record.written += len(payloads)

    def _make_indexes(self, shard: edge.EdgeShard, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Before the points that need them are there: what is not indexed is not counted by its values."""
        new = OF_SOME_POINTS.keys() & {field for payload in payloads for field in payload} - self._indexed
        if new:
            make_indexes(shard, new)
            self._indexed |= new

    def _set_sparse(self, name: str, vectors: Mapping[UUID, SparseVector]) -> None:
        self._need_space(len(vectors))
        batch = [edge.PointVectors(str(id), {name: to_sparse(vector)}) for id, vector in vectors.items()]
        with self._shard.opened() as shard:
            shard.update(edge.UpdateOperation.update_vectors(batch))
            shard.flush()
        self._record.written += len(vectors)

    def delete(self, ids: Sequence[UUID]) -> None:
        if ids:
            with self._shard.opened() as shard:
                before = count_points(shard)
                shard.update(edge.UpdateOperation.delete_points([str(id) for id in ids]))
                shard.flush()
                self._record.deleted += before - count_points(shard)

    def _need_space(self, points: int) -> None:
        width = sum(self.metadata.vectors.values())
        need_space(self.folder, 2 * points * (4 * width + PAYLOAD_BYTES))

    def save(self, metadata: CollectionMetadata) -> None:
        self.metadata = metadata
        self._save_record()

    def _save_record(self, **changes: Any) -> None:
        self._record.metadata = self.metadata
        for name, value in changes.items():
            setattr(self._record, name, value)
        data = json.dumps(self._record.to_json(), indent=1).encode()
        for file in (METADATA_FILE, COPY_FILE):
            self._files.replace(file, data)

    def write_file(self, name: str, data: bytes) -> None:
        need_space(self.folder, len(data))
        kept = self._record.kept
        if name in kept:
            kept[name] = (*kept[name][-1:], checksum(data))  # whichever is there when the process ends
            self._save_record()
        self._files.replace(name, data)  # a new one before it is recorded: what is recorded and not there is lost
        kept[name] = (checksum(data),)
        self._save_record()

    def remove_file(self, name: str) -> None:
        if self._record.kept.pop(name, None):
            self._save_record()
        self._files.remove(name)

    def index(self, quantize: bool | None = None) -> bool:
        """Build the graph over a copy of the shard, which then takes its place in one step."""
        if self.metadata.kind != "pictures":
            return False
        with self._shard.opened() as shard:
            points, indexed = count_points(shard), int(shard.info().indexed_vectors_count) // len(self.metadata.vectors)
        record = self._record
        is_new = wants_graph(points, max(points - indexed, record.written))
        is_other = quantize not in (None, record.quantized)
        if not is_new and not (record.graph and (record.is_loose(points) or is_other)):
            return False
        if quantize is None:
            quantize = record.quantized or wants_codes(points, self.metadata.vectors[VISUAL])
        need_space(self.folder, 3 * folder_bytes(self._shard.path))  # the copy, and what the engine makes of it
        note(f"building the search graph of {points} pictures; questions are answered meanwhile")
        build_graph(self._shard, self.metadata, self.name, quantize)
        self._save_record(graph=points, quantized=quantize, written=0, deleted=0)
        return True

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._end()
        finally:
            try:
                super().close()
            finally:
                self._writer_lock.close()

    def _end(self) -> None:
        if self._mending:  # it did not come to its end, and begins again
            return
        self._seal()

    def _seal(self) -> None:
        """Record how many points there are and what the files of the shard are like, once it is closed: from then on
        whatever is missing or changed is noticed."""
        with self._shard.opened() as shard:
            points = count_points(shard)
            if self._record.is_loose(points) and not self._record.graph:
                with suppress(DiskFull):  # it wants room for a copy, and the next run may have it
                    need_space(self.folder, folder_bytes(self._shard.path))
                    shard.optimize()
                    self._record.deleted = 0
            self._shard.release()
        with suppress(DiskFull):  # then it has no seal until a run has room for one
            self._save_record(clean=True, points=points, seal=self._sealed())
            return
        self._save_record(clean=True, points=points)

    def _sealed(self) -> int:
        """Seal the shard as the next load will find it; returns the seal's checksum."""
        if has_journal(self._shard.path):  # which the next load would use up, and so change what is sealed
            with self._shard.opened():
                self._shard.release()
        with self._shard.closed() as path:
            try:
                return seal_shard(path, self.folder)
            except OSError as error:
                raise StoreError(f"cannot seal {path}: {error.strerror or error}") from error
