"""What pictures show, smoothed by those that look most like them: on vectors of two numbers, all by literals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ingest.collection import evidence, mark_stale
from ingest.collection.evidence import Evidence, own_evidence, smooth
from ingest.records import CollectionMetadata, Picture
from ingest.stores import CLASSES, VISUAL, Collection, Point
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Classifier
from tests.model.projections import flat_best

METADATA = CollectionMetadata("pictures", {VISUAL: 2}, "made-up", "0" * 64, sparse=(CLASSES,))
CLASSIFIER = Classifier(
    np.array([[log(9), 0], [0, log(9)]], np.float32), np.zeros(2, np.float32), ("the first", "the second")
)
"""A picture (1, 0) shows the first class by nine to one, a picture (2, 0) by 81 to one."""

PICTURES = {1: (1.0, 0.0), 2: (2.0, 0.0), 3: (0.0, 1.0)}
SMOOTHED = {1: [0.961463, 0.038537], 2: [0.926341, 0.073659], 3: [0.1, 0.9]}
"""Three tenths of the own, seven of the neighbours': the first two have each other, the third looks like neither."""


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with EmbeddedStore(tmp_path).create("made", METADATA) as made:
        for number, features in PICTURES.items():
            row = np.array(features, np.float32)
            picture = Picture(f"{number}.jpg", f"{number:064}", 1, 1, 1, 1, float(np.linalg.norm(row)))
            (own,) = own_evidence(made, row[None], CLASSIFIER)
            made.upsert([Point(UUID(int=number), {VISUAL: row}, picture.to_payload(), own)])
        yield made


def shown(collection: Collection) -> dict[int, list[float]]:
    points = [point for page in collection.scroll([CLASSES]) for point in page]
    return {point.id.int: point.sparse[CLASSES].values.tolist() for point in points}


def approx(expected: dict[int, list[float]], tolerance: float = 1e-5) -> dict[int, object]:
    return {number: pytest.approx(values, abs=tolerance) for number, values in expected.items()}


def test_a_point_begins_with_its_own_evidence(collection: Collection) -> None:
    assert shown(collection) == approx({1: [0.9, 0.1], 2: [0.987805, 0.012195], 3: [0.1, 0.9]})


def test_without_a_classifier_or_a_place_for_it_there_is_none(collection: Collection) -> None:
    features = np.ones((2, 2), np.float32)
    assert own_evidence(collection, features, None) == [{}, {}]
    collection.metadata = replace(METADATA, sparse=())
    assert own_evidence(collection, features, CLASSIFIER) == [{}, {}]


def test_all_pictures_are_smoothed_and_it_is_recorded(collection: Collection) -> None:
    mark_stale(collection)
    assert collection.metadata.stale
    done: list[int] = []
    smooth(collection, CLASSIFIER, None, done.append)
    assert shown(collection) == approx(SMOOTHED, 1e-3)  # float16 while all are compared
    assert (sum(done), collection.metadata.stale) == (3, False)


def test_comparing_in_pieces_gives_the_same(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("ROWS", 2), ("COLUMNS", 2), ("PAGE", 1)):
        monkeypatch.setattr(evidence, name, size)
    smooth(collection, CLASSIFIER, None, lambda _: None)
    assert shown(collection) == approx(SMOOTHED, 1e-3)


@pytest.mark.parametrize(("few", "tolerance"), [(1, 1e-5), (0, 1e-3)])
def test_a_picture_that_changed_changes_its_neighbours_too(
    collection: Collection, few: int, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where so many changed that all are smoothed."""
    monkeypatch.setattr(evidence, "FEW", few)
    smooth(collection, CLASSIFIER, [UUID(int=1)], lambda _: None)
    assert shown(collection) == approx(SMOOTHED, tolerance)


def test_smoothing_twice_changes_nothing(collection: Collection) -> None:
    for _ in range(2):
        smooth(collection, CLASSIFIER, [UUID(int=number) for number in PICTURES], lambda _: None)
    assert shown(collection) == approx(SMOOTHED)


def test_what_is_gone_is_passed_over(collection: Collection) -> None:
    collection.delete([UUID(int=2)])
    smooth(collection, CLASSIFIER, [UUID(int=1), UUID(int=2)], lambda _: None)
    assert shown(collection) == approx({1: [0.9, 0.1], 3: [0.1, 0.9]})


def test_nothing_that_changed_leaves_all_as_it_is(collection: Collection) -> None:
    before = shown(collection)
    smooth(collection, CLASSIFIER, [], lambda _: None)
    assert shown(collection) == before


def test_neighbours_count_seven_tenths_for_classes_and_half_for_labels() -> None:
    with_labels = Evidence(CLASSIFIER, flat_best(gate=(0.0, 0.0)))
    assert with_labels.neighbour_shares.tolist() == pytest.approx([0.7, 0.7, 0.5, 0.5])
    assert Evidence(CLASSIFIER).neighbour_shares.tolist() == pytest.approx([0.7, 0.7])


def test_labels_follow_the_classes_in_what_a_picture_shows() -> None:
    """The picture says nothing, so that two classes and two labels are as probable. One lies in a label's folder, which
    was learnt wholly."""
    with_labels = Evidence(CLASSIFIER, flat_best(gate=(0.0, 0.0)))
    features = np.array([0.0, 0.0], np.float32)
    payload: dict[str, Any] = {"visual_norm": 1.0, "sha256": "0" * 64}
    points = [
        Point(UUID(int=number), {VISUAL: features}, {**payload, "label": label})
        for number, label in enumerate(["dog", "holiday"])
    ]
    found = with_labels.of(points)
    assert found[0].tolist() == pytest.approx([0.5, 0.5, 1.0, 0.0])
    assert found[1].tolist() == pytest.approx([0.5, 0.5, 0.25, 0.25])
