"""The snapshot store: a collection carried away as files, read-only, searched by Annoy.

A snapshot is a folder::

    manifest.json            see `ingest.stores.snapshot.manifest`: metadata, indexes, checksum of every file
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

from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

from ingest.errors import StoreDamaged, StoreError
from ingest.records import CollectionMetadata
from ingest.stores import WORD, Collection, Store, Summary
from ingest.stores.snapshot.checksums import check_file
from ingest.stores.snapshot.collection import READ_ONLY, SnapshotCollection
from ingest.stores.snapshot.manifest import (
    CLASS_SPACE_DIR,
    ENCODER_DIR,
    PICTURES_DIR,
    THUMBNAILS_DIR,
    WORDS_DIR,
    Manifest,
)
from ingest.stores.snapshot.nodes import check_nodes
from model.class_space import QuestionWeights, open_class_space
from model.encoders import Encoder, OnnxEncoder, encoder_spec
from model.words import TextSpace, open_carried_words


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
            width = self.manifest.indexes[WORD].width
            return CollectionMetadata("words", {WORD: width}, metadata.words, metadata.words_sha256)
        raise self.not_found(name)

    def summary(self, name: str) -> Summary:
        metadata = self.metadata(name)
        size = sum(file["bytes"] for file in self.manifest.files.values())
        return Summary(name, metadata, self.manifest.indexes[next(iter(metadata.vectors))].items, size)

    def open(self, name: str, *, write: bool = False) -> SnapshotCollection:
        if write:
            raise StoreError(READ_ONLY)
        return SnapshotCollection(name, self.metadata(name), self.manifest, self.checked)

    def create(self, name: str, metadata: CollectionMetadata) -> Collection:
        raise StoreError(READ_ONLY)

    def drop(self, name: str) -> None:
        raise StoreError(READ_ONLY)

    def words(self, metadata: CollectionMetadata) -> TextSpace:
        for name in self.manifest.files:
            if name.startswith(f"{WORDS_DIR}/"):
                self.checked(name)
        return open_carried_words(metadata.words, self.folder / WORDS_DIR)

    def class_space(self, metadata: CollectionMetadata) -> QuestionWeights:
        for name in self.manifest.files:
            if name.startswith(f"{CLASS_SPACE_DIR}/"):
                self.checked(name)
        return open_class_space(self.folder / CLASS_SPACE_DIR)

    def encoder(self, metadata: CollectionMetadata) -> Encoder:
        """The encoder in the snapshot, where it carries one; else the one in the cache, if it is the same."""
        carried = [name for name in self.manifest.files if name.startswith(f"{ENCODER_DIR}/")]
        if not carried:
            return super().encoder(metadata)
        for name in carried:
            self.checked(name)
        spec = encoder_spec(metadata.encoder).framed_by(metadata.framing)
        return OnnxEncoder(spec, metadata.encoder_sha256, self.folder / ENCODER_DIR)

    def thumbnail(self, id: UUID) -> bytes | None:
        name = f"{THUMBNAILS_DIR}/{id}.jpg"
        return self.checked(name).read_bytes() if name in self.manifest.files else None

    def checked(self, name: str) -> Path:
        """The path of a file of the snapshot, which is what was exported.

        Raises:
            StoreDamaged: missing, or not the bytes that the manifest says.
        """
        if name not in self.manifest.files:
            raise StoreDamaged(f"the manifest of {self.folder} does not list {name}: export the snapshot again")
        self.check_listed(name, again=self._check)
        return self.folder / name

    def check_listed(self, name: str, *, again: bool) -> None:
        """Check a file that the manifest lists; ``again`` also where it was checked before.

        Raises:
            StoreDamaged: missing, not the bytes that the manifest says, or an index that cannot be searched.
        """
        recorded = self.manifest.files[name]
        index = next((index for index in self.manifest.indexes.values() if index.file == name), None)
        look = None if index is None else partial(check_nodes, info=index)
        check_file(self.folder / name, int(recorded["bytes"]), str(recorded["sha256"]), again=again, look=look)
