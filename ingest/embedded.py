"""The embedded store: collections in a folder, searched by Qdrant's own engine in this process.

A collection is a folder::

    collection.json          the facts, the number of points, whether the last writer ended well
    shard/                   qdrant-edge's files
    projection.safetensors   and other files kept with it
    shard.lock, turn.lock, writer.lock   see `ingest.turn`

Why it is done so is measured in DESIGN.md, "The store"; the engine's habits this file is written around:
it holds the GIL for the whole of each call, applies half of a batch that fails, takes NaN without a word,
dies of SIGBUS on a full disk, raises bare `Exception` and panics with a `BaseException`, and ranks a
stored vector against a threshold strictly.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import qdrant_edge as edge

from ingest.engine import (
    count_points,
    edge_errors,
    edge_filter,
    make_indexes,
    point_uuid,
    shard_config,
    to_point,
)
from ingest.store import SCROLL_PAGE, Collection, Facts, Filter, Hit, Point, Store, Summary, Vector
from ingest.turn import (
    READER_WAIT_SECONDS,
    WRITER_WAIT_SECONDS,
    become_writer,
    somebody_waits,
    take_turn,
)
from model.cache import need_space, remove, replace_file
from model.errors import DiskFull, StoreDamaged, StoreError, StoreInUse

FACTS_FILE = "collection.json"
SHARD = "shard"
DOOR_SECONDS = 0.05
"""How often a writer looks whether somebody waits."""

COMPACT_SHARE = 0.2
"""Deleted points keep their space until the shard is compacted; done where they are this share of it."""

KILLED_SECONDS = 0.2
"""A killed process is gone by then."""

PAYLOAD_BYTES = 1024
"""What a payload takes at most, for foreseeing a full disk."""


class EmbeddedStore(Store):
    """Collections below a folder, which appears with the first of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)
        if root.exists() and not root.is_dir():
            raise StoreError(f"the store {root} is a file: name a folder")

    def _folder(self, name: str) -> Path:
        return self.root / "collections" / name

    def names(self) -> list[str]:
        try:
            return sorted(path.parent.name for path in self.root.glob(f"collections/*/{FACTS_FILE}"))
        except OSError as error:
            raise StoreError(f"cannot read the store {self.root}: {error.strerror}") from error

    def facts(self, name: str) -> Facts:
        return Facts.from_json(self._record(name), name)

    def _record(self, name: str) -> dict[str, Any]:
        path = self._folder(name) / FACTS_FILE
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise self.not_found(name) from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise StoreDamaged(f"{path} is no JSON: remove its folder and run `ingest run` again") from error
        if not isinstance(record, dict):
            raise StoreDamaged(f"{path} holds no record: remove its folder and run `ingest run` again")
        return record

    def summary(self, name: str) -> Summary:
        record = self._record(name)
        size = _folder_bytes(self._folder(name))
        return Summary(name, Facts.from_json(record, name), int(record.get("points", 0)), size)

    def open(self, name: str, *, write: bool = False) -> EmbeddedCollection:
        return EmbeddedCollection(self._folder(name), name, self._record(name), write=write)

    def create(self, name: str, facts: Facts) -> EmbeddedCollection:
        folder = self._folder(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            need_space(folder, 0)
            record = {**facts.to_json(), "points": 0, "clean": False}
            return EmbeddedCollection(folder, name, record, write=True, new=True)
        except OSError as error:
            raise StoreError(f"cannot make {folder}: {error.strerror}; choose another with --store") from error

    def drop(self, name: str) -> None:
        self._record(name)
        folder = self._folder(name)
        with become_writer(folder, name), take_turn(folder, name, WRITER_WAIT_SECONDS):
            (folder / FACTS_FILE).unlink()  # first: from here on the collection is gone as a whole
            remove(folder)


def _disk_bytes(path: Path) -> int:
    """What a file takes on the disk: the engine's are sparse."""
    try:
        status = path.stat()
    except OSError:  # it went away meanwhile
        return 0
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


class EmbeddedCollection(Collection):
    """One shard. A reader has it open from start to end; a writer lets go of it whenever somebody waits."""

    def __init__(self, folder: Path, name: str, record: dict[str, Any], *, write: bool, new: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.facts = Facts.from_json(record, name)
        self._record = record
        self._shard: edge.EdgeShard | None = None
        self._turn: IO[str] | None = None
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._ended = False
        self._writer: IO[str] | None = None
        try:
            if write:
                self._start_writing(new)
            else:
                self._start_reading()
        except BaseException:
            self._let_go()
            raise
        if write:
            self._door = threading.Thread(target=self._keep_door, name="door", daemon=True)
            self._door.start()

    def _start_reading(self) -> None:
        with self._open() as shard:
            # Read again: while this waited for its turn, a writer may have changed both.
            self._record = json.loads((self.folder / FACTS_FILE).read_bytes())
            self.facts = Facts.from_json(self._record, self.name)
            self._check_count(shard)

    def _start_writing(self, new: bool) -> None:
        self._writer = become_writer(self.folder, self.name)
        try:
            if new and (self.folder / FACTS_FILE).exists():
                raise StoreError(f"there is a collection {self.name!r} already: {self.folder}")
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

    def _check_count(self, shard: edge.EdgeShard) -> None:
        if lost := self._lost_points(shard):
            raise StoreDamaged(
                f"collection {self.name!r} in {self.folder} should hold {self._record['points']} points and "
                f"holds {self._record['points'] - lost}: `ingest run` on its folder mends it"
            )

    @contextmanager
    def _open(self, new: bool = False) -> Iterator[edge.EdgeShard]:
        """The shard, opened where it is not, and kept from the door while in use."""
        with self._lock:
            if self._ended:
                raise ValueError(f"collection {self.name!r} is closed")
            if self._writer is not None and self._shard is not None and somebody_waits(self.folder):
                self._let_go()
            if self._shard is None:
                self._shard = self._take_shard(new)
            with edge_errors(self.folder, self.name):
                yield self._shard

    def _take_shard(self, new: bool) -> edge.EdgeShard:
        wait = WRITER_WAIT_SECONDS if self._writer is not None else READER_WAIT_SECONDS
        self._turn = take_turn(self.folder, self.name, wait)
        try:
            try:
                return self._load(new)
            except StoreInUse:  # a process killed just now lets go of our lock first, then of the engine's
                time.sleep(KILLED_SECONDS)
                return self._load(new)
        except BaseException:
            self._turn.close()
            raise

    def _load(self, new: bool) -> edge.EdgeShard:
        path = str(self.folder / SHARD)
        with edge_errors(self.folder, self.name):
            if not new:
                return edge.EdgeShard.load(path)
            remove(self.folder / SHARD)  # of a run that was killed while it made or dropped this one
            return edge.EdgeShard.create(path, shard_config(self.facts))

    def _keep_door(self) -> None:
        while not self._closed.wait(DOOR_SECONDS):
            if self._shard is not None and somebody_waits(self.folder) and self._lock.acquire(timeout=DOOR_SECONDS):
                try:
                    self._let_go()
                finally:
                    self._lock.release()

    def _let_go(self) -> None:
        if self._shard is not None and self._turn is not None:
            try:
                with edge_errors(self.folder, self.name):
                    self._shard.close()
            finally:
                self._shard = None
                self._turn.close()

    def _need_space(self, points: int) -> None:
        width = sum(self.facts.vectors.values())
        need_space(self.folder, 2 * points * (4 * width + PAYLOAD_BYTES))

    def _upsert(self, points: Sequence[Point]) -> None:
        self._need_space(len(points))
        batch = [
            edge.Point(str(p.id), {name: v.tolist() for name, v in p.vectors.items()}, dict(p.payload)) for p in points
        ]
        with self._open() as shard:
            shard.update(edge.UpdateOperation.upsert_points(batch))
            shard.flush()

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        self._need_space(len(ids))
        batch = [edge.PointVectors(str(id), {name: row.tolist()}) for id, row in zip(ids, matrix, strict=True)]
        with self._open() as shard:
            shard.update(edge.UpdateOperation.update_vectors(batch))
            shard.flush()

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter) -> list[Hit]:
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector.tolist(), using=using),
            filter=edge_filter(filter),
            with_payload=True,
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

    def scroll(self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE) -> Iterator[list[Point]]:
        offset: Any = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=page, with_payload=True, with_vector=list(vectors) if vectors else False
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

    def labels(self) -> dict[str, int]:
        with self._open() as shard:
            hits = shard.facet(edge.FacetRequest("label", limit=1_000_000, exact=True)).hits
        return dict(sorted(((str(hit.value), hit.count) for hit in hits), key=lambda item: (-item[1], item[0])))

    def save(self, facts: Facts) -> None:
        self.facts = facts
        self._save_record()

    def _save_record(self, **changes: Any) -> None:
        self._record = {**self._record, **self.facts.to_json(), **changes}
        try:
            with replace_file(self.folder / FACTS_FILE) as file:
                file.write(json.dumps(self._record, indent=1).encode())
        except OSError as error:
            raise StoreError(f"cannot write {self.folder / FACTS_FILE}: {error.strerror}") from error

    def write_file(self, name: str, data: bytes) -> None:
        try:
            need_space(self.folder, len(data))
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

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        if self._writer is not None:
            self._door.join()
            self._end_writing(self._writer)
        with self._lock:
            self._let_go()
            self._ended = True

    def _end_writing(self, writer: IO[str]) -> None:
        try:
            with self._open() as shard:
                points = count_points(shard)
                deleted = self._record.get("deleted", 0)
                if deleted > COMPACT_SHARE * (points + deleted):
                    with suppress(DiskFull):  # it wants room for a copy, and the next run may have it
                        need_space(self.folder, _folder_bytes(self.folder / SHARD))
                        shard.optimize()
                        deleted = 0
                self._let_go()
            self._save_record(clean=True, points=points, deleted=deleted)
        finally:
            writer.close()


def _folder_bytes(folder: Path) -> int:
    return sum(_disk_bytes(path) for path in folder.rglob("*"))
