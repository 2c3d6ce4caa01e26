"""What older versions wrote is opened, answers as it did then, and goes on to be used.

The files in ``tests/golden`` were made once by each version that wrote a format for the first time; what they say is
compared with what that version said of them (see its README.md).
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from ingest.collection import Options, features_of, need_tags, read_collection_projection, read_failures
from ingest.pipeline import run_folder
from ingest.records import CollectionMetadata
from ingest.stores import SEMANTIC, VISUAL, WORD, Collection, Filter, Point, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore, verify
from model import __version__
from model.encoders import class_names, need_classifier
from model.projections import load_projection
from model.words import Words
from tests.golden.files import FOLDERS, close, expectations, unpack, vector_of

Expected = dict[str, Any]

SCORE_TOLERANCE = 2e-6
KINDS = ("conse", "best", "document")
RENAMED = {"joint": "best", "devise": "document"}
"""Kinds as ``formats-1`` has them, and what they are called now."""


@dataclass(frozen=True)
class Golden:
    """One set of golden files. ``place``: where they are unpacked, to be read only."""

    folder: Path
    place: Path
    expected: Expected

    def archive(self, name: str) -> Path:
        return self.folder / f"{name}.tar.xz"

    @property
    def store(self) -> EmbeddedStore:
        return EmbeddedStore(self.place / "store")

    @property
    def snapshot(self) -> SnapshotStore:
        return SnapshotStore(self.place / "snapshot")


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    folder: Path = request.param
    made = Golden(folder, tmp_path_factory.mktemp(folder.name), up_to_date(expectations(folder)))
    for name in ("store", "snapshot", "projections"):
        unpack(made.archive(name), made.place)
    return made


def up_to_date(expected: Expected) -> Expected:
    """What is expected in the terms of today: since ``formats-1`` kinds, the metadata and a field of it were renamed.

    ``file``: of a projection, by its name of then.
    """
    for told in (expected["store"], expected["snapshot"], expected["store"]["tags"], expected["snapshot"]["tags"]):
        if "facts" in told:
            told["metadata"] = told.pop("facts")
        kind = told["metadata"]["projection"]
        told["metadata"]["projection"] = RENAMED.get(kind, kind)
    projections = {}
    for kind, told in expected["projections"].items():
        header = told["header"]
        header["kind"] = RENAMED.get(header["kind"], header["kind"])
        if "spoken" in header:
            header["label_phrases"] = header.pop("spoken")
        projections[header["kind"]] = {**told, "file": f"{kind}.safetensors"}
    return {**expected, "projections": projections}


@pytest.fixture(params=["store", "snapshot"])
def told(request: pytest.FixtureRequest, golden: Golden) -> tuple[Store, Expected]:
    """The store and the snapshot, which are asked alike, and what each is expected to say."""
    return getattr(golden, request.param), golden.expected[request.param]


@pytest.fixture
def opened(told: tuple[Store, Expected]) -> Iterator[tuple[Collection, Expected]]:
    store, expected = told
    with store.open(expected["collection"]) as collection:
        yield collection, expected


def answers(collection: Collection, using: str, question: Expected, told: str = "path") -> list[Expected]:
    vector = vector_of(question["vector"], collection.metadata.vectors[using])
    only = Filter(labels=tuple(question.get("labels", ())))
    hits = collection.search(using, vector, len(question["answers"]), only)
    return [{"id": str(hit.id), told: hit.payload[told], "score": hit.score} for hit in hits]


def assert_answered(collection: Collection, using: str, question: Expected, told: str = "path") -> None:
    """The same points in the same order with the same scores: those expected are equal or well apart."""
    found = answers(collection, using, question, told)
    wanted: list[Expected] = question["answers"]
    assert [(hit["id"], hit[told]) for hit in found] == [(hit["id"], hit[told]) for hit in wanted]
    assert [hit["score"] for hit in found] == pytest.approx([hit["score"] for hit in wanted], abs=SCORE_TOLERANCE)


def assert_recorded(metadata: CollectionMetadata, expected: Expected) -> None:
    """All that was recorded is told as it was."""
    told = {name: getattr(metadata, name) for name in expected}
    for name, value in told.items():
        if isinstance(value, tuple):
            told[name] = list(value)
        elif isinstance(value, Mapping):
            told[name] = dict(value)
    assert told == expected


def points(collection: Collection) -> list[Point]:
    return [point for page in collection.scroll([VISUAL, SEMANTIC], page=7) for point in page]


# The files themselves


def test_the_golden_files_are_those_that_were_made(golden: Golden) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in golden.folder.glob("*.tar.*")}
    assert found == golden.expected["archives"], "what was written must stay as it is: see tests/golden/README.md"


def test_stores_and_snapshots_are_of_the_formats_they_are_kept_for(golden: Golden) -> None:
    """Read without the product's code, which might bring up to date what it opens."""
    formats, name = golden.expected["formats"], golden.expected["store"]["collection"]
    record = json.loads((golden.place / f"store/collections/{name}/collection.json").read_bytes())
    manifest = json.loads((golden.place / "snapshot/manifest.json").read_bytes())
    words = json.loads((golden.place / "snapshot/words/words.json").read_bytes())
    kept = manifest["facts" if formats["snapshot"] == 1 else "metadata"]
    assert (record["format"], kept["format"]) == (formats["collection"],) * 2
    assert (manifest["format"], words["format"]) == (formats["snapshot"], formats["words"])


