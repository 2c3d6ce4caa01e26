"""`ingest run` through the library: on what, and what it leaves in the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.collection import Options
from ingest.pipeline import Report, run_folder
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL, Point
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder, encode_views
from model.pictures import open_framed
from tests.copies import copy_store

OFFLINE = Options(offline=True)


def four_photographs(originals: Path, target: Path) -> Path:
    """A folder of them, in three labels and at the top."""
    for label in ("cat", "coffee", "rocket"):
        shutil.copytree(originals / label, target / label)
    shutil.copyfile(next((originals / "flower").iterdir()), target / "flower.jpg")
    return target


def store_with_tags(tags_store: Path, root: Path) -> EmbeddedStore:
    """A store with nothing but the tag vocabulary."""
    copy_store(tags_store, root)
    return EmbeddedStore(root)


def points(store: EmbeddedStore, name: str = "photos") -> dict[str, Point]:
    with store.open(name) as collection:
        every = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
    return {Picture.from_payload(point.payload).path: point for point in every}


def direct_vector(encoder: Encoder, path: Path, rule: str = "") -> NDArray[np.float32]:
    """The unit vector of one file, embedded by itself; by another framing than the encoder's own where one is named."""
    framed = open_framed(path.read_bytes(), encoder.spec.framed_by(rule).framing)
    features = encode_views(encoder, [framed.pixels])[0]
    return features / np.linalg.norm(features)


def ingest(store: EmbeddedStore, folder: Path, options: Options = OFFLINE, name: str = "") -> Report:
    return run_folder(store, folder, name, options)
