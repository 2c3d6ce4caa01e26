"""`ingest export`: a collection into a snapshot folder, whole or not at all. It must not know how it is searched."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ingest.collection import LABEL_CLASSES_FILE, MADE_AGAIN, PROJECTION_FILE, need_tags
from ingest.errors import StoreDamaged, StoreError, StoreInUse
from ingest.pipeline.inventory import inventory_of, written_whole
from ingest.records import CAMERA, KEYWORDS, PLACE, TAKEN_AT, TEXT, CollectionMetadata, Pending, Picture
from ingest.stores import SEMANTIC, VISUAL, WORD, Collection, Point, Store
from ingest.stores.snapshot import (
    CLASS_SPACE_DIR,
    DEFAULT_TARGET,
    ENCODER_DIR,
    MANIFEST_FILE,
    MOST_TREES,
    PICTURES_DIR,
    PICTURES_FILE,
    TAGS_FILE,
    THUMBNAILS_DIR,
    WORDS_DIR,
    IndexInfo,
    Manifest,
    build_index_in_child_process,
    sparse_file,
    sparse_rows,
    sparse_schema,
)
from model import __version__
from model.encoders import OnnxEncoder, open_encoder, read_file
from model.errors import PictureError, UsageError
from model.pictures import PictureFile, thumbnail
from model.projections import prepare_classes, unit
from model.system.atomic import replace_dir
from model.system.clock import now
from model.system.disk import need_space
from model.system.events import note, progress
from model.system.paths import expanded, real_path
from model.system.prepared import CHECKSUMS_FILE

PAGE = 256
LATEST_NS = 2**63 - 1
THUMBNAIL_BYTES = 1 << 14

TREE_BYTES = 16
"""For each item and tree, of any width: a leaf as large as a vector holds some 0.7 * width ids."""

UNFINISHED = (Pending.CREATING, Pending.SWITCHING, Pending.RELABELLING, Pending.RE_EMBEDDING)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """``trees``: exactly so many; else as many as ``target`` recall needs."""

    trees: int | None = None
    target: float = DEFAULT_TARGET
    seed: int = 0
    with_encoder: bool = False
    with_thumbnails: bool = False
    with_pictures: bool = False


def export_collection(store: Store, name: str, target: Path, options: ExportOptions) -> Manifest:
    """Write collection ``name`` to the folder ``target``, in place of an older snapshot there.

    Memory stays bounded: vectors go through files, and one index is built at a time, in its file where large.

    Raises:
        UsageError: ``target`` is something else than a snapshot or an empty folder.
        DiskFull, StoreError: nothing of ``target`` was changed.
    """
    target = real_path(expanded(target))
    with written_whole(target):
        _check_target(target)
    metadata = store.metadata(name)
    if metadata.pending in UNFINISHED:
        raise UsageError(f"an `ingest run` on {name!r} ended early, its vectors are not of one kind: run it to its end")
    tags = need_tags(store, metadata.words, metadata.words_sha256)
    carried = {WORDS_DIR: store.words(metadata).folder}
    if metadata.sparse:
        carried[CLASS_SPACE_DIR] = prepare_classes(store.words(metadata))
    if options.with_encoder:
        carried[ENCODER_DIR] = _encoder_folder(metadata)
    _need_space(target, metadata, store.summary(name).points, carried, options)
    with written_whole(target), replace_dir(target) as folder:
        indexes = _write_collections(store, name, metadata, tags, folder, options)
        for place, source in carried.items():
            _copy_files(source, folder / place)
        if options.with_thumbnails or options.with_pictures:
            _carry_pictures(folder, Path(metadata.root), options)
        manifest = Manifest(
            collection=name,
            metadata=metadata,
            tags=tags,
            indexes=indexes,
            files=inventory_of(folder),
            created=now(),
            program=f"wordsight {__version__}",
        )
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return manifest


def _check_target(target: Path) -> None:
    if target.is_mount():
        raise UsageError(f"{target} is a mount point, which cannot be replaced in one step: name a folder in it")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir() or not (target / MANIFEST_FILE).is_file():
        raise UsageError(f"{target} exists and is not a snapshot: name another folder")
    try:
        ours = Manifest.read(target).files.keys() | {MANIFEST_FILE}
    except StoreError as error:
        raise UsageError(f"{target} is not replaced ({error}): remove it, or name another folder") from error
    for path in target.rglob("*"):
        if not path.is_dir() and path.relative_to(target).as_posix() not in ours:
            raise UsageError(f"{path} does not belong to the snapshot in {target}: move it, or name another folder")


def _need_space(
    target: Path, metadata: CollectionMetadata, points: int, carried: Mapping[str, Path], options: ExportOptions
) -> None:
    """Every vector is there twice while its index is built; what pictures take is known later."""
    vectors = sum(metadata.vectors.values()) * 4 * points
    models = sum(path.stat().st_size for folder in carried.values() for path in folder.iterdir())
    need_space(target, 2 * vectors + _tree_bytes(points, options) + models)


def _tree_bytes(items: int, options: ExportOptions) -> int:
    return TREE_BYTES * items * (options.trees or MOST_TREES)


def _write_collections(
    store: Store, name: str, metadata: CollectionMetadata, tags: str, folder: Path, options: ExportOptions
) -> dict[str, IndexInfo]:
    """Tables, projection and indexes. Each collection is held open only while it is read."""
    with store.open(name) as collection:
        if not collection.count():
            raise UsageError(f"collection {name!r} holds no pictures: there is nothing to export")
        _refuse_changed(name, collection.metadata, metadata)
        projection = collection.read_file(PROJECTION_FILE)
        if projection is None:
            raise StoreDamaged(f"collection {name!r} has lost its {PROJECTION_FILE}: {MADE_AGAIN}")
        (folder / PROJECTION_FILE).write_bytes(projection)
        if labels := collection.read_file(LABEL_CLASSES_FILE):
            (folder / LABEL_CLASSES_FILE).write_bytes(labels)
        _spool(collection, folder, PICTURES_FILE, (VISUAL, SEMANTIC), collection.metadata.sparse)
        if collection.read_file(PROJECTION_FILE) != projection:
            raise _changing(name)
        _refuse_changed(name, store.metadata(name), metadata)
    with store.open(tags) as vocabulary:
        _spool(vocabulary, folder, TAGS_FILE, (WORD,))
    widths = {**metadata.vectors, **store.metadata(tags).vectors}
    return {space: _index(folder, space, width, options) for space, width in widths.items()}


def _refuse_changed(name: str, there: CollectionMetadata, metadata: CollectionMetadata) -> None:
    """Raises StoreInUse where the vectors are not, or may not be, all of the one projection that ``metadata`` names."""
    if (there.projection, there.pending) != (metadata.projection, metadata.pending):
        raise _changing(name)


def _changing(name: str) -> StoreInUse:
    return StoreInUse(f"an `ingest run` is changing collection {name!r}: export it when that has ended")


def _spool_file(folder: Path, space: str) -> Path:
    return folder / f"{space}.f32"


def _spool(collection: Collection, folder: Path, table: str, spaces: Sequence[str], sparse: Sequence[str] = ()) -> None:
    """Payloads into a Parquet table, vectors beside it as raw float32 rows in the same order."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(table)
    previous = b""
    with ExitStack() as files:
        vectors = {space: files.enter_context(_spool_file(folder, space).open("wb")) for space in spaces}
        writer = files.enter_context(parquet.ParquetWriter(folder / table, schema))
        beside = {
            name: files.enter_context(parquet.ParquetWriter(folder / sparse_file(name), sparse_schema()))
            for name in sparse
        }
        shown = files.enter_context(progress(f"reading {collection.name}", collection.count(), unit="points"))
        for points in collection.scroll([*spaces, *sparse], page=PAGE):
            ids = [point.id.bytes for point in points]
            if sorted(ids) != ids or ids[0] <= previous:
                raise StoreDamaged(f"collection {collection.name!r} does not give its points in order: export again")
            previous = ids[-1]
            writer.write_table(pyarrow.Table.from_pylist([_row(point) for point in points], schema=schema))
            for name, own in beside.items():
                rows_of = sparse_rows(point.sparse[name] for point in points)
                own.write_table(pyarrow.Table.from_pylist(rows_of, schema=sparse_schema()))
            for space, file in vectors.items():
                rows = np.stack([point.vectors[space] for point in points])
                file.write(unit(rows).tobytes())
            collection.yield_lock()
            shown.advance(len(points))


