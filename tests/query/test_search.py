"""Search semantics on vectors one can compute by hand, in a real embedded store with real word vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ingest.collection.tags import tags_name
from ingest.errors import CollectionNotFound
from ingest.records import CollectionMetadata, Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL, WORD, Filter, Point, choose_collection
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Features
from model.errors import UsageError
from model.projections import Header, Projection, TagEvidence, unit
from model.words import Words
from query.asking import ImageQuery, Search, Source, Space, Term, combine, direction, parse

# path, angle of the visual vector in degrees, phrase of the semantic one
PICTURES = [
    ("cat/1.jpg", 0, "cat"),
    ("cat/2.jpg", 10, "cat"),
    ("dog/1.jpg", 20, "dog"),
    ("sea/old/1.jpg", 90, "ocean"),
    ("sea/2.jpg", 100, "beach"),
    ("top.jpg", 180, "car"),
]


def visual(angle: float) -> np.ndarray:
    radians = np.deg2rad(angle)
    return np.array([np.cos(radians), np.sin(radians), 0, 0], np.float32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path, words: Words, root: Path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path / "store")
    metadata = CollectionMetadata(
        kind="pictures",
        vectors={VISUAL: 4, SEMANTIC: words.width},
        words=words.name,
        words_sha256=words.sha256,
        trained=("cat",),
        root=str(root),
    )
    with store.create("pictures", metadata) as collection:
        collection.upsert([point(words, *picture) for picture in PICTURES])
        collection.save(metadata)
    tags = CollectionMetadata(kind="words", vectors={WORD: words.width}, words=words.name, words_sha256=words.sha256)
    with store.create(tags_name(words.name, words.sha256), tags) as vocabulary:
        vocabulary.upsert(
            [
                Point(stable_id(word), {WORD: words.phrase(word).vector}, {"word": word, "rank": 0})
                for word in ("cat", "kitten", "dog", "ocean", "car", "house")
            ]
        )
        vocabulary.save(tags)
    return store


def point(words: Words, path: str, angle: float, phrase: str) -> Point:
    picture = Picture(path, sha256=path, width=3, height=2, size=1, mtime_ns=1, visual_norm=2.0)
    return Point(picture.id, {VISUAL: visual(angle), SEMANTIC: words.phrase(phrase).vector}, picture.to_payload())


class AsStored(Projection):
    """Reads off a picture the phrase of `PICTURES`, and a class that calls it a house."""

    kind = "as stored"
    width = 4

    def __init__(self, words: Words) -> None:
        super().__init__(Header("", "", "", "", ""), {})
        self._words = words

    def project(self, features: Features) -> NDArray[np.float32]:
        near = [max(PICTURES, key=lambda picture: visual(picture[1]) @ row) for row in features]
        return np.stack([self._words.phrase(picture[2]).vector for picture in near])

    def read(self, features: Features) -> TagEvidence:
        return TagEvidence(self.project(features[None])[0], {"house": 0.5, "qwxyzzy": 0.9})

    @property
    def learnt(self) -> dict[str, NDArray[np.float32]]:
        return {"cat": unit((self._words.phrase("cat").vector - self._words.phrase("car").vector)[None])[0]}


@pytest.fixture
def search(store: EmbeddedStore, words: Words) -> Iterator[Search]:
    with store.open("pictures") as collection:
        asking = Search(store, collection)
        asking.projection = AsStored(words)
        yield asking


def asked_about(search: Search, root: Path, path: str) -> ImageQuery:
    return search.ask_about(Source(str(root / path)))


def paths(found: list) -> list[str]:
    return [answer.picture.path for answer in found]


def test_an_indexed_picture_is_asked_with_its_stored_vectors_and_left_out(search: Search, root: Path) -> None:
    asked = asked_about(search, root, "cat/1.jpg")
    assert asked.stored
    found = search.similar(asked, limit=3)
    assert paths(found) == ["cat/2.jpg", "dog/1.jpg", "sea/old/1.jpg"]
    np.testing.assert_allclose([f.score for f in found], np.cos(np.deg2rad([10, 20, 90])), atol=2e-6)


def test_a_path_as_answers_show_it_names_the_indexed_picture(search: Search) -> None:
    assert search.ask_about(Source("cat/1.jpg")).id == stable_id("cat/1.jpg")


def test_by_the_semantic_vector_what_means_the_same_comes_first(search: Search, root: Path) -> None:
    found = search.similar(asked_about(search, root, "sea/2.jpg"), space=Space.SEMANTIC, limit=1)
    assert paths(found) == ["sea/old/1.jpg"]


def test_both_vectors_are_fused_by_reciprocal_ranks(search: Search, root: Path) -> None:
    found = search.similar(asked_about(search, root, "cat/1.jpg"), space=Space.BOTH, limit=2)
    assert paths(found) == ["cat/2.jpg", "dog/1.jpg"]
    assert found[0].score == pytest.approx(2 / 61, abs=1e-6)
    assert found[1].score == pytest.approx(2 / 62, abs=1e-6)


def test_words_move_a_picture_in_word_space(search: Search, root: Path, words: Words) -> None:
    asked = asked_about(search, root, "cat/1.jpg")
    found = search.similar(asked, terms=[Term("ocean", 2.0), Term("cat", -1.0)], limit=1)
    assert paths(found) == ["sea/old/1.jpg"]
    terms = [Term("ocean", 2.0), Term("cat", -1.0)]
    expected = direction(terms, words, asked.semantic_aim, learnt=AsStored(words).learnt).vector
    assert found[0].score == pytest.approx(float(expected @ words.phrase("ocean").vector), abs=2e-6)


def test_words_and_the_visual_vector_alone_are_refused(search: Search, root: Path) -> None:
    asked = asked_about(search, root, "cat/1.jpg")
    with pytest.raises(UsageError, match="semantic"):
        search.similar(asked, terms=[Term("snow")], space=Space.VISUAL, limit=1)


def test_text_finds_by_meaning_and_equal_scores_come_in_the_order_of_ids(search: Search, words: Words) -> None:
    found = search.text(direction(parse("cat"), words), limit=2)
    assert [f.score for f in found] == [1.0, 1.0]
    assert paths(found) == sorted(["cat/1.jpg", "cat/2.jpg"], key=stable_id)


def test_labels_folders_and_scores_filter(search: Search, words: Words, root: Path) -> None:
    animal = direction(parse("cat + dog"), words)
    assert set(paths(search.text(animal, limit=9, filter=search.filter(["cat", "dog"])))) == {
        "cat/1.jpg",
        "cat/2.jpg",
        "dog/1.jpg",
    }
    for under in ("sea", "./sea/", str(root / "sea")):
        assert set(paths(search.text(animal, limit=9, filter=search.filter(under=under)))) == {
            "sea/2.jpg",
            "sea/old/1.jpg",
        }
    assert paths(search.text(animal, limit=9, filter=search.filter(["old"], "sea"))) == ["sea/old/1.jpg"]
    every = search.text(animal, limit=9)
    at_the_edge = search.text(animal, limit=9, min_score=every[2].score)
    assert paths(at_the_edge) == paths(every[:3])


def test_names_that_are_no_utf_8_filter_as_they_are_stored(search: Search) -> None:
    raw = os.fsdecode(b"bad\xff")
    assert search.filter([raw], raw) == Filter(("bad\ufffd",), "bad\ufffd")
    assert "lies under bad" in search.why_nothing(search.filter(under=raw))


def test_the_root_itself_filters_nothing_and_a_folder_elsewhere_is_refused(search: Search, root: Path) -> None:
    assert search.filter(under=".").under == ""
    assert search.filter(under=str(root)).under == ""
    with pytest.raises(UsageError, match="not in the dataset"):
        search.filter(under="/elsewhere")


def test_nothing_found_says_which_filter_left_nothing(search: Search) -> None:
    assert "labels there are: cat" in search.why_nothing(search.filter(["horse"]))
    assert "lies under horse" in search.why_nothing(search.filter(under="horse"))


def test_a_trained_label_is_looked_for_where_its_pictures_are(search: Search, words: Words) -> None:
    learnt = AsStored(words).learnt["cat"]
    assert np.allclose(search.towards([Term("cat")]).vector, learnt, atol=1e-6)
    assert np.allclose(search.towards([Term("dog")]).vector, words.phrase("dog").vector, atol=1e-6)
    both = search.towards([Term("cat"), Term("dog")]).vector
    assert np.allclose(both, unit((learnt + words.phrase("dog").vector)[None])[0], atol=1e-6)


def test_tags_are_the_nearest_words_and_say_which_were_trained(search: Search, root: Path, words: Words) -> None:
    tags = {tag.word: tag for tag in search.tags(asked_about(search, root, "cat/1.jpg"), limit=9)}
    near = {word: float(words.phrase(word).vector @ words.phrase("cat").vector) for word in tags}
    assert [word for word, tag in tags.items() if tag.trained] == ["cat"]
    assert "qwxyzzy" not in tags
    assert {word: tag.score for word, tag in tags.items()} == pytest.approx(
        near | {"house": near["house"] + 0.5**0.25}, abs=1e-5
    )
    assert [tag.score for tag in tags.values()] == sorted((tag.score for tag in tags.values()), reverse=True)


def test_pictures_added_up_are_read_by_their_place_in_word_space_alone(
    search: Search, root: Path, words: Words
) -> None:
    cat, dog = (asked_about(search, root, path) for path in ("cat/1.jpg", "dog/1.jpg"))
    tags = {tag.word: tag.score for tag in search.tags(combine([cat, dog], []), limit=9)}
    middle = unit((words.phrase("cat").vector + words.phrase("dog").vector)[None])[0]
    assert tags["house"] == pytest.approx(float(words.phrase("house").vector @ middle), abs=1e-4)


def test_tags_choose_among_given_labels_only(search: Search, root: Path, words: Words) -> None:
    tags = search.tags(asked_about(search, root, "dog/1.jpg"), limit=9, labels=["red_car", "cat"])
    dog = words.phrase("dog").vector
    scores = {tag.word: tag.score for tag in tags}
    wanted = {"cat": AsStored(words).learnt["cat"] @ dog, "red car": words.phrase("red car").vector @ dog}
    assert scores == pytest.approx({word: float(score) for word, score in wanted.items()}, abs=1e-5)
    assert tags[0].score >= tags[1].score


def test_own_labels_are_those_with_a_vector(search: Search) -> None:
    assert set(search.own_labels()) == {"cat", "dog", "sea", "old"}


def test_a_changed_file_is_not_answered_with_its_old_vector(search: Search, root: Path) -> None:
    """The stored vector is of a file of one byte: this one is another, and needs the encoder that is not there."""
    (root / "cat").mkdir()
    Image.new("RGB", (20, 20)).save(root / "cat" / "1.jpg")
    with pytest.raises(UsageError, match="no encoder"):
        asked_about(search, root, "cat/1.jpg")


def test_the_collection_is_told_by_name_folder_or_being_the_only_one(
    store: EmbeddedStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_collection(store, "") == "pictures"
    metadata = store.metadata("pictures")
    other = tmp_path / "other"
    other.mkdir()
    from dataclasses import replace

    with store.create("other", replace(metadata, root=str(other))) as collection:
        collection.save(collection.metadata)
    assert choose_collection(store, "other") == "other"
    assert choose_collection(store, "", root / "cat/1.jpg") == "pictures"
    with pytest.raises(CollectionNotFound, match=r"other \| pictures"):
        choose_collection(store, "")
    monkeypatch.chdir(other)
    assert choose_collection(store, "") == "other"
    with pytest.raises(CollectionNotFound, match="there are: other, pictures"):
        choose_collection(store, "absent")


def test_a_word_collection_is_no_collection_of_pictures(store: EmbeddedStore, words: Words) -> None:
    with pytest.raises(CollectionNotFound):
        choose_collection(store, tags_name(words.name, words.sha256))
