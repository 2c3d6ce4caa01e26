"""What `ingest check` says of a point: sound, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.pipeline.checking import Checked, _check_points, _problem, repair
from ingest.pipeline.mending import _is_sound
from ingest.records import CollectionMetadata, Picture, stable_id
from ingest.stores import CLASSES, SEMANTIC, VISUAL, WORD, Point, SparseVector, Vector
from ingest.stores.embedded import EmbeddedStore

METADATA = CollectionMetadata("pictures", {VISUAL: 2, SEMANTIC: 2}, "made-up", "0" * 64, sparse=(CLASSES,))
PICTURE = Picture("a/b.jpg", "ab" * 32, 4, 3, 10, 5, 2.5)
SHOWN = SparseVector(np.array([1, 3], np.uint32), np.array([0.5, 0.2], np.float32))


def vector(*numbers: float) -> Vector:
    return np.array(numbers, np.float32)


SOUND = Point(PICTURE.id, {VISUAL: vector(0.6, 0.8), SEMANTIC: vector(0, 1)}, PICTURE.to_payload(), {CLASSES: SHOWN})


def with_vectors(**changes: Vector) -> Point:
    vectors: Mapping[str, Vector] = {**SOUND.vectors, **changes}
    return replace(SOUND, vectors=vectors)


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        (SOUND, ""),
        (replace(SOUND, payload={**SOUND.payload, "width": 5}), "what is recorded of the picture was changed"),
        (replace(SOUND, id=stable_id("a/c.jpg")), "the id is that of no picture"),
        (replace(SOUND, vectors={VISUAL: vector(0.6, 0.8)}), "no semantic vector"),
        (with_vectors(visual=vector(0.6, 0.81)), "the visual vector is not one of length 1"),
        (with_vectors(visual=vector(0.6, 0.79)), "the visual vector is not one of length 1"),
        (with_vectors(semantic=vector(0, 0)), "the semantic vector is not one of length 1"),
        (with_vectors(semantic=vector(0, np.nan)), "the semantic vector is not one of length 1"),
        (with_vectors(visual=vector(0.6, 0.8004)), ""),  # within float32 and the engine's own rounding
        (replace(SOUND, sparse={}), "no classes vector"),
        (
            replace(SOUND, sparse={CLASSES: replace(SHOWN, values=vector(0.5, np.inf))}),
            "the classes vector is not finite",
        ),
    ],
)
def test_what_is_wrong_with_a_picture(point: Point, problem: str) -> None:
    assert _problem(point, METADATA) == problem


@pytest.mark.parametrize(("index", "told"), [("labels", "label"), ("folders", "folders")])
def test_an_index_that_says_something_else_than_the_pictures(
    tmp_path: Path, index: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedStore(tmp_path).create("made", METADATA) as collection:
        collection.upsert([SOUND])
        sound, broken = Checked("made"), Checked("made")
        _check_points(collection, METADATA, sound)
        monkeypatch.setattr(collection, index, lambda: {"a": 2})
        _check_points(collection, METADATA, broken)
    assert (sound.points, sound.problems, sound.is_broken) == (1, [], False)
    assert (broken.problems, broken.is_broken) == ([f"the index of {told} does not agree with the pictures"], True)


def test_what_is_wrong_with_a_word() -> None:
    metadata = CollectionMetadata("words", {WORD: 2}, "made-up", "0" * 64)
    sound = Point(stable_id("crab"), {WORD: vector(0, 1)}, {"word": "crab", "rank": 7})
    assert _problem(sound, metadata) == ""
    assert _problem(replace(sound, payload={"word": "crap", "rank": 7}), metadata) == "the id is that of no word"


@pytest.mark.parametrize(
    ("point", "is_sound"),
    [
        (SOUND, True),
        (replace(SOUND, sparse={}), True),  # it is made anew
        (with_vectors(visual=vector(3, 4)), True),
        (with_vectors(visual=vector(0, 0)), False),
        (with_vectors(visual=vector(1, np.nan)), False),
        (replace(SOUND, id=stable_id("a/c.jpg")), False),
        (replace(SOUND, payload={**SOUND.payload, "sha256": "ac" * 32}), False),
        (replace(SOUND, payload={}), False),
    ],
)
def test_what_is_kept_when_a_collection_is_mended(point: Point, is_sound: bool) -> None:
    assert _is_sound(point) is is_sound


def test_unsound_points_are_removed_and_the_others_kept(tmp_path: Path) -> None:
    """The pictures' folder is not there: what is lost is told, and embedded by a later run."""
    other = replace(PICTURE, path="a/c.jpg")
    with EmbeddedStore(tmp_path / "store") as store:
        with store.create("made", replace(METADATA, root=str(tmp_path / "away"))) as collection:
            collection.upsert([SOUND, replace(SOUND, id=other.id, payload=other.to_payload())])
        repaired = repair(store, Checked("made", points=2, unsound=[other.id]))
        with store.open("made") as collection:
            assert [point.id for page in collection.scroll() for point in page] == [PICTURE.id]
    away = tmp_path / "away"
    assert repaired.mended == (
        f"1 pictures kept, 1 lost: their folder {away} is not there; `ingest run` embeds them once it is"
    )


def test_damaged_words_that_no_collection_uses_are_removed(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        store.create("pictures", METADATA).close()
        store.create("tags", CollectionMetadata("words", {WORD: 2}, "others", "0" * 64)).close()
        assert repair(store, Checked("tags")).mended == "removed: no collection uses it"
        assert store.names() == ["pictures"]
