"""``manifest.json`` of a snapshot, and the names of the files beside it. It must not know how they are searched."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata
from ingest.stores import SEMANTIC, VISUAL, WORD
from ingest.stores.snapshot.annoy import METRIC, IndexInfo
from ingest.stores.snapshot.migration import READABLE, migrate
from model.system.formats import why_unreadable

FORMAT = READABLE[-1]
MANIFEST_FILE = "manifest.json"
MOST_BYTES = 1 << 30
"""Of a manifest: it has some 200 bytes for each picture that is carried."""

PICTURES_FILE = "pictures.parquet"
TAGS_FILE = "tags.parquet"
WORDS_DIR = "words"
CLASS_SPACE_DIR = "class-space"
ENCODER_DIR = "encoder"
PICTURES_DIR = "pictures"
THUMBNAILS_DIR = "thumbnails"


def sparse_file(name: str) -> str:
    """The file of a sparse vector of that name."""
    return f"{name}.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    ``indexes``: vector name to its index, ``spaces`` in the file. ``files``: path inside the snapshot to its bytes
    and SHA-256. ``tags``: name of the vocabulary's collection. In the file, ``sha256`` is of all the other fields, as
    JSON with sorted keys and no spaces.
    """

    collection: str
    metadata: CollectionMetadata
    tags: str
    indexes: Mapping[str, IndexInfo]
    files: Mapping[str, Mapping[str, Any]]
    created: str
    program: str

    def to_json(self) -> bytes:
        record = {
            "format": FORMAT,
            "collection": self.collection,
            "created": self.created,
            "program": self.program,
            "metadata": self.metadata.to_json(),
            "tags": self.tags,
            "spaces": {name: asdict(index) for name, index in self.indexes.items()},
            "files": dict(sorted(self.files.items())),
        }
        return json.dumps({**record, "sha256": _digest(record)}, indent=1).encode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises StoreError where the folder holds no snapshot, or one of a format that is not known."""
        path = folder / MANIFEST_FILE
        try:
            record = json.loads(_read(path))
            problem = why_unreadable(
                f"the snapshot {folder}",
                record["format"],
                READABLE,
                program=str(record.get("program", "")).removeprefix("wordsight "),
                remedy="export the collection again",
            )
            if problem:
                raise StoreError(problem)
            if record.pop("sha256") != _digest(record):
                raise ValueError("its own checksum is another")
            record = migrate(record)
            manifest = cls(
                collection=str(record["collection"]),
                metadata=CollectionMetadata.from_json(record["metadata"], str(record["collection"])),
                tags=str(record["tags"]),
                indexes={name: IndexInfo(**index) for name, index in record["spaces"].items()},
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
        indexes, vectors = self.indexes, self.metadata.vectors
        widths = {VISUAL: vectors[VISUAL], SEMANTIC: vectors[SEMANTIC], WORD: vectors[SEMANTIC]}
        texts = [
            getattr(self.metadata, name) for name in ("root", "encoder", "encoder_sha256", "words", "words_sha256")
        ]
        numbers = [
            number for index in indexes.values() for number in (index.width, index.items, index.trees, index.search_k)
        ]
        paths = [Path(name) for name in self.files]
        sound = (
            self.metadata.kind == "pictures"
            and self.tags != self.collection
            and all(isinstance(text, str) for text in texts)
            and all(type(number) is int and number > 0 for number in numbers)
            and {name: index.width for name, index in indexes.items()} == widths
            and indexes[VISUAL].items == indexes[SEMANTIC].items
            and all(index.metric == METRIC and index.file in self.files for index in indexes.values())
            and all(sparse_file(name) in self.files for name in self.metadata.sparse)
            and not any(path.anchor or ".." in path.parts for path in paths)
        )
        if not sound:
            raise ValueError("it contradicts itself")


def _read(path: Path) -> bytes:
    """Raises OSError where it cannot be read, ValueError where it is no file, or larger than any manifest."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:  # a pipe would be waited for
        raise ValueError("no file of that size")
    return path.read_bytes()


def _digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's other fields, so that it vouches for itself as it does for the files."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
