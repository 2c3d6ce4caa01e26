"""What golden files are expected to say, asked of them when they are made, for ``expected.json``."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ingest.collection import need_tags, read_failures
from ingest.stores import SEMANTIC, VISUAL, WORD, Collection, Filter
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore, verify
from model.encoders import class_names
from model.projections import Projection
from model.words import TextSpace, Words
from tests.golden.files import vector_of
from tests.golden.stand_ins import ALIVE

Sparse = dict[str, float]
"""A vector by those of its numbers that are not 0."""

ANSWERS = 6
CLEAR = 1e-5
"""Scores that are not equal are at least so far apart, so that no rounding changes the order of an answer."""


def sparse(vector: NDArray[np.float32], digits: int = 6) -> Sparse:
    return {str(place): round(float(vector[place]), digits) for place in np.flatnonzero(vector.round(digits)).tolist()}


def questions(words: TextSpace) -> dict[str, list[dict[str, Any]]]:
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
    vector = vector_of(question["vector"], collection.metadata.vectors[using])
    hits = collection.search(using, vector, ANSWERS, Filter(labels=tuple(question.get("labels", ()))))
    scores = [hit.score for hit in hits]
    gaps = [one - other for one, other in itertools.pairwise(scores)]
    assert all(gap == 0 or gap > CLEAR for gap in gaps), scores
    told = "word" if using == WORD else "path"
    return {**question, "answers": [{"id": str(hit.id), told: hit.payload[told], "score": hit.score} for hit in hits]}


def told_of(collection: Collection, words: TextSpace) -> dict[str, Any]:
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


def told_of_metadata(collection: Collection) -> dict[str, Any]:
    """But for the format and who wrote it, which a later version brings up to date."""
    told = collection.metadata.to_json()
    del told["format"], told["program"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def told_of_tags(collection: Collection, words: TextSpace) -> dict[str, Any]:
    question = {"vector": sparse(words.phrase("lemon").vector, 4)}
    return {
        "name": collection.name,
        "points": collection.count(),
        "metadata": told_of_metadata(collection),
        "question": answered(collection, WORD, question),
    }


def told_of_store(store: EmbeddedStore, name: str, words: TextSpace) -> dict[str, Any]:
    tags = need_tags(store, words.name, words.sha256)
    with store.open(name) as collection, store.open(tags) as vocabulary:
        return {
            "names": store.names(),
            "collection": name,
            "metadata": told_of_metadata(collection),
            **told_of(collection, words),
            "failures": [asdict(row) for row in read_failures(collection).values()],
            "tags": told_of_tags(vocabulary, words),
        }


def told_of_snapshot(store: SnapshotStore, name: str) -> dict[str, Any]:
    words = store.words(store.metadata(name))
    assert isinstance(words, Words)
    manifest = store.manifest
    encoder = store.encoder(store.metadata(name))
    colour = [200, 60, 30]
    side = encoder.spec.framing.crop
    picture = np.broadcast_to(np.array(colour, np.uint8), (1, side, side, 3)).copy()
    with store.open(name) as collection, store.open(manifest.tags) as vocabulary:
        told = told_of(collection, words)
        thumbnail = told["some"][0]["id"]
        return {
            "names": store.names(),
            "collection": manifest.collection,
            "created": manifest.created,
            "program": manifest.program,
            "files": len(manifest.files),
            "metadata": told_of_metadata(collection),
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
                "classes": len(class_names(encoder)),
                "colour": colour,
                "features": sparse(encoder.encode(picture)[0]),
            },
            "thumbnail": {"id": thumbnail, "size": list(Image.open(store.folder / f"thumbnails/{thumbnail}.jpg").size)},
        }


def nearest(words: TextSpace, word: str) -> list[Any]:
    return words.nearest(words.phrase(word).vector, 3, without=[word])


def told_of_projection(projection: Projection) -> dict[str, Any]:
    literal = {str(place): 0.25 * (i % 5) for i, place in enumerate(ALIVE) if i % 5}
    features = vector_of(literal, projection.width)
    evidence = projection.tag_evidence(features)
    probable = sorted(evidence.named.items(), key=lambda item: (-item[1], item[0]))[:3]
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