def test_projections_are_of_the_formats_they_are_kept_for(golden: Golden) -> None:
    for path in (golden.place / "projections").iterdir():
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["wordsight"])
        assert header["format"] == golden.expected["formats"]["projection"], path.name


# The store and the snapshot


def test_its_collections_and_what_is_recorded_of_them(told: tuple[Store, Expected]) -> None:
    store, expected = told
    assert store.names() == expected["names"]
    assert list(store.collections()) == [expected["collection"]]
    assert_recorded(store.metadata(expected["collection"]), expected["metadata"])
    summary = store.summary(expected["collection"])
    assert (summary.points, summary.graph, summary.quantized) == (expected["points"], 0, False)


def test_its_pictures(opened: tuple[Collection, Expected]) -> None:
    collection, expected = opened
    assert_recorded(collection.metadata, expected["metadata"])
    assert collection.count() == expected["points"]
    assert list(collection.labels().items()) == list(expected["labels"].items())
    assert list(collection.folders().items()) == list(expected["folders"].items())
    assert collection.count(Filter(under="lemon")) == expected["folders"]["lemon"]
    every = points(collection)
    assert [point.payload["path"] for point in every] == expected["paths"]
    assert [point.id for point in every] == sorted(point.id for point in every)


def test_payloads_and_vectors_of_pictures(opened: tuple[Collection, Expected]) -> None:
    collection, expected = opened
    wanted = {UUID(one["id"]): one for one in expected["some"]}
    found = collection.retrieve([*wanted, UUID(int=1)], [VISUAL, SEMANTIC])
    assert found.keys() == wanted.keys()
    for id, point in found.items():
        assert dict(point.payload) == wanted[id]["payload"]
        for name, numbers in wanted[id]["vectors"].items():
            assert close(point.vectors[name], numbers), (name, point.payload["path"])


@pytest.mark.parametrize("using", [VISUAL, SEMANTIC])
def test_questions_are_answered_as_they_were(opened: tuple[Collection, Expected], using: str) -> None:
    collection, expected = opened
    assert len(expected["questions"][using]) == 3
    for question in expected["questions"][using]:
        assert_answered(collection, using, question)


def test_the_projection_kept_with_it_gives_the_vectors_kept_with_it(opened: tuple[Collection, Expected]) -> None:
    collection, expected = opened
    projection = read_collection_projection(collection)
    header = projection.header
    assert (header.kind, sorted(header.labels)) == (expected["metadata"]["projection"], expected["metadata"]["trained"])
    every = points(collection)
    projected = projection.project(np.stack([features_of(point) for point in every]))
    np.testing.assert_allclose(projected, np.stack([point.vectors[SEMANTIC] for point in every]), atol=1e-5)


