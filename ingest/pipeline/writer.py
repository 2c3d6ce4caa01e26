"""Embedded pictures into points, and stored points back into embedded pictures.

It must not know where pictures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ingest.collection import Removed, RemovedVectors, features_of, own_evidence, semantic_of
from ingest.pipeline.changes import Indexed
from ingest.records import Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL, Begin, Collection, Point
from model.encoders import Classifier, Embedded
from model.projections import Projection


class BatchWriter:
    """Writes batches to one collection, and finds the vectors of content that is in it already.

    Args:
        framing: the rule that its pictures are framed by. indexed: what the collection holds, by path.
        classifier: the encoder's. removed: vectors of contents that were there once.
    """

    def __init__(
        self,
        collection: Collection,
        projection: Projection,
        framing: str,
        indexed: Mapping[str, Indexed],
        classifier: Classifier | None = None,
        removed: RemovedVectors | None = None,
    ) -> None:
        self._collection = collection
        self._classifier = classifier
        self._projection = projection
        self._framing = framing
        self._removed = removed
        # of what is damaged, or was framed otherwise, the file itself is looked at
        self._path_of = {
            there.sha256: path for path, there in indexed.items() if there.framing == framing and not there.is_damaged
        }
        self._blas = ThreadpoolController()

    def is_indexed(self, sha256: str) -> bool:
        """Whether a vector of this very content was stored; safe to ask from any thread."""
        return sha256 in self._path_of or bool(self._removed and self._removed.find(sha256, self._framing))

    def copy_of(self, record: Embedded) -> Embedded | None:
        """``record`` with the vector stored for the same content, or None where that has changed since."""
        path = self._path_of.get(record.sha256)
        if path is None:
            return self._removed_copy(record)
        id = stable_id(path)
        point = self._collection.retrieve([id], [VISUAL]).get(id)
        if point is None or point.payload["sha256"] != record.sha256:
            return None
        there = Picture.from_payload(point.payload)
        if there.framing != self._framing:
            return None
        return _copied(record, there, features_of(point))

    def _removed_copy(self, record: Embedded) -> Embedded | None:
        found = self._removed.find(record.sha256, self._framing) if self._removed else None
        if found is None:
            return None
        there, features = found
        return _copied(record, there, features)

    def write(self, batch: Sequence[Embedded], begin: Begin, acknowledged: Callable[[], None]) -> None:
        """Project, and begin to upsert.

        Args:
            begin: as `Collection.writing_ahead` gives it. acknowledged: done when the pictures are safe.

        Raises:
            StoreError, ProjectionError: a batch cannot be written.
        """
        if not batch:
            return begin(_nothing, acknowledged)
        features = np.stack([record.features for record in batch if record.features is not None])
        norms = np.linalg.norm(features, axis=1)
        pictures = [_picture(record, self._framing, float(norm)) for record, norm in zip(batch, norms, strict=True)]
        with self._blas.limit(limits=1, user_api="blas"):  # more would spin after each call: 6% of all cores' time
            semantic = semantic_of(self._projection, features, [picture.id for picture in pictures])
            evidence = own_evidence(self._collection, features, self._classifier)
        points = [
            Point(picture.id, {VISUAL: visual, SEMANTIC: meaning}, picture.to_payload(), shown)
            for picture, visual, meaning, shown in zip(pictures, features, semantic, evidence, strict=True)
        ]

        def written() -> None:
            for picture in pictures:
                if not picture.damaged:
                    self._path_of.setdefault(picture.sha256, picture.path)
            acknowledged()

        return begin(lambda: self._collection.upsert(points), written)


def _nothing() -> None:
    """What is written of a batch without a picture."""


def _copied(record: Embedded, there: Picture | Removed, features: NDArray[np.float32]) -> Embedded:
    """``record`` with all that follows from its content."""
    seen = {name: getattr(there, name) for name in ("width", "height", "frame", "signature", "text")}
    return replace(record, **seen, features=features)


def _picture(record: Embedded, framing: str, norm: float) -> Picture:
    return Picture(
        path=record.file.relative,
        sha256=record.sha256,
        width=record.width,
        height=record.height,
        size=record.file.size,
        mtime_ns=record.file.mtime_ns,
        inode=record.file.inode,
        visual_norm=norm,
        framing=framing,
        damaged=record.damaged,
        frame=record.frame,
        signature=record.signature,
        photo=record.photo,
        text=record.text,
    )
