"""One collection of the embedded store: a shard of Qdrant's engine, opened in turns with other processes.

Why it is done so is measured in DESIGN.md, "The store"; the engine's habits this file is written around:
it holds the GIL for the whole of each call, applies half of a batch that fails, takes NaN without a word,
dies of SIGBUS on a full disk, raises bare `Exception` and panics with a `BaseException`, and ranks a
stored vector against a threshold strictly.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import qdrant_edge as edge

from ingest.errors import StoreDamaged, StoreError, StoreInUse
from ingest.records import CollectionMetadata
from ingest.stores import SCROLL_PAGE, VISUAL, Collection, Filter, Hit, Point, Vector, wants_codes, wants_graph
from ingest.stores.embedded.engine import (
    count_points,
    edge_errors,
    edge_filter,
    make_indexes,
    point_uuid,
    shard_config,
    sweep_log,
    to_point,
)
from ingest.stores.embedded.graph import build_graph_in_child, search_params
from ingest.stores.embedded.shard_lock import (
    READER_WAIT_SECONDS,
    WRITER_WAIT_SECONDS,
    become_writer,
    need_place,
    somebody_waits,
    take_turn,
)
from model.errors import DiskFull
from model.system.atomic import remove, replace_dir, replace_file, settle, sweep
from model.system.disk import folder_bytes, need_space
from model.system.events import note

METADATA_FILE = "collection.json"
SHARD = "shard"
DOOR_SECONDS = 0.05
"""How often a writer looks whether somebody waits."""

COMPACT_SHARE = 0.2
"""Deleted points keep their space until the shard is compacted; done where they are this share of it."""

HOLD_SECONDS = 0.25
"""So long at least a shared reader keeps what it has opened while questions come: opening costs as much."""

KILLED_SECONDS = 0.2
"""A killed process is gone by then."""

PAYLOAD_BYTES = 1024
"""What a payload takes at most, for foreseeing a full disk."""


class EmbeddedCollection(Collection):
    """One shard. A reader has it open from start to end; a writer, and a reader that shares it with others,
    let go of it whenever somebody waits, and open it anew for the next call."""

    def __init__(
        self,
        folder: Path,
        name: str,
        record: dict[str, Any],
        *,
        write: bool = False,
        new: bool = False,
        shared: bool = False,
    ) -> None:
        self.name = name
        self.folder = folder
        self.metadata = CollectionMetadata.from_json(record, name)
        self._record = record
        self._shard: edge.EdgeShard | None = None
        self._turn: IO[str] | None = None
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._ended = False
        self._gives_way = write or shared
        self._opened = 0.0
        self._writer: IO[str] | None = None
        try:
            if write:
                self._start_writing(new)
            else:
                with self._open():
                    pass
        except BaseException:
            self._let_go()
            raise
        if self._gives_way:
            self._door = threading.Thread(target=self._keep_door, name="door", daemon=True)
            self._door.start()

    def _start_writing(self, new: bool) -> None:
        self._writer = become_writer(self.folder, self.name)
        try:
            if new and (self.folder / METADATA_FILE).exists():
                raise StoreError(f"there is a collection {self.name!r} already: {self.folder}")
            sweep(self.folder)
            with self._open(new) as shard:
                lost = self._lost_points(shard)
                make_indexes(shard)
                self._save_record(clean=False, points=count_points(shard))
            if lost:
                self._warn_lost(lost)
        except BaseException:
            self._writer.close()
            raise

    def _warn_lost(self, lost: int) -> None:
        import logging

        logging.getLogger("wordsight").warning(
            "collection %r has lost %d points; what is missing is added again", self.name, lost
        )

    def _lost_points(self, shard: edge.EdgeShard) -> int:
        """Some damage makes the engine drop points without a word; only the count tells."""
        return int(self._record["points"]) - count_points(shard) if self._record.get("clean") else 0

    def _check_record(self, shard: edge.EdgeShard) -> None:
        """Read it again: while this waited for its turn, a writer may have changed it and the shard."""
        self._record = json.loads((self.folder / METADATA_FILE).read_bytes())
        self.metadata = CollectionMetadata.from_json(self._record, self.name)
        if lost := self._lost_points(shard):
            raise StoreDamaged(
                f"collection {self.name!r} in {self.folder} should hold {self._record['points']} points and "
                f"holds {self._record['points'] - lost}: `ingest run` on its folder mends it"
            )

    @contextmanager
    def _open(self, new: bool = False) -> Iterator[edge.EdgeShard]:
        """The shard, opened where it is not, and kept from the door while in use."""
        wait = WRITER_WAIT_SECONDS if self._writer is not None else READER_WAIT_SECONDS
        deadline = time.monotonic() + wait
        if not self._lock.acquire(timeout=wait):  # another thread waits for its turn, as long in vain
            raise StoreInUse(f"collection {self.name!r} is in use by another process, for over {wait:.0f} s")
        try:
            if self._ended:
                raise ValueError(f"collection {self.name!r} is closed")
            if self._is_wanted():
                self._let_go()
            shard = self._shard or self._take_shard(new, deadline - time.monotonic())
            with edge_errors(self.folder, self.name):
                yield shard
        finally:
            self._lock.release()

    def _is_wanted(self) -> bool:
        """Whether to let go before the next call: where calls come without a pause, the door finds none."""
        if self._shard is None or not self._gives_way:
            return False
        had_long = self._writer is not None or time.monotonic() - self._opened > HOLD_SECONDS
        return had_long and somebody_waits(self.folder, self.name)

    def _take_shard(self, new: bool, wait: float) -> edge.EdgeShard:
        self._turn = take_turn(self.folder, self.name, wait)
        try:
            settle(self.folder / SHARD)
            need_space(self.folder, 0)  # the engine dies of a full disk while it loads, too
            try:
                self._shard = shard = self._load(new)
            except StoreInUse:  # a process killed just now lets go of our lock first, then of the engine's
                time.sleep(KILLED_SECONDS)
                self._shard = shard = self._load(new)
            if self._writer is None:
                self._check_record(shard)
            self._opened = time.monotonic()
            return shard
        except BaseException:
            self._let_go()
            raise

    def _load(self, new: bool) -> edge.EdgeShard:
        path = str(self.folder / SHARD)
        with edge_errors(self.folder, self.name):
            if not new:
                if self._writer is not None:
                    sweep_log(self.folder / SHARD)
                return edge.EdgeShard.load(path)
            remove(self.folder / SHARD)  # of a run that was killed while it made or dropped this one
            return edge.EdgeShard.create(path, shard_config(self.metadata))

    def _keep_door(self) -> None:
        while not self._closed.wait(DOOR_SECONDS):
            with suppress(StoreError, DiskFull):  # whoever asks next meets it too, and tells
                waits = self._shard is not None and somebody_waits(self.folder, self.name)
                if waits and self._lock.acquire(timeout=DOOR_SECONDS):
                    try:
                        self._let_go()
                    finally:
                        self._lock.release()

    def _let_go(self) -> None:
        try:
            if self._shard is not None:
                with edge_errors(self.folder, self.name):
                    self._shard.close()
        finally:
            self._shard = None
            if self._turn is not None:
                self._turn.close()

    def _need_space(self, points: int) -> None:
        width = sum(self.metadata.vectors.values())
        need_space(self.folder, 2 * points * (4 * width + PAYLOAD_BYTES))

    def _upsert(self, points: Sequence[Point]) -> None:
        self._need_space(len(points))
        batch = [
            edge.Point(str(p.id), {name: v.tolist() for name, v in p.vectors.items()}, dict(p.payload)) for p in points
        ]
        with self._open() as shard:
            shard.update(edge.UpdateOperation.upsert_points(batch))
            shard.flush()
        self._count_written(len(points))

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        self._need_space(len(ids))
        batch = [edge.PointVectors(str(id), {name: row.tolist()}) for id, row in zip(ids, matrix, strict=True)]
        with self._open() as shard:
            shard.update(edge.UpdateOperation.update_vectors(batch))
            shard.flush()
        self._count_written(len(ids))

    def _count_written(self, points: int) -> None:
        """A point that is written leaves the graph, also where it was in it."""
        self._record["written"] = self._record.get("written", 0) + points

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector.tolist(), using=using),
            filter=edge_filter(filter),
            with_payload=True,
            params=search_params(limit, exact=exact),
        )
        with self._open() as shard:
            return [Hit(point_uuid(p.id), p.score, p.payload or {}) for p in shard.query(request)]

    def delete(self, ids: Sequence[UUID]) -> None:
        if ids:
            with self._open() as shard:
                before = count_points(shard)
                shard.update(edge.UpdateOperation.delete_points([str(id) for id in ids]))
                shard.flush()
                self._record["deleted"] = self._record.get("deleted", 0) + before - count_points(shard)

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        if not ids:
            return {}
        with self._open() as shard:
            found = shard.retrieve([str(id) for id in ids], True, list(vectors))
        return {(point := to_point(record)).id: point for record in found}

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        offset: Any = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=page,
                filter=edge_filter(filter),
                with_payload=True,
                with_vector=list(vectors) if vectors else False,
            )
            with self._open() as shard:
                found, offset = shard.scroll(request)
            if found:
                yield [to_point(record) for record in found]
            if offset is None:
                return

    def count(self, filter: Filter = Filter()) -> int:
        with self._open() as shard:
            return int(shard.count(edge.CountRequest(exact=True, filter=edge_filter(filter))))

    def _facet(self, field: str) -> dict[str, int]:
        with self._open() as shard:
            hits = shard.facet(edge.FacetRequest(field, limit=1_000_000, exact=True)).hits
        return {str(hit.value): hit.count for hit in hits}

    def save(self, metadata: CollectionMetadata) -> None:
        self.metadata = metadata
        self._save_record()

    def _save_record(self, **changes: Any) -> None:
        self._record = {**self._record, **self.metadata.to_json(), **changes}
        self._replace(METADATA_FILE, json.dumps(self._record, indent=1).encode())

    def write_file(self, name: str, data: bytes) -> None:
        need_space(self.folder, len(data))
        self._replace(name, data)

    def _replace(self, name: str, data: bytes) -> None:
        if self._writer is not None:
            need_place(self.folder, self.name, self._writer)
        try:
            with replace_file(self.folder / name) as file:
                file.write(data)
        except OSError as error:
            raise StoreError(f"cannot write {self.folder / name}: {error.strerror}") from error

    def read_file(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self.folder / name}: {error.strerror}") from error

    def remove_file(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def yield_lock(self) -> None:
        with self._lock:
            if self._shard is not None and somebody_waits(self.folder, self.name):
                self._let_go()

    def index(self, quantize: bool | None = None) -> None:
        """Build the graph over a copy of the shard, which then takes its place in one step."""
        if self.metadata.kind != "pictures" or self._writer is None:
            return
        with self._open() as shard:
            points, indexed = count_points(shard), int(shard.info().indexed_vectors_count) // len(self.metadata.vectors)
        deleted = self._record.get("deleted", 0)
        is_loose = self._record.get("graph", 0) and deleted > COMPACT_SHARE * (points + deleted)
        had = self._record.get("quantized", False)
        is_other = self._record.get("graph", 0) and quantize not in (None, had)
        if not (wants_graph(points, max(points - indexed, self._record.get("written", 0))) or is_loose or is_other):
            return
        if quantize is None:
            quantize = had or wants_codes(points, self.metadata.vectors[VISUAL])
        need_space(self.folder, 3 * folder_bytes(self.folder / SHARD))  # the copy, and what the engine makes of it
        note(f"building the search graph of {points} pictures; questions are answered meanwhile")
        try:
            with self._lock, ExitStack() as until_swapped, replace_dir(self.folder / SHARD) as copy:
                self._let_go()
                with take_turn(self.folder, self.name, WRITER_WAIT_SECONDS):
                    shutil.copytree(self.folder / SHARD, copy, dirs_exist_ok=True)
                build_graph_in_child(copy, self.name, self.metadata.vectors, quantize)
                until_swapped.enter_context(take_turn(self.folder, self.name, WRITER_WAIT_SECONDS))
        except OSError as error:
            raise StoreError(f"cannot copy {self.folder / SHARD}: {error.strerror or error}") from error
        self._save_record(graph=points, quantized=quantize, written=0, deleted=0)

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        if self._gives_way:
            self._door.join()
        try:
            if self._writer is not None:
                self._end_writing(self._writer)
        finally:
            with self._lock:
                self._ended = True
                self._let_go()

    def _end_writing(self, writer: IO[str]) -> None:
        try:
            with self._open() as shard:
                points = count_points(shard)
                deleted = self._record.get("deleted", 0)
                if deleted > COMPACT_SHARE * (points + deleted) and not self._record.get("graph"):
                    with suppress(DiskFull):  # it wants room for a copy, and the next run may have it
                        need_space(self.folder, folder_bytes(self.folder / SHARD))
                        shard.optimize()
                        deleted = 0
                self._let_go()
            self._save_record(clean=True, points=points, deleted=deleted)
        finally:
            writer.close()
