"""`ingest backup` and `ingest restore`: collections into files, and back into a store of any kind, as they were.

A backup holds every point with all its vectors, the files kept with the collection, and what it is made of. It is read
through the store, not copied from its disk: one taken of three nodes can be restored on one, or in a folder. It must
not know which store is behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ingest.errors import StoreDamaged, StoreError, StoreInUse
from ingest.pipeline.inventory import inventory_of, written_whole
from ingest.pipeline.search_graph import build_search_graph
from ingest.records import CollectionMetadata, Pending
from ingest.stores import Collection, Point, SparseVector, Store
from model import __version__
from model.errors import UsageError
from model.system.atomic import replace_dir, sha256_file
from model.system.clock import now
from model.system.disk import need_space
from model.system.events import progress
from model.system.formats import why_unreadable
from model.system.paths import expanded, real_path

MANIFEST_FILE = "backup.json"
POINTS_FILE = "points.parquet"
FILES_DIR = "files"
READABLE = range(1, 2)
"""Formats of backups."""

PAGE = 256
"""Points in memory at once."""

PAYLOAD_BYTES = 2048
"""Of a point, at most as a rule; with the vectors, what is asked for of the disk."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One collection in a backup. ``files``: of the folder, by path, with size and SHA-256."""

    name: str
    metadata: CollectionMetadata
    points: int
    files: Mapping[str, Mapping[str, Any]]
    created: str

    def to_json(self) -> bytes:
        kept = {"collection": self.name, "metadata": self.metadata.to_json(), "points": self.points}
        head = {"format": READABLE[-1], "program": __version__, "created": self.created}
        return json.dumps({**head, **kept, "files": self.files}, indent=1).encode()

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """Raises StoreError where it is not whole, or of a format that is not read."""
        path = folder / MANIFEST_FILE
        try:
            read = json.loads(path.read_bytes())
            problem = why_unreadable(
                str(path), read["format"], READABLE, program=read.get("program"), remedy="make the backup again"
            )
            if problem:
                raise StoreError(problem)
            name = read["collection"]
            metadata = CollectionMetadata.from_json(read["metadata"], name)
            return cls(name, metadata, read["points"], read["files"], read["created"])
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(f"{path} is damaged, or no backup's: take another backup") from error


def back_up(store: Store, name: str, target: Path) -> Backup:
    """Write a collection to a folder of its name in ``target``, in place of an older backup of it there.

    Raises:
        UsageError: that folder is something else.
        StoreInUse: a run writes the collection.
        DiskFull, StoreError: an older backup is as it was.
    """
    folder = real_path(expanded(target)) / name
    with written_whole(folder):
        if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST_FILE).is_file():
            raise UsageError(f"{folder} exists and is no backup: name another folder")
        with store.writing(name), store.open(name) as collection, replace_dir(folder) as new:
            numbers = sum(collection.metadata.vectors.values())
            need_space(folder, collection.count() * (4 * numbers + PAYLOAD_BYTES))
            points = _write_points(collection, new / POINTS_FILE)
            _write_files(collection, new / FILES_DIR)
            backup = Backup(name, collection.metadata, points, inventory_of(new), now())
            (new / MANIFEST_FILE).write_bytes(backup.to_json())
    return backup


