"""Pictures found by the text that stands in them, beside what they mean: alike in all stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.records import CollectionMetadata, Picture
from ingest.stores import SEMANTIC, VISUAL, Filter, Point, Store
from model.errors import WordsError
from model.words import Words
from query.asking import Answer, CollectionContext, Question, ask
from query.asking.named import Named
from tests.query.test_named import hit, in_all_stores
from tests.query.test_search import visual

# path, what the picture shows, what stands in it: None where that was not read
PICTURES = [
    ("a/1.png", "cat", "Messages\nThe dog is at the harbour"),
    ("a/2.png", "ocean", "Boarding pass LH 2047\nGate B14 Schnuffibus"),
    ("a/3.png", "car", "Dogs welcome, no harbours"),
    ("a/4.jpg", "dog", ""),
    ("a/5.jpg", "house", None),
    ("dog tickets/6.jpg", "house", "two tickets"),
]


@pytest.fixture
def stores(tmp_path: Path, words: Words) -> Iterator[list[Store]]:
    widths = {VISUAL: 4, SEMANTIC: words.width}
    metadata = CollectionMetadata("pictures", widths, words.name, words.sha256, root="/photos", ocr=True)
    points = []
    for path, shown, text in PICTURES:
        picture = Picture(path, sha256=path, width=3, height=2, size=1, mtime_ns=1, visual_norm=2.0, text=text)
        vectors = {VISUAL: visual(1), SEMANTIC: words.phrase(shown).vector}
        points.append(Point(picture.id, vectors, picture.to_payload()))
    with in_all_stores(tmp_path, metadata, points, words) as every:
        yield every


def asked(stores: list[Store], text: str, **options: bool) -> Answer:
    answers = []
    for store in stores:
        with store.open("pictures") as collection:
            question = replace(Question.in_words(text), limit=6, **options)  # type: ignore[arg-type]
            answers.append(ask(CollectionContext(store, collection), question))
    found = [[(hit.picture.path, round(hit.score, 4), hit.matched, hit.picture.text) for hit in one] for one in answers]
    assert found[0] == found[1] == found[2]
    return answers[0]


def matched(answer: Answer) -> dict[str, str | None]:
    return {hit.picture.path: hit.matched for hit in answer if hit.matched}


def test_all_words_must_stand_in_it_in_the_singular_or_plural(stores: list[Store]) -> None:
    assert matched(asked(stores, "harbour dogs")) == {"a/1.png": "text", "a/3.png": "text"}
    assert matched(asked(stores, "dogs at the gate")) == {}
    assert matched(asked(stores, "boarding pass")) == {"a/2.png": "text"}
    assert matched(asked(stores, "b14")) == {"a/2.png": "text"}


def test_what_has_the_words_in_its_name_is_found_by_that(stores: list[Store]) -> None:
    assert matched(asked(stores, "tickets")) == {"dog tickets/6.jpg": "name"}
    assert matched(asked(stores, "tickets", names=False)) == {"dog tickets/6.jpg": "text"}


def test_several_words_go_before_what_the_picture_shows_and_one_word_beside_it(stores: list[Store]) -> None:
    assert next(iter(asked(stores, "boarding pass"))).picture.path == "a/2.png"
    assert [hit.picture.path for hit in asked(stores, "dog", names=False)][:2] == ["a/1.png", "a/3.png"]
    cat, dog = hit("cat"), hit("dog")
    assert Named(written=(dog,), written_weight=1.0).ahead_of([cat, dog]) == [dog, cat]
    assert Named(written=(dog,), written_weight=1.0).ahead_of([cat]) == [cat, dog]
    assert Named(written=(dog,), written_weight=2.0).ahead_of([cat]) == [dog, cat]


def test_it_is_not_looked_for_where_nobody_wants_it_or_none_was_read(stores: list[Store]) -> None:
    assert matched(asked(stores, "boarding pass", written=False)) == {}
    for store in stores[:2]:
        with store.open("pictures", write=True) as collection:
            collection.save(replace(collection.metadata, ocr=False))
            answer = ask(CollectionContext(store, collection), Question.in_words("boarding pass"))
        assert matched(answer) == {}


def test_words_that_are_not_known_find_what_they_stand_in(stores: list[Store]) -> None:
    answer = asked(stores, "schnuffibus")
    assert [hit.picture.path for hit in answer] == ["a/2.png"]
    assert answer.messages[0].endswith("; found by text")
    with pytest.raises(WordsError, match="zzzqqq"):
        asked(stores, "zzzqqq")


def test_what_has_a_word_turned_away_from_is_left_out(stores: list[Store]) -> None:
    assert matched(asked(stores, "dog - welcome")) == {"a/1.png": "text", "dog tickets/6.jpg": "name"}


def test_the_filter_of_each_store(stores: list[Store]) -> None:
    for store in stores:
        with store.open("pictures") as collection:
            assert collection.count(Filter(written=(("dog", "dogs"), ("harbour", "harbours")))) == 2
            assert collection.count(Filter(written=(("dog",),))) == 1
            assert collection.count(Filter(written=(("dog",),), under="a", named=(("2",),))) == 0