def _schema(table: str) -> Any:
    import pyarrow as pa

    own: list[tuple[str, Any]]
    if table == TAGS_FILE:
        own = [("word", pa.string()), ("rank", pa.int32())]
    else:
        own = [
            ("path", pa.string()),
            ("path_base64", pa.string()),
            ("label", pa.string()),
            ("folders", pa.list_(pa.string())),
            ("sha256", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("bytes", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("visual_norm", pa.float64()),
            ("inode", pa.int64()),
            ("framing", pa.string()),
            ("damaged", pa.string()),
            ("frame", pa.int32()),
            ("signature", pa.string()),
            ("taken", pa.string()),
            ("taken_from", pa.string()),
            (TAKEN_AT, pa.int64()),
            (CAMERA, pa.string()),
            ("lens", pa.string()),
            (PLACE, pa.struct([("lat", pa.float64()), ("lon", pa.float64())])),
            ("orientation", pa.int32()),
            (KEYWORDS, pa.list_(pa.string())),
            (TEXT, pa.string()),
        ]
    return pa.schema([("id", pa.binary(16)), *own])


def _row(point: Point) -> dict[str, Any]:
    """Times after 2262 do not fit into 64 bits: such a file counts as changed wherever it is looked at."""
    row = {"id": point.id.bytes, **point.payload}
    return {**row, "mtime_ns": min(row["mtime_ns"], LATEST_NS)} if "mtime_ns" in row else row


def _index(folder: Path, space: str, width: int, options: ExportOptions) -> IndexInfo:
    spool = _spool_file(folder, space)
    size = spool.stat().st_size
    items = size // (4 * width)
    need_space(folder, size + _tree_bytes(items, options))
    with progress(f"indexing {space}", items, unit="vectors") as shown:
        built = build_index_in_child_process(
            spool,
            folder / f"{space}.ann",
            width,
            seed=options.seed,
            target=options.target,
            trees=options.trees,
            on_progress=shown.advance,
        )
    spool.unlink()
    if built.recall < options.target:
        note(f"{space}: only {built.recall:.3f} recall@10 with {built.trees} trees, {options.target} was the target")
    return built


def _carry_pictures(folder: Path, root: Path, options: ExportOptions) -> None:
    from pyarrow import parquet

    table = parquet.ParquetFile(folder / PICTURES_FILE)
    sizes = table.read(["bytes"]).column("bytes").to_pylist()
    need_space(folder, sum(sizes) * options.with_pictures + len(sizes) * THUMBNAIL_BYTES * options.with_thumbnails)
    missing = 0
    with progress("copying pictures", table.metadata.num_rows, unit="pictures") as shown:
        for batch in table.iter_batches(PAGE):
            for record in batch.to_pylist():
                picture = Picture.from_payload(record)
                try:
                    data = _read_indexed(root, picture)
                    if options.with_pictures:
                        _write_copy(data, folder / PICTURES_DIR / picture.path, picture.mtime_ns)
                    if options.with_thumbnails:
                        _write_thumbnail(data, picture, folder / THUMBNAILS_DIR / f"{picture.id}.jpg")
                except PictureError:
                    missing += 1
                shown.advance()
    if missing:
        note(f"{missing} pictures are gone or changed in {root} and are in the snapshot by their vectors only")


def _read_indexed(root: Path, picture: Picture) -> bytes:
    """The picture's bytes; raises PictureError unless they still are those that were indexed."""
    path = Path(picture.path)
    if path.anchor or ".." in path.parts:  # a server may say anything: nothing is read or written outside
        raise PictureError("outside the dataset")
    try:
        _, data = read_file(PictureFile(root, picture.path, picture.size, picture.mtime_ns))
    except OSError as error:
        raise PictureError(str(error.strerror)) from error
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        raise PictureError("changed since")
    return data


def _write_copy(data: bytes, path: Path, mtime_ns: int) -> None:
    """With its time, by which a query knows that it is indexed as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def _write_thumbnail(data: bytes, picture: Picture, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(thumbnail(data, name=picture.path, max_megapixels=0))  # whatever the limit was when it was indexed


def _encoder_folder(metadata: CollectionMetadata) -> Path:
    encoder = open_encoder(metadata.encoder, metadata.encoder_sha256, framing=metadata.framing)
    if not isinstance(encoder, OnnxEncoder):
        raise UsageError(f"{metadata.encoder} cannot be carried away: leave --with-encoder out")
    return encoder.folder


def _copy_files(source: Path, folder: Path) -> None:
    folder.mkdir()
    for path in source.iterdir():
        if path.name == CHECKSUMS_FILE:  # the manifest has them
            continue
        shutil.copyfile(path, folder / path.name)  # not its mode: a cache may be read-only
