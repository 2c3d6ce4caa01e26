"""Makes a set of golden files in the formats of this version.

It is run once, by whoever raises a format, on Linux with GNU tar, in the root of the repository::

    python -m tests.golden.make tests/golden/formats-N

What is there is replaced; what a released version wrote must stay as it is (see README.md). Everything goes through the
product's own code, as `ingest run`, `ingest export` and `model train` do.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ingest.collection import Options
from ingest.pipeline import ExportOptions, export_collection, run_folder
from ingest.records.metadata import FORMAT as COLLECTION_FORMAT
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore
from ingest.stores.snapshot.manifest import FORMAT as SNAPSHOT_FORMAT
from model import __version__
from model.encoders import open_encoder
from model.projections import HIDDEN, ConseProjection, DocumentProjection, Header, Tensors, load_projection
from model.projections.base import FORMAT as PROJECTION_FORMAT
from model.projections.training import BestRecipe, DocumentRecipe, train_folder
from model.words import TextSpace, open_words
from model.words.vectors import FORMAT as WORDS_FORMAT
from tests.golden.expected import as_text, short, told_of_projection, told_of_snapshot, told_of_store
from tests.golden.files import unpack
from tests.golden.pictures import draw, make_pictures
from tests.golden.stand_ins import ALIVE, ENCODER, TEXT_SPACE, put_encoder, put_words

PLACE = Path("/tmp/wordsight-golden")
"""Named in the records as where the pictures were; gone afterwards."""

NAME = "photos"
PARTS = ("pictures", "store", "snapshot", "projections")
KINDS = ("conse", "best", "document")
HIDDEN_ALIVE = 48
"""Hidden units of the document's head that were trained; the others are 0, and add nothing."""


def make_store(store: EmbeddedStore, root: Path) -> None:
    """A first run that trains, and one after a picture has gone."""
    draw("watch", 98).save(root / "watch/gone.png")
    options = Options(encoder=ENCODER, words=TEXT_SPACE, offline=True)
    run_folder(store, root, NAME, options)
    (root / "watch/gone.png").unlink()
    run_folder(store, root, NAME, options)


def make_projections(root: Path, words: TextSpace, folder: Path) -> None:
    """One of each kind. ConSE as `ingest run` makes it, the others as `model train` does."""
    folder.mkdir()
    how: dict[str, Any] = {"encoder": ENCODER, "words": TEXT_SPACE, "offline": True, "device": "cpu"}
    best = train_folder(root, folder / "best.safetensors", recipe=BestRecipe(), **how)
    header = Header("", best.header.encoder, best.header.encoder_sha256, best.header.words, best.header.words_sha256)
    conse = ConseProjection.build(open_encoder(ENCODER).classifier, header, words)
    conse.save(folder / "conse.safetensors")
    with mock.patch("model.projections.training.document.HIDDEN", HIDDEN_ALIVE):
        small = train_folder(root, folder / "document.safetensors", recipe=DocumentRecipe(), **how)
    DocumentProjection(small.header, widened(small.tensors)).save(folder / "document.safetensors")


def widened(small: Tensors) -> Tensors:
    """The same head with all the hidden units that a head has: those added are 0, and so is what never was seen."""
    more = HIDDEN - HIDDEN_ALIVE
    wide = dict(small)
    seen = np.zeros(small["first.weight"].shape[1], bool)
    seen[ALIVE] = True
    wide["first.weight"] = np.pad(np.where(seen, small["first.weight"], 0), ((0, more), (0, 0)))
    wide["second.weight"] = np.pad(small["second.weight"], ((0, 0), (0, more)))
    for name in ("first.bias", "first_norm.bias", "first_norm.running_mean"):
        wide[name] = np.pad(small[name], (0, more))
    for name in ("first_norm.weight", "first_norm.running_var"):
        wide[name] = np.pad(small[name], (0, more), constant_values=1)
    return wide


def pack(folder: Path, archive: Path) -> None:
    """GNU tar, since it leaves out what is empty: the engine reserves 100 MB of a collection's files in advance.

    And xz: gzip, which looks back 32 kB, makes twice as much of matrices that are nearly empty.
    """
    command = ["tar", "--create", "--sparse", "--hole-detection=raw", "--format=gnu", "--sort=name"]
    command += ["--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go+r", "-C", str(folder.parent), folder.name]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    archive.write_bytes(lzma.compress(packed, preset=9))


def expected_of(target: Path, place: Path, words: TextSpace) -> dict[str, Any]:
    """What the files in ``target`` say, unpacked again in ``place``."""
    for part in PARTS:
        unpack(target / f"{part}.tar.xz", place)
    return {
        "made": {"version": __version__},
        "formats": {
            "collection": COLLECTION_FORMAT,
            "projection": PROJECTION_FORMAT,
            "snapshot": SNAPSHOT_FORMAT,
            "words": WORDS_FORMAT,
        },
        "archives": {
            archive.name: hashlib.sha256(archive.read_bytes()).hexdigest() for archive in sorted(target.glob("*.xz"))
        },
        "store": told_of_store(EmbeddedStore(place / "store"), NAME, words),
        "snapshot": told_of_snapshot(SnapshotStore(place / "snapshot"), NAME),
        "projections": {
            kind: told_of_projection(load_projection(place / f"projections/{kind}.safetensors")) for kind in KINDS
        },
    }


def main(target: Path) -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    os.environ["WORDSIGHT_CACHE"], os.environ["WORDSIGHT_STORE"] = str(PLACE / "cache"), str(PLACE / "store")
    pictures = PLACE / NAME
    make_pictures(pictures)
    put_encoder()
    put_words()
    words = open_words(TEXT_SPACE)
    store = EmbeddedStore(PLACE / "store")
    make_store(store, pictures)
    export_collection(store, NAME, PLACE / "snapshot", ExportOptions(with_encoder=True, with_thumbnails=True))
    make_projections(pictures, words, PLACE / "projections")
    pictures.rename(PLACE / "pictures")
    target.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        pack(PLACE / part, target / f"{part}.tar.xz")
    (target / "expected.json").write_text(as_text(short(expected_of(target, PLACE / "again", words))))
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
