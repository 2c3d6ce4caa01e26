"""Neighbours by full comparison in blocks: those after each picture, nearest first, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from query.asking import nearest
from query.asking.nearest import Order


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ROWS", 7)
    monkeypatch.setattr(nearest, "FEW", 0)
    monkeypatch.setattr(nearest, "COLUMNS", 11)


def at(*degrees: float) -> Order:
    """Pictures at these angles, which lie in a file the other way round."""
    angles = np.radians(degrees[::-1])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Order(vectors, np.arange(len(degrees))[::-1])


def found(order: Order, most: int, least: float, threshold: float) -> list[list[int]]:
    return [near.places.tolist() for near in order.nearest_after(most, least, threshold)]


def test_each_picture_has_the_nearest_of_those_after_it() -> None:
    assert found(at(0, 30, 10, 20, 80), 2, 0.5, 1.0) == [[2, 3], [3, 2], [3], [4], []]


@pytest.mark.parametrize("numbers", [3, 12, 64])
def test_a_full_comparison_says_the_same(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the first one is by fewer numbers than a vector has: enough are kept by their upper bounds."""
    monkeypatch.setattr(nearest, "NUMBERS", numbers)
    monkeypatch.setattr(nearest, "SAMPLE", 40)
    monkeypatch.setattr(nearest, "SPARE", 12)
    rng = np.random.default_rng(3)
    vectors = (rng.standard_normal((60, 16)) * np.linspace(2, 0.3, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = Order(vectors, np.arange(60))
    cosines = np.round((vectors @ vectors.T).astype(np.float64), 6)
    for place, near in enumerate(order.nearest_after(5, 0.1, 0.5)):
        after = [other for other in range(place + 1, 60) if cosines[place, other] >= 0.1]
        wanted = sorted(after, key=lambda other: -cosines[place, other])
        above = sum(cosines[place, other] >= 0.5 for other in after)
        assert near.places.tolist() == wanted[: max(5, above)]
        assert near.cosines.tolist() == pytest.approx([cosines[place, other] for other in near.places], abs=2e-6)


@pytest.mark.parametrize("spare", [1, 2])
def test_no_vector_above_the_threshold_is_missed_however_few_are_kept(
    spare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "NUMBERS", 2)
    monkeypatch.setattr(nearest, "SPARE", spare)
    vectors = np.random.default_rng(5).standard_normal((50, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    for place, near in enumerate(Order(vectors, np.arange(50)).nearest_after(1, 0.1, 0.4)):
        above = {other for other in range(place + 1, 50) if cosines[place, other] >= 0.4}
        assert above <= set(near.places.tolist())


def test_all_from_the_threshold_on_are_there_and_it_is_one_of_them() -> None:
    order = at(*[0.0] * 40, 60.0)
    assert [len(places) for places in found(order, 3, 0.4, 0.9)] == [*range(39, 2, -1), 3, 2, 1, 0]
    assert found(at(0, 60, 60, 60), 1, 0.4, 0.5)[0] == [1, 2, 3]


def test_a_cosine_is_never_above_one() -> None:
    vectors = np.full((2, 3), 0.57735032, np.float32)
    order = Order(vectors * np.float32(1.0000002), np.arange(2))
    assert order.cosine(0, 1) == 1.0
    assert next(order.nearest_after(1, 0.0, 1.0)).cosines.tolist() == [1.0]


def test_of_no_pictures_there_is_nothing() -> None:
    assert found(Order(np.empty((0, 3), np.float32), np.empty(0, np.int64)), 3, 0.0, 1.0) == []
