"""Search semantics on vectors one can compute by hand, in a real embedded store with real word vectors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
from model.errors import PictureGone, UsageError
from model.projections import Header, Projection, Tag, TagEvidence, unit
from model.words import Words
from query.asking import (
    Answer,
    CollectionContext,
    EncodedPicture,
    PictureHit,
    Question,
    Source,
    Space,
    TagsQuestion,
    Term,
    ask,
    ask_tags,
    own_labels,
    parse,
    picture_filter,
    resolve_words,
)

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

    def tag_evidence(self, features: Features) -> TagEvidence:
        return TagEvidence(self.project(features[None])[0], {"house": 0.5, "qwxyzzy": 0.9})

    @property
    def learnt(self) -> dict[str, NDArray[np.float32]]:
        return {"cat": unit((self._words.phrase("cat").vector - self._words.phrase("car").vector)[None])[0]}


@pytest.fixture
def context(store: EmbeddedStore, words: Words) -> Iterator[CollectionContext]:
    with store.open("pictures") as collection:
        made = CollectionContext(store, collection)
        made.projection = AsStored(words)
        yield made


def similar(context: CollectionContext, path: Path | str, **wanted: Any) -> Answer:
    return ask(context, Question(pictures=(Source(str(path)),), **wanted))


def text(context: CollectionContext, words: str, **wanted: Any) -> Answer:
    return ask(context, Question(tuple(parse(words)), **wanted))


def paths(hits: Iterable[PictureHit]) -> list[str]:
    return [hit.picture.path for hit in hits]


def test_an_indexed_picture_is_asked_with_its_stored_vectors_and_left_out(
    context: CollectionContext, root: Path
) -> None:
    answer = similar(context, root / "cat/1.jpg", limit=3)
    assert answer.asked is not None
    assert answer.asked.picture.path == "cat/1.jpg"
    assert paths(answer) == ["cat/2.jpg", "dog/1.jpg", "sea/old/1.jpg"]
    assert [hit.score for hit in answer] == pytest.approx([0.984808, 0.939693, 0.0], abs=2e-6)  # of 10, 20, 90 degrees
    assert (answer.total, answer.has_more, answer.collection) == (6, True, "pictures")


def test_a_path_as_answers_show_it_names_the_indexed_picture(context: CollectionContext) -> None:
    answer = similar(context, "cat/1.jpg")
    assert answer.asked is not None
    assert answer.asked.picture.path == "cat/1.jpg"


def test_a_picture_is_named_by_its_id_too(context: CollectionContext) -> None:
    assert paths(ask(context, Question(pictures=(stable_id("cat/1.jpg"),), limit=1))) == ["cat/2.jpg"]
    with pytest.raises(PictureGone, match="may have been removed"):
        ask(context, Question(pictures=(stable_id("cat/1.jpg"), stable_id("absent.jpg"))))


def test_a_picture_that_was_encoded_before_is_asked_about(context: CollectionContext) -> None:
    encoded = EncodedPicture(visual(9))
    assert paths(ask(context, Question(pictures=(encoded,), limit=2))) == ["cat/2.jpg", "cat/1.jpg"]


def test_by_the_semantic_vector_what_means_the_same_comes_first(context: CollectionContext, root: Path) -> None:
    assert paths(similar(context, root / "sea/2.jpg", space=Space.SEMANTIC, limit=1)) == ["sea/old/1.jpg"]


def test_both_vectors_are_fused_by_reciprocal_ranks(context: CollectionContext, root: Path) -> None:
    answer = similar(context, root / "cat/1.jpg", space=Space.BOTH, limit=2)
    assert paths(answer) == ["cat/2.jpg", "dog/1.jpg"]
    assert [hit.score for hit in answer] == [0.032787, 0.032258]  # 1/61 + 1/61, 1/62 + 1/62


def test_words_move_a_picture_in_word_space(context: CollectionContext, root: Path, words: Words) -> None:
    terms = (Term("ocean", 2.0), Term("cat", -1.0))
    answer = similar(context, root / "cat/1.jpg", terms=terms, limit=1)
    assert paths(answer) == ["sea/old/1.jpg"]
    cat, ocean = words.phrase("cat").vector, words.phrase("ocean").vector
    moved = unit((2 * ocean - AsStored(words).learnt["cat"] + cat)[None])[0]
    assert answer.hits[0].score == pytest.approx(float(moved @ ocean), abs=2e-6)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "give words or a picture"),
        ({"terms": (Term("snow"),), "pictures": (Source("a.jpg"),), "space": Space.VISUAL}, "semantic"),
        ({"terms": (Term("snow"),), "space": Space.BOTH}, "semantic"),
        ({"terms": (Term("snow"),), "limit": 0}, "limit of 0"),
        ({"terms": (Term("snow"),), "offset": -1}, "from -1"),
        ({"terms": (Term("snow"),), "min_score": float("nan")}, "'nan' is not"),
        ({"terms": (Term("snow"),), "min_score": "high"}, "'high'"),
    ],
)
def test_a_question_that_contradicts_itself_is_refused_before_anything_is_opened(
    wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        Question(**wrong)


def test_text_finds_by_meaning_and_equal_scores_come_in_the_order_of_ids(context: CollectionContext) -> None:
    answer = text(context, "dog + dog", limit=1)
    assert paths(answer) == ["dog/1.jpg"]
    assert answer.hits[0].score == 1.0
    answer = text(context, "cat", limit=2)
    assert answer.hits[0].score == answer.hits[1].score
    assert paths(answer) == ["cat/1.jpg", "cat/2.jpg"]
    assert [str(hit.picture.id)[:4] for hit in answer] == ["dbae", "e7d0"]


def test_labels_folders_and_scores_filter(context: CollectionContext, root: Path) -> None:
    def found(labels: Sequence[str] = (), under: str = "") -> set[str]:
        return set(paths(text(context, "cat + dog", filter=picture_filter(str(root), labels, under))))

    assert found(["cat", "dog"]) == {"cat/1.jpg", "cat/2.jpg", "dog/1.jpg"}
    for under in ("sea", "./sea/", str(root / "sea")):
        assert found(under=under) == {"sea/2.jpg", "sea/old/1.jpg"}
    assert found(["old"], "sea") == {"sea/old/1.jpg"}
    every = text(context, "cat + dog")
    assert paths(text(context, "cat + dog", min_score=every.hits[2].score)) == paths(every.hits[:3])


def test_a_picture_is_looked_for_below_the_folder_only(context: CollectionContext, root: Path) -> None:
    answer = similar(context, root / "cat/1.jpg", filter=picture_filter(str(root), under="sea"))
    assert paths(answer) == ["sea/old/1.jpg", "sea/2.jpg"]
    assert answer.total == 2
    assert paths(similar(context, root / "cat/1.jpg", filter=picture_filter(str(root), ["dog"]))) == ["dog/1.jpg"]


def test_names_that_are_no_utf_8_filter_as_they_are_stored(context: CollectionContext, root: Path) -> None:
    raw = os.fsdecode(b"bad\xff")
    assert picture_filter(str(root), [raw], raw) == Filter(("bad\ufffd",), "bad\ufffd")
    assert "lies under bad" in text(context, "cat", filter=picture_filter(str(root), under=raw)).why_nothing


def test_the_root_itself_filters_nothing_and_a_folder_elsewhere_is_refused(root: Path) -> None:
    assert picture_filter(str(root), under=".").under == ""
    assert picture_filter(str(root), under=str(root)).under == ""
    with pytest.raises(UsageError, match="not in the dataset"):
        picture_filter(str(root), under="/elsewhere")


def test_nothing_found_says_why(context: CollectionContext) -> None:
    assert "labels there are: cat" in text(context, "cat", filter=Filter(("horse",))).why_nothing
    assert "lies under horse" in text(context, "cat", filter=Filter(under="horse")).why_nothing
    assert text(context, "dog", min_score=1.5).why_nothing == (
        "no picture scores 1.5 or more: the nearest scores 1.0000"
    )
    assert text(context, "dog", limit=1).why_nothing == ""


def test_pages_are_one_answer_in_pieces(context: CollectionContext) -> None:
    whole = text(context, "animal", limit=6)
    assert not whole.has_more
    pieces = [text(context, "animal", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [hit for piece in pieces for hit in piece] == list(whole)
    assert [piece.has_more for piece in pieces] == [True, True, False]
    beyond = text(context, "animal", limit=2, offset=6)
    assert (beyond.hits, beyond.why_nothing) == ((), "")


def test_words_passed_over_are_told(context: CollectionContext) -> None:
    (message,) = text(context, "cat + dog xqzzv").messages
    assert message == "no vector for 'xqzzv': try another word; searched without"
    assert text(context, "cat").messages == ()


def test_a_trained_label_is_looked_for_where_its_pictures_are(context: CollectionContext, words: Words) -> None:
    learnt = AsStored(words).learnt["cat"]
    dog = words.phrase("dog").vector
    np.testing.assert_allclose(resolve_words(context, [Term("cat")]).vector, learnt, atol=1e-6)
    np.testing.assert_allclose(resolve_words(context, [Term("dog")]).vector, dog, atol=1e-6)
    both = resolve_words(context, [Term("cat"), Term("dog")]).vector
    np.testing.assert_allclose(both, unit((learnt + dog)[None])[0], atol=1e-6)


def tags_of(context: CollectionContext, *pictures: Path, **wanted: Any) -> list[Tag]:
    return list(ask_tags(context, TagsQuestion(tuple(Source(str(picture)) for picture in pictures), **wanted)))


def test_tags_are_the_nearest_words_and_say_which_were_trained(
    context: CollectionContext, root: Path, words: Words
) -> None:
    tags = {tag.word: tag for tag in tags_of(context, root / "cat/1.jpg")}
    assert [word for word, tag in tags.items() if tag.trained] == ["cat"]
    assert "qwxyzzy" not in tags
    assert {word: tags[word].score for word in ("house", "cat", "dog")} == pytest.approx(
        {"house": 0.206939, "cat": 0.029312, "dog": 0.024984}, abs=1e-5
    )
    assert [tag.score for tag in tags.values()] == sorted((tag.score for tag in tags.values()), reverse=True)


def test_what_pictures_added_up_name_is_the_mean_of_what_they_name(context: CollectionContext, root: Path) -> None:
    tags = {tag.word: tag.score for tag in tags_of(context, root / "cat/1.jpg", root / "dog/1.jpg")}
    assert tags["house"] == pytest.approx(0.225581, abs=1e-5)


def test_tags_choose_among_given_labels_only(context: CollectionContext, root: Path, words: Words) -> None:
    tags = tags_of(context, root / "dog/1.jpg", labels=("red_car", "cat"))
    dog = words.phrase("dog").vector
    scores = {tag.word: tag.score for tag in tags}
    wanted = {"cat": AsStored(words).learnt["cat"] @ dog, "red car": words.phrase("red car").vector @ dog}
    assert scores == pytest.approx({word: float(score) for word, score in wanted.items()}, abs=1e-5)
    assert tags[0].score >= tags[1].score


def test_own_labels_are_those_with_a_vector(context: CollectionContext, root: Path) -> None:
    assert set(own_labels(context)) == {"cat", "dog", "sea", "old"}
    assert {tag.word for tag in tags_of(context, root / "dog/1.jpg", own_labels=True)} == {"cat", "dog", "sea", "old"}


def test_a_changed_file_is_not_answered_with_its_old_vector(context: CollectionContext, root: Path) -> None:
    """The stored vector is of a file of one byte: this one is another, and needs the encoder that is not there."""
    (root / "cat").mkdir()
    Image.new("RGB", (20, 20)).save(root / "cat" / "1.jpg")
    with pytest.raises(UsageError, match="no encoder"):
        similar(context, root / "cat/1.jpg")


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