def _write_points(collection: Collection, path: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    metadata, written = collection.metadata, 0
    names = [*metadata.vectors, *metadata.sparse]
    schema = _schema(metadata)
    with (
        progress(f"backing up {collection.name}", collection.count(), unit="points") as shown,
        parquet.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        for points in collection.scroll(names, page=PAGE):
            writer.write_table(pa.Table.from_pylist([_row(point, metadata) for point in points], schema=schema))
            written += len(points)
            collection.yield_lock()
            shown.advance(len(points))
    return written


def _schema(metadata: CollectionMetadata) -> Any:
    import pyarrow as pa

    dense = [(name, pa.list_(pa.float32(), width)) for name, width in metadata.vectors.items()]
    numbers = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
    sparse = [(name, numbers) for name in metadata.sparse]
    return pa.schema([("id", pa.binary(16)), ("payload", pa.string()), *dense, *sparse])


def _row(point: Point, metadata: CollectionMetadata) -> dict[str, Any]:
    dense = {name: point.vectors[name] for name in metadata.vectors}
    sparse = {
        name: {"indices": vector.indices, "values": vector.values}
        for name, vector in ((name, point.sparse[name]) for name in metadata.sparse)
    }
    return {"id": point.id.bytes, "payload": json.dumps(point.payload), **dense, **sparse}


def _write_files(collection: Collection, folder: Path) -> None:
    folder.mkdir()
    for name in collection.kept_files():
        data = collection.read_file(name)
        if data is not None:
            (folder / name).write_bytes(data)


def backups_in(target: Path, name: str = "") -> list[Path]:
    """The folders of the collections in a backup, or of the one named.

    Raises:
        UsageError: there is none.
    """
    place = expanded(target)
    found = sorted(path.parent for path in place.glob(f"*/{MANIFEST_FILE}") if name in ("", path.parent.name))
    if not found:
        raise UsageError(f"no backup {f'of {name!r} ' if name else ''}in {place}: `ingest backup` makes one")
    return found


def restore(store: Store, folder: Path) -> Backup:
    """Make a collection as it was when the backup in ``folder`` was taken. One that was killed goes on.

    Raises:
        StoreDamaged: files of the backup are missing or were changed; nothing was written.
        UsageError: a collection of its name is there.
    """
    backup = Backup.read(folder)
    _check_files(folder, backup)
    with _begun(store, backup) as collection:
        _read_points(collection, folder / POINTS_FILE, backup)
        for path in sorted((folder / FILES_DIR).iterdir()):
            collection.write_file(path.name, path.read_bytes())
        if (found := collection.count()) != backup.points:
            raise StoreError(f"collection {backup.name!r} has {found} points, and its backup {backup.points}: drop it")
        collection.save(replace(backup.metadata, files={}))
        build_search_graph(collection)
    return backup


def _check_files(folder: Path, backup: Backup) -> None:
    with progress("taking checksums", len(backup.files), unit="files") as shown:
        for name, kept in backup.files.items():
            path = folder / name
            is_whole = path.is_file() and path.stat().st_size == kept["bytes"] and sha256_file(path) == kept["sha256"]
            if not is_whole:
                raise StoreDamaged(f"{path} is missing or was changed since the backup: nothing was restored")
            shown.advance()


@contextmanager
def _begun(store: Store, backup: Backup) -> Iterator[Collection]:
    """The collection, to be filled; it counts as being made until it is."""
    name = backup.name
    if not store.has(name):
        store.create(name, replace(backup.metadata, pending=Pending.CREATING, files={})).close()
    elif store.metadata(name).pending != Pending.CREATING:
        raise UsageError(f"there is a collection {name!r} in {store.where}: `ingest drop {name}` makes room for it")
    with store.writing(name), store.open(name, write=True) as collection:
        if collection.metadata.pending != Pending.CREATING:
            raise StoreInUse(f"another process has just made {name!r} in {store.where}")
        yield collection


def _read_points(collection: Collection, path: Path, backup: Backup) -> None:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    with (
        progress(f"restoring {backup.name}", backup.points, unit="points") as shown,
        collection.writing_ahead() as begin,
    ):
        for batch in file.iter_batches(PAGE):
            points = _points_of(batch, backup.metadata)
            begin(partial(collection.upsert, points), partial(shown.advance, len(points)))


def _points_of(batch: Any, metadata: CollectionMetadata) -> Sequence[Point]:
    ids, payloads = batch.column("id").to_pylist(), batch.column("payload").to_pylist()
    dense = {
        name: np.asarray(batch.column(name).flatten(), np.float32).reshape(-1, width)
        for name, width in metadata.vectors.items()
    }
    sparse = {name: batch.column(name).to_pylist() for name in metadata.sparse}
    return [
        Point(
            UUID(bytes=id),
            {name: rows[row] for name, rows in dense.items()},
            json.loads(payload),
            {name: _sparse(rows[row]) for name, rows in sparse.items()},
        )
        for row, (id, payload) in enumerate(zip(ids, payloads, strict=True))
    ]


def _sparse(numbers: Mapping[str, Sequence[float]]) -> SparseVector:
    return SparseVector(np.asarray(numbers["indices"], np.uint32), np.asarray(numbers["values"], np.float32))
