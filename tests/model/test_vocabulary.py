"""The tag vocabulary: things that can be seen, in the singular."""

from __future__ import annotations

import pytest

from model.encoders.torch import class_names
from model.words import Words, tag_vocabulary
from model.words.vocabulary import FUNCTION_WORDS, MIN_LETTERS


@pytest.fixture(scope="module")
def rows(words: Words) -> list[int]:
    return tag_vocabulary(words, class_names())


@pytest.fixture(scope="module")
def tags(words: Words, rows: list[int]) -> set[str]:
    return {words.word(row) for row in rows}


@pytest.mark.parametrize("word", ["dog", "ocean", "dolphin", "tree", "beach", "car", "piano", "sunset", "mouse"])
def test_things_are_tags(tags: set[str], word: str) -> None:
    assert word in tags


@pytest.mark.parametrize(
    "word", ["the", "dogs", "oceans", "quickly", "paris", "london", "itself", "mice", "still", "being"]
)
def test_function_words_plurals_adverbs_and_names_are_none(words: Words, tags: set[str], word: str) -> None:
    assert word in words
    assert word not in tags


def test_the_rows_are_in_order_of_frequency_and_unique(rows: list[int]) -> None:
    assert rows == sorted(set(rows))
    assert 10_000 < len(rows) < 30_000


def test_the_last_words_of_the_imagenet_classes_are_tags_even_if_no_dictionary_has_them(
    words: Words, tags: set[str]
) -> None:
    for name in class_names():
        head = name.lower().split()[-1]
        assert head in tags or head not in words, name
    with_one_more = tag_vocabulary(words, ["Toy London"])
    assert "london" in {words.word(row) for row in with_one_more}


def test_no_tag_is_a_function_word_or_too_short(words: Words) -> None:
    tags = {words.word(row) for row in tag_vocabulary(words, [])}
    assert not tags & FUNCTION_WORDS
    assert min(map(len, tags)) == MIN_LETTERS
    assert all(tag.isascii() and tag.isalpha() for tag in tags)
