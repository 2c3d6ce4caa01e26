"""The snapshot store: a collection carried away as files, read-only, searched by Annoy.

A snapshot is a folder::

    manifest.json            format version, metadata, each index's numbers, size and SHA-256 of every file
    visual.ann, semantic.ann the pictures' vectors, see `annoy`; row i is row i of pictures.parquet
    pictures.parquet         id (16 bytes) and payload, a row a picture, in the order of ids
    word.ann, tags.parquet   the tag vocabulary: word and rank by frequency
    projection.safetensors   see `model.projections.io`
    words/                   see `model.words.vectors`
    encoder/                 with --with-encoder: the ONNX encoder and its last layer
    thumbnails/, pictures/   with --with-thumbnails, --with-pictures

Opening checks the size of every file that is used, and its checksum the first time: a damaged index could
crash the process. Files that were checked and have not been touched since are not read again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata
from ingest.stores import SCROLL_PAGE, SEMANTIC, VISUAL, WORD, Collection, Filter, Hit, Point, Store, Summary, Vector
from ingest.stores.snapshot.annoy import METRIC, Forest, Space
from ingest.stores.snapshot.checksums import check_file
from model.encoders import Encoder, OnnxEncoder, encoder_spec
from model.pictures import SNAPSHOT_FILES
from model.words import TextSpace, open_carried_words

FORMAT = 1
MANIFEST_FILE, PICTURES_FILE = SNAPSHOT_FILES
TAGS_FILE = "tags.parquet"
WORDS_DIR = "words"
ENCODER_DIR = "encoder"
PICTURES_DIR = "pictures"
THUMBNAILS_DIR = "thumbnails"
READ_ONLY = "a snapshot is read-only: change the collection and export it again"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    ``spaces``: vector name to its index. ``files``: path inside the snapshot to its bytes and SHA-256.
    ``tags``: name of the vocabulary's collection. In the file, ``sha256`` is of all the other fields, as JSON
    with sorted keys and no spaces.
    """

    collection: str
    metadata: CollectionMetadata
    tags: str
    spaces: Mapping[str, Space]
    files: Mapping[str, Mapping[str, Any]]
    created: str
    program: str

    def to_json(self) -> bytes:
        record = {
            "format": FORMAT,
            "collection": self.collection,
            "created": self.created,
            "program": self.program,
            "facts": self.metadata.to_json(),
            "tags": self.tags,
            "spaces": {name: asdict(space) for name, space in self.spaces.items()},
            "files": dict(sorted(self.files.items())),
        }
        return json.dumps({**record, "sha256": _digest(record)}, indent=1).encode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises StoreError where the folder holds no snapshot, or one of another format."""
        path = folder / MANIFEST_FILE
        try:
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise StoreError(
                    f"{folder} is of snapshot format {record['format']}, this version reads {FORMAT}: upgrade"
                )
            if record.pop("sha256") != _digest(record):
                raise ValueError("its own checksum is another")
            manifest = cls(
                collection=str(record["collection"]),
                metadata=CollectionMetadata.from_json(record["facts"], str(record["collection"])),
                tags=str(record["tags"]),
                spaces={name: Space(**space) for name, space in record["spaces"].items()},
                files={
                    name: {"bytes": int(f["bytes"]), "sha256": str(f["sha256"])} for name, f in record["files"].items()
                },
                created=str(record["created"]),
                program=str(record["program"]),
            )
            manifest._check()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{folder} is no snapshot: name the folder that `ingest export` wrote") from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise StoreDamaged(f"{path} is broken: export the snapshot again") from error
        return manifest

    def _check(self) -> None:
        """Raises ValueError where its parts contradict each other, or name files outside the folder."""
        spaces, vectors = self.spaces, self.metadata.vectors
        widths = {VISUAL: vectors[VISUAL], SEMANTIC: vectors[SEMANTIC], WORD: vectors[SEMANTIC]}
        texts = [
            getattr(self.metadata, name) for name in ("root", "encoder", "encoder_sha256", "words", "words_sha256")
        ]
        numbers = [number for s in spaces.values() for number in (s.width, s.items, s.trees, s.search_k)]
        paths = [Path(name) for name in self.files]
        sound = (
            self.metadata.kind == "pictures"
            and self.tags != self.collection
            and all(isinstance(text, str) for text in texts)
            and all(type(number) is int and number > 0 for number in numbers)
            and {name: space.width for name, space in spaces.items()} == widths
            and spaces[VISUAL].items == spaces[SEMANTIC].items
            and all(space.metric == METRIC and space.file in self.files for space in spaces.values())
            and not any(path.anchor or ".." in path.parts for path in paths)
        )
        if not sound:
            raise ValueError("it contradicts itself")


def _digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's other fields, so that it vouches for itself as it does for the files."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class SnapshotStore(Store):
    """A snapshot folder as a store with one collection of pictures and the tag vocabulary.

    Args:
        check: take the checksum of every file that is used, also of one that was checked before.
    """

    def __init__(self, folder: Path, *, check: bool = False) -> None:
        self.folder = folder
        self._check = check
        self.where = str(folder)
        self.manifest = Manifest.read(folder)

    def names(self) -> list[str]:
        return sorted((self.manifest.collection, self.manifest.tags))

    def metadata(self, name: str) -> CollectionMetadata:
        metadata = self.manifest.metadata
        if name == self.manifest.collection:
            carried = self.folder / PICTURES_DIR
            return replace(metadata, root=str(carried.resolve())) if carried.is_dir() else metadata
        if name == self.manifest.tags:
            width = self.manifest.spaces[WORD].width
            return CollectionMetadata("words", {WORD: width}, metadata.words, metadata.words_sha256)
        raise self.not_found(name)

    def summary(self, name: str) -> Summary:
        metadata = self.metadata(name)
        size = sum(file["bytes"] for file in self.manifest.files.values())
        return Summary(name, metadata, self.manifest.spaces[next(iter(metadata.vectors))].items, size)

    def open(self, name: str, *, write: bool = False) -> SnapshotCollection:
        if write:
            raise StoreError(READ_ONLY)
        return SnapshotCollection(self, name, self.metadata(name))

    def create(self, name: str, metadata: CollectionMetadata) -> Collection:
        raise StoreError(READ_ONLY)

    def drop(self, name: str) -> None:
        raise StoreError(READ_ONLY)

    def words(self, metadata: CollectionMetadata) -> TextSpace:
        for name in self.manifest.files:
            if name.startswith(f"{WORDS_DIR}/"):
                self.checked(name)
        return open_carried_words(metadata.words, self.folder / WORDS_DIR)

    def encoder(self, metadata: CollectionMetadata) -> Encoder:
        """The encoder in the snapshot, where it carries one; else the one in the cache, if it is the same."""
        carried = [name for name in self.manifest.files if name.startswith(f"{ENCODER_DIR}/")]
        if not carried:
            return super().encoder(metadata)
        for name in carried:
            self.checked(name)
        return OnnxEncoder(encoder_spec(metadata.encoder), metadata.encoder_sha256, self.folder / ENCODER_DIR)

    def thumbnail(self, id: UUID) -> bytes | None:
        name = f"{THUMBNAILS_DIR}/{id}.jpg"
        return self.checked(name).read_bytes() if name in self.manifest.files else None

    def checked(self, name: str) -> Path:
        """The path of a file of the snapshot, which is what was exported.

        Raises:
            StoreDamaged: missing, or not the bytes that the manifest says.
        """
        recorded = self.manifest.files.get(name)
        if recorded is None:
            raise StoreDamaged(f"the manifest of {self.folder} does not list {name}: export the snapshot again")
        path = self.folder / name
        check_file(path, int(recorded["bytes"]), str(recorded["sha256"]), again=self._check)
        return path


class SnapshotCollection(Collection):
    """One table and its indexes."""

    def __init__(self, store: SnapshotStore, name: str, metadata: CollectionMetadata) -> None:
        self.name = name
        self.metadata = metadata
        self._store = store
        self._forests: dict[str, Forest] = {}

    @cached_property
    def _table(self) -> Any:
        from pyarrow import ArrowException, parquet

        name, space = (TAGS_FILE, WORD) if self.metadata.kind == "words" else (PICTURES_FILE, VISUAL)
        path = self._store.checked(name)
        try:
            table = parquet.read_table(path)
        except (ArrowException, OSError) as error:
            raise StoreDamaged(f"cannot read {path}: export the snapshot again") from error
        if len(table) != self._store.manifest.spaces[space].items:
            raise StoreDamaged(f"{path} has other rows than its manifest says: export the snapshot again")
        return table

    def _forest(self, using: str) -> Forest:
        if using not in self._forests:
            space = self._store.manifest.spaces[using]
            self._forests[using] = Forest(self._store.checked(space.file), space)
        return self._forests[using]

    def _payload(self, row: int) -> dict[str, Any]:
        record: dict[str, Any] = self._table.slice(row, 1).to_pylist()[0]
        del record["id"]
        return {name: value for name, value in record.items() if name != "path_base64" or value}

    def _id(self, row: int) -> UUID:
        return UUID(bytes=self._table.column("id")[row].as_py())

    def _row(self, id: UUID) -> int | None:
        ids = self._table.column("id")
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[middle].as_py() < id.bytes:
                low = middle + 1
            else:
                high = middle
        return low if low < len(ids) and ids[low].as_py() == id.bytes else None

    def _search(self, using: str, vector: Vector, limit: int, filter: Filter, *, exact: bool) -> list[Hit]:
        """Ask for more until enough pass the filter, or every item was looked at."""
        forest = self._forest(using)
        passing = self._passing(filter)
        unit = vector / np.linalg.norm(vector.astype(np.float64))  # a float32 sum of squares could be 0
        count = limit + len(filter.without)
        while True:
            rows, cosines = forest.nearest(unit, count)
            kept = [(row, cosine) for row, cosine in zip(rows, cosines, strict=True) if passing is None or passing[row]]
            if len(kept) >= limit or count >= forest.space.items:
                return [Hit(self._id(row), cosine, self._payload(row)) for row, cosine in kept[:limit]]
            count *= 4

    def _passing(self, filter: Filter) -> np.ndarray[Any, Any] | None:
        """(n,) bool: which rows the filter lets through; None for all."""
        if not (filter.labels or filter.under or filter.without):
            return None
        passing = np.ones(len(self._table), bool)
        if filter.labels:
            labels = self._table.column("label").to_pylist()
            passing &= np.array([label in filter.labels for label in labels], bool)
        if filter.under:
            folders = self._table.column("folders").to_pylist()
            passing &= np.array([filter.under in above for above in folders], bool)
        for id in filter.without:
            if (row := self._row(id)) is not None:
                passing[row] = False
        return passing

    def retrieve(self, ids: Sequence[UUID], vectors: Sequence[str] = ()) -> dict[UUID, Point]:
        rows = {id: row for id in ids if (row := self._row(id)) is not None}
        return {id: self._point(row, vectors) for id, row in rows.items()}

    def _point(self, row: int, vectors: Sequence[str]) -> Point:
        return Point(
            self._id(row), {name: np.array(self._forest(name).vectors[row]) for name in vectors}, self._payload(row)
        )

    def scroll(
        self, vectors: Sequence[str] = (), page: int = SCROLL_PAGE, filter: Filter = Filter()
    ) -> Iterator[list[Point]]:
        passing = self._passing(filter)
        rows = range(len(self._table)) if passing is None else np.flatnonzero(passing).tolist()
        for start in range(0, len(rows), page):
            yield [self._point(row, vectors) for row in rows[start : start + page]]

    def count(self, filter: Filter = Filter()) -> int:
        passing = self._passing(filter)
        return len(self._table) if passing is None else int(passing.sum())

    def _facet(self, field: str) -> dict[str, int]:
        column = self._table.column(field).to_pylist()
        values = itertools.chain.from_iterable(column) if field == "folders" else column
        return Counter(value for value in values if value is not None)

    def read_file(self, name: str) -> bytes | None:
        return self._store.checked(name).read_bytes() if name in self._store.manifest.files else None

    def close(self) -> None:
        for forest in self._forests.values():
            forest.close()
        self._forests.clear()

    def _upsert(self, points: Sequence[Point]) -> None:
        raise StoreError(READ_ONLY)

    def _set_vectors(self, name: str, ids: Sequence[UUID], matrix: Vector) -> None:
        raise StoreError(READ_ONLY)

    def delete(self, ids: Sequence[UUID]) -> None:
        raise StoreError(READ_ONLY)

    def save(self, metadata: CollectionMetadata) -> None:
        raise StoreError(READ_ONLY)

    def write_file(self, name: str, data: bytes) -> None:
        raise StoreError(READ_ONLY)

    def remove_file(self, name: str) -> None:
        raise StoreError(READ_ONLY)