def test_the_tag_vocabulary(told: tuple[Store, Expected]) -> None:
    store, expected = told
    metadata, tags = expected["metadata"], expected["tags"]
    assert need_tags(store, metadata["words"], metadata["words_sha256"]) == tags["name"]
    with store.open(tags["name"]) as vocabulary:
        assert_recorded(vocabulary.metadata, tags["metadata"])
        assert vocabulary.count() == tags["points"]
        assert_answered(vocabulary, WORD, tags["question"], "word")


# The store


def test_the_bad_files_of_the_store(golden: Golden) -> None:
    expected = golden.expected["store"]
    with golden.store.open(expected["collection"]) as collection:
        rows = read_failures(collection)
    assert list(rows) == [row["path"] for row in expected["failures"]]
    for row in expected["failures"]:
        assert {name: getattr(rows[row["path"]], name) for name in row} == row


def test_the_store_is_written_to_and_opened_again(golden: Golden, tmp_path: Path) -> None:
    expected = golden.expected["store"]
    store = EmbeddedStore(unpack(golden.archive("store"), tmp_path))
    some = UUID(expected["some"][0]["id"])
    with store.open(expected["collection"], write=True) as collection:
        assert collection.metadata.format == 2
        there = collection.retrieve([some], [VISUAL, SEMANTIC])[some]
        collection.upsert([Point(UUID(int=1), there.vectors, {**there.payload, "path": "new.png", "label": "new"})])
        collection.save(collection.metadata)
    with store.open(expected["collection"]) as collection:
        assert collection.count() == expected["points"] + 1
        assert collection.labels() == {**expected["labels"], "new": 1}
        found = collection.search(VISUAL, there.vectors[VISUAL], 2)
        assert [(hit.id, hit.score) for hit in found] == [(UUID(int=1), 1.0), (some, 1.0)]
    record = json.loads((store.root / f"collections/{expected['collection']}/collection.json").read_bytes())
    assert (record["format"], record["projection"], record["program"]) == (2, "best", __version__)
    with store.open(expected["collection"], write=True) as collection:
        collection.delete([UUID(int=1)])
    with store.open(expected["collection"]) as collection:
        assert_recorded(collection.metadata, expected["metadata"])
        for using, questions in expected["questions"].items():
            for question in questions:
                assert_answered(collection, using, question)


@pytest.mark.skipif(sys.platform != "linux", reason="one of the pictures has a name that is no UTF-8")
def test_another_ingest_of_the_same_folder_goes_on_from_what_is_there(golden: Golden, tmp_path: Path) -> None:
    expected = golden.expected["store"]
    store = EmbeddedStore(unpack(golden.archive("store"), tmp_path))
    pictures = unpack(golden.archive("pictures"), tmp_path)
    report = run_folder(store, pictures, expected["collection"], Options(offline=True))
    assert (report.total, report.added, report.removed) == (expected["points"], 0, 0)
    # A file whose number on this disk another had on that one is read, and found to be known.
    assert (report.unchanged + report.updated, report.updated) == (expected["points"], report.copied)
    # Another version of what reads pictures tries them again.
    assert report.failed_before + report.failed == len(expected["failures"])
    assert store.names() == expected["names"]
    with store.open(expected["collection"]) as collection:
        same = {name: value for name, value in expected["metadata"].items() if name not in ("root", "updated")}
        assert_recorded(collection.metadata, same)
        assert collection.metadata.root == str(pictures.resolve())
        assert [point.payload["path"] for point in points(collection)] == expected["paths"]
        assert list(read_failures(collection)) == [row["path"] for row in expected["failures"]]
        for question in expected["questions"][SEMANTIC]:
            assert_answered(collection, SEMANTIC, question)


