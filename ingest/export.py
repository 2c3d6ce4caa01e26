"""`ingest export`: a collection into a snapshot folder, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ingest.forest import DEFAULT_TARGET, Matrix, Space, build_forest
from ingest.record import Picture
from ingest.semantics import PROJECTION_FILE
from ingest.snapshot import (
    ENCODER_DIR,
    MANIFEST_FILE,
    PICTURES_DIR,
    PICTURES_FILE,
    TAGS_FILE,
    THUMBNAILS_DIR,
    WORDS_DIR,
    Manifest,
)
from ingest.store import SEMANTIC, VISUAL, WORD, Collection, Facts, Point, Store
from ingest.tags import FILLING, tags_name
from model import __version__
from model.cache import in_mb, need_space, replace_dir, sha256_file
from model.encoder import OnnxEncoder, open_encoder
from model.errors import CollectionNotFound, PictureError, StoreDamaged, UsageError
from model.picture import open_picture
from model.terminal import note, progress

PAGE = 256
THUMBNAIL_PIXELS = 256
THUMBNAIL_QUALITY = 80


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """``trees``: exactly so many; else as many as ``target`` recall needs."""

    trees: int | None = None
    target: float = DEFAULT_TARGET
    seed: int = 0
    with_encoder: bool = False
    with_thumbnails: bool = False
    with_pictures: bool = False


def export(store: Store, name: str, target: Path, options: ExportOptions) -> Manifest:
    """Write collection ``name`` to the folder ``target``, in place of an older snapshot there.

    Memory stays bounded: vectors go through files, and one index is built at a time, in its file where large.

    Raises:
        UsageError: ``target`` is something else than a snapshot or an empty folder.
        DiskFull, StoreError: nothing of ``target`` was changed.
    """
    target = target.expanduser().resolve()
    _check_target(target)
    facts = store.facts(name)
    tags = tags_name(facts.words, facts.words_sha256)
    if tags not in store.names() or store.facts(tags).pending == FILLING:
        raise CollectionNotFound(f"the tag vocabulary in {store.where} is not complete: run `ingest run` once more")
    points = store.summary(name).points
    _need_space(target, facts, points, options)
    with _errors(target), replace_dir(target) as folder:
        spaces = _write_collections(store, name, tags, folder, options)
        if options.with_thumbnails or options.with_pictures:
            _carry_pictures(folder, Path(facts.root), options)
        shutil.copytree(store.words(facts).folder, folder / WORDS_DIR)
        if options.with_encoder:
            _carry_encoder(facts, folder / ENCODER_DIR)
        manifest = Manifest(
            collection=name,
            facts=facts,
            tags=tags,
            spaces=spaces,
            files=_inventory(folder),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            program=f"wordsight {__version__}",
        )
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return manifest


@contextmanager
def _errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}; what was there is as before") from error


def _check_target(target: Path) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir() or not (target / MANIFEST_FILE).is_file():
        raise UsageError(f"{target} is there and is no snapshot: name another folder")
    Manifest.read(target)


def _need_space(target: Path, facts: Facts, points: int, options: ExportOptions) -> None:
    """Every vector is there twice while its index is built; a picture's own size is not known before."""
    vectors = sum(facts.vectors.values()) * 4 * points
    words = 400_000 * facts.vectors[SEMANTIC] * 4
    need_space(target, 2 * vectors + words + (points << 14 if options.with_thumbnails else 0))


def _write_collections(store: Store, name: str, tags: str, folder: Path, options: ExportOptions) -> dict[str, Space]:
    """Tables, projection and indexes. Each collection is held open only while it is read."""
    with store.open(name) as collection:
        projection = collection.read_file(PROJECTION_FILE)
        if projection is None:
            raise StoreDamaged(f"collection {name!r} has lost its {PROJECTION_FILE}: ingest it under a new name")
        (folder / PROJECTION_FILE).write_bytes(projection)
        _spool(collection, folder, PICTURES_FILE, (VISUAL, SEMANTIC))
    with store.open(tags) as vocabulary:
        _spool(vocabulary, folder, TAGS_FILE, (WORD,))
    widths = {**store.facts(name).vectors, **store.facts(tags).vectors}
    return {space: _index(folder, space, width, options) for space, width in widths.items()}


