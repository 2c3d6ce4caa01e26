"""The vectors that a store has of a folder's pictures, for whoever would encode them again.

The command `model` is handed this lookup by `ingest.__main__`: the layers run query -> ingest -> model, so a training
cannot ask a store itself.
"""

from __future__ import annotations

import os
from pathlib import Path

from ingest.collection import PAGE, features_of
from ingest.errors import StoreError
from ingest.records import CollectionMetadata, Picture
from ingest.stores import VISUAL, Store, open_store
from model.encoders import Embedded
from model.errors import DiskFull
from model.pictures import PictureFile
from model.system.events import note


def find_stored_vectors(root: Path, encoder: str, encoder_sha256: str, framing: str) -> dict[PictureFile, Embedded]:
    """Pictures below ``root`` that a collection of this folder and this encoder holds, by the file as it was then
    (a `model.projections.training.StoredVectors`).

    The store is that of ``WORDSIGHT_STORE`` or ``QDRANT_URL``, else the default one. One that cannot be read is
    noted, and leaves the pictures to be encoded.
    """
    place = os.environ.get("WORDSIGHT_STORE")
    url, api_key = os.environ.get("QDRANT_URL", ""), os.environ.get("QDRANT_API_KEY", "")
    try:
        with open_store(Path(place) if place else None, url, api_key) as store:
            made_of = (str(root), encoder, encoder_sha256, framing)
            names = [name for name, metadata in store.collections().items() if _made_of(metadata) == made_of]
            return _pictures(store, names[0], root) if names else {}
    except (StoreError, DiskFull) as error:
        note(f"stored vectors are not used: {error}")
        return {}


def _made_of(metadata: CollectionMetadata) -> tuple[str, str, str, str]:
    return metadata.root, metadata.encoder, metadata.encoder_sha256, metadata.framing


def _pictures(store: Store, name: str, root: Path) -> dict[PictureFile, Embedded]:
    found: dict[PictureFile, Embedded] = {}
    with store.open(name) as collection:
        for points in collection.scroll([VISUAL], page=PAGE):
            for point in points:
                there = Picture.from_payload(point.payload)
                if there.framing != collection.metadata.framing:
                    continue
                file = PictureFile(root, there.path, there.size, there.mtime_ns)
                found[file] = Embedded(file, there.sha256, there.width, there.height, features_of(point))
            collection.yield_lock()
    return found