# The snapshot


def test_what_the_snapshot_says_of_itself(golden: Golden) -> None:
    manifest, expected = golden.snapshot.manifest, golden.expected["snapshot"]
    told = (manifest.collection, manifest.tags, manifest.created, manifest.program, len(manifest.files))
    wanted = (expected["collection"], expected["tags"]["name"])
    assert told == (*wanted, expected["created"], expected["program"], expected["files"])


def test_the_snapshot_is_whole_and_says_what_the_store_says(golden: Golden) -> None:
    verified = verify(golden.snapshot, golden.store)
    expected = golden.expected["snapshot"]
    assert verified.files == expected["files"]
    assert verified.recall == expected["recall"]
    assert verified.compared == 2 * expected["points"]
    assert verified.agreement == {VISUAL: 1.0, SEMANTIC: 1.0}
    assert verified.differences == []


def test_the_words_in_the_snapshot(golden: Golden) -> None:
    snapshot, expected = golden.snapshot, golden.expected["snapshot"]
    words, wanted = snapshot.words(snapshot.metadata(expected["collection"])), expected["words"]
    assert isinstance(words, Words)
    found = {"name": words.name, "sha256": words.sha256, "width": words.width, "count": len(words)}
    assert found == {name: wanted[name] for name in found}
    assert close(words.phrase(wanted["phrase"]["text"]).vector, wanted["phrase"]["vector"])
    word = wanted["nearest"]["word"]
    near = words.nearest(words.phrase(word).vector, len(wanted["nearest"]["words"]), without=[word])
    assert [one.word for one in near] == wanted["nearest"]["words"]


def test_the_encoder_in_the_snapshot(golden: Golden) -> None:
    snapshot, expected = golden.snapshot, golden.expected["snapshot"]
    encoder, wanted = snapshot.encoder(snapshot.metadata(expected["collection"])), expected["encoder"]
    told = (encoder.spec.name, encoder.sha256, len(class_names(encoder)))
    assert told == (wanted["name"], wanted["sha256"], wanted["classes"])
    side = encoder.spec.framing.crop
    picture = np.broadcast_to(np.array(wanted["colour"], np.uint8), (1, side, side, 3)).copy()
    features = encoder.encode(picture)
    np.testing.assert_allclose(features[0], vector_of(wanted["features"], encoder.spec.width), atol=1e-5)
    assert need_classifier(encoder).logits(features).shape == (1, wanted["classes"])


def test_a_thumbnail_in_the_snapshot(golden: Golden) -> None:
    expected = golden.expected["snapshot"]["thumbnail"]
    thumbnail = golden.snapshot.thumbnail(UUID(expected["id"]))
    assert thumbnail is not None
    with Image.open(io.BytesIO(thumbnail)) as picture:
        assert (picture.format, list(picture.size)) == ("JPEG", expected["size"])


# The projections


@pytest.mark.parametrize("kind", KINDS)
def test_a_projection(golden: Golden, kind: str) -> None:
    expected = golden.expected["projections"][kind]
    projection = load_projection(golden.place / "projections" / expected["file"])
    header = projection.header
    assert (header.kind, projection.kind) == (kind, kind)
    assert {name: getattr(header, name) for name in expected["header"]} == expected["header"]
    assert len(header.class_tags) == expected["class_tags"]["count"]
    assert header.class_tags[:3] == expected["class_tags"]["some"]
    assert len(header.history) == expected["history"]["count"]
    assert header.history[-1:] == expected["history"]["some"]
    assert {name: list(tensor.shape) for name, tensor in projection.tensors.items()} == expected["tensors"]
    assert sorted(projection.learnt) == expected["learnt"]
    features = vector_of(expected["features"], projection.width)
    assert close(projection.project(features[None])[0], expected["projected"])
    named = projection.tag_evidence(features).named
    assert {word: named.get(word) for word in expected["named"]} == pytest.approx(expected["named"], abs=1e-5)
