"""Files into points: read, encoded, projected, written in batches. It may run on any machine that reaches the store.

It must not know which files have changed, nor what is recorded of those that could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from ingest.collection import Options, RemovedVectors, read_collection_projection
from ingest.pipeline.changes import Indexed
from ingest.pipeline.writer import BatchWriter
from ingest.stores import Collection, batches
from model.encoders import Embedded, Encoder, Failed, Record, embed
from model.pictures import PictureFile

ACK_PICTURES = 64
"""Pictures in one upsert: with half as many, flushing to disk takes a tenth of the time."""


class Embedder:
    """Embeds files into one collection, by the projection that it has now.

    ``copied``: how many were written with the vectors of content that was known.

    Args:
        indexed: what the collection holds before, by path. removed: vectors of contents that were there once.
    """

    def __init__(
        self,
        collection: Collection,
        encoder: Encoder,
        options: Options,
        indexed: Mapping[str, Indexed],
        removed: RemovedVectors,
    ) -> None:
        self._collection = collection
        self._encoder = encoder
        self._options = options
        self.copied = 0
        known, kept = ({}, None) if options.re_embed else (indexed, removed)
        framing, projection = encoder.spec.framing.rule, read_collection_projection(collection)
        self._writer = BatchWriter(collection, projection, framing, known, encoder.classifier, kept)

    def embed(self, files: Sequence[PictureFile], acknowledged: Callable[[Sequence[Record]], None]) -> None:
        """Read, encode and write ``files``; ``acknowledged`` is called with what became of each, once that is safe.

        Raises:
            StoreError, ProjectionError: a batch cannot be written.
        """
        with self._collection.writing_ahead() as begin:
            for batch in batches(self._with_vectors(files), ACK_PICTURES):
                pictures = [record for record in batch if isinstance(record, Embedded)]
                self._writer.write(pictures, begin, partial(acknowledged, batch))

    def _embed(self, files: Sequence[PictureFile], is_known: Callable[[str], bool]) -> Iterator[Record]:
        return embed(
            files,
            self._encoder,
            is_known=is_known,
            max_megapixels=self._options.max_megapixels,
            max_seconds=self._options.max_seconds,
            strict=self._options.strict,
        )

    def _with_vectors(self, files: Sequence[PictureFile]) -> Iterator[Record]:
        """Every record with its vector: of content that is indexed already the stored one, if it is still there."""
        for record in self._embed(files, self._writer.is_indexed):
            if not isinstance(record, Embedded):
                yield record
            elif record.features is not None:
                yield _usable(record)
            elif copied := self._writer.copy_of(record):
                self.copied += 1
                yield copied
            else:
                yield from map(_usable, self._embed([record.file], lambda _: False))


def _usable(record: Record) -> Record:
    """A vector that is not finite or has no direction must never reach the store."""
    if not isinstance(record, Embedded):
        return record
    features = record.features
    if features is None or not np.isfinite(features).all() or not features.any():
        return Failed(record.file, "the encoder finds nothing in it")
    return record