def _spool_file(folder: Path, space: str) -> Path:
    return folder / f"{space}.f32"


def _spool(collection: Collection, folder: Path, table: str, spaces: Sequence[str]) -> None:
    """Payloads into a Parquet table, vectors beside it as raw float32 rows in the same order."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(table)
    previous = b""
    with ExitStack() as files:
        vectors = {space: files.enter_context(_spool_file(folder, space).open("wb")) for space in spaces}
        writer = files.enter_context(parquet.ParquetWriter(folder / table, schema))
        shown = files.enter_context(progress(f"reading {collection.name}", collection.count(), unit="points"))
        for points in collection.scroll(list(spaces), page=PAGE):
            ids = [point.id.bytes for point in points]
            if sorted(ids) != ids or ids[0] <= previous:
                raise StoreDamaged(f"collection {collection.name!r} does not give its points in order: export again")
            previous = ids[-1]
            writer.write_table(pyarrow.Table.from_pylist([_row(point) for point in points], schema=schema))
            for space, file in vectors.items():
                rows = np.stack([point.vectors[space] for point in points])
                file.write(_unit(rows).tobytes())
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
        ]
    return pa.schema([("id", pa.binary(16)), *own])


def _row(point: Point) -> dict[str, Any]:
    return {"id": point.id.bytes, **point.payload}


def _unit(rows: Matrix) -> Matrix:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _index(folder: Path, space: str, width: int, options: ExportOptions) -> Space:
    spool = _spool_file(folder, space)
    matrix: Matrix = np.memmap(spool, np.float32, mode="r").reshape(-1, width)
    with progress(f"indexing {space}", len(matrix), unit="vectors") as shown:
        built = build_forest(
            matrix,
            folder / f"{space}.ann",
            seed=options.seed,
            target=options.target,
            trees=options.trees,
            advance=shown.advance,
        )
    del matrix
    spool.unlink()
    if built.recall < options.target:
        note(f"{space}: only {built.recall:.3f} recall@10 with {built.trees} trees, {options.target} was the target")
    return built


def _carry_pictures(folder: Path, root: Path, options: ExportOptions) -> None:
    from pyarrow import parquet

    table = parquet.ParquetFile(folder / PICTURES_FILE)
    missing = 0
    with progress("copying pictures", table.metadata.num_rows, unit="pictures") as shown:
        for batch in table.iter_batches(PAGE):
            for record in batch.to_pylist():
                picture = Picture.from_payload(record)
                try:
                    data = (root / picture.path).read_bytes()
                    if options.with_pictures:
                        copy = folder / PICTURES_DIR / picture.path
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        copy.write_bytes(data)
                    if options.with_thumbnails:
                        _write_thumbnail(data, folder / THUMBNAILS_DIR / f"{picture.id}.jpg")
                except (FileNotFoundError, PictureError):
                    missing += 1
                shown.advance()
    if missing:
        note(f"{missing} pictures could not be read in {root} and are in the snapshot by their vectors only")


def _write_thumbnail(data: bytes, path: Path) -> None:
    """Without the original's metadata, which may say where it was taken."""
    path.parent.mkdir(exist_ok=True)
    image = open_picture(data)
    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    image.info.clear()
    image.save(path, "JPEG", quality=THUMBNAIL_QUALITY)


def _carry_encoder(facts: Facts, folder: Path) -> None:
    encoder = open_encoder(facts.encoder, facts.encoder_sha256)
    if not isinstance(encoder, OnnxEncoder):
        raise UsageError(f"{facts.encoder} cannot be carried away: leave --with-encoder out")
    shutil.copytree(encoder.folder, folder)


def _inventory(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with progress("taking checksums", len(files), unit="files") as shown:
        inventory = {}
        for path in files:
            inventory[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            shown.advance()
    return inventory


def tell_export(manifest: Manifest, target: Path) -> None:
    """What was exported and how good the indexes are, on stderr."""
    size = sum(file["bytes"] for file in manifest.files.values())
    note(f"{manifest.collection}: {manifest.spaces[VISUAL].items} pictures in {target}, {in_mb(size)}")
    for name, space in manifest.spaces.items():
        note(
            f"{name}: {space.items} vectors, {space.trees} trees, search_k {space.search_k}, "
            f"recall@10 {space.recall:.3f} on {space.sample} of them"
        )
