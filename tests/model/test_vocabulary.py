"""The tag vocabulary: things that can be seen, in the singular."""

from __future__ import annotations

import pytest

from model.encoders.torchvision import imagenet_class_names
from model.words import TagWord, Words, tag_vocabulary


@pytest.fixture(scope="module")
def vocabulary(words: Words) -> list[TagWord]:
    return tag_vocabulary(words, imagenet_class_names())


@pytest.fixture(scope="module")
def tags(vocabulary: list[TagWord]) -> set[str]:
    return {tag.word for tag in vocabulary}


@pytest.mark.parametrize("word", ["dog", "ocean", "dolphin", "tree", "beach", "car", "piano", "sunset", "mouse"])
def test_things_are_tags(tags: set[str], word: str) -> None:
    assert word in tags


@pytest.mark.parametrize(
    "word", ["the", "dogs", "oceans", "quickly", "paris", "london", "itself", "mice", "still", "being"]
)
def test_function_words_plurals_adverbs_and_names_are_none(words: Words, tags: set[str], word: str) -> None:
    assert word in words
    assert word not in tags


def test_tags_are_in_order_of_frequency_and_unique(words: Words, vocabulary: list[TagWord]) -> None:
    ranks = [tag.rank for tag in vocabulary]
    assert ranks == sorted(set(ranks))
    assert 10_000 < len(ranks) < 30_000
    assert all(words.word(tag.rank) == tag.word for tag in vocabulary)


def test_the_last_words_of_the_imagenet_classes_are_tags_even_if_no_dictionary_has_them(
    words: Words, tags: set[str]
) -> None:
    for name in imagenet_class_names():
        head = name.lower().split()[-1]
        assert head in tags or head not in words, name
    with_one_more = tag_vocabulary(words, ["Toy London"])
    assert "london" in {tag.word for tag in with_one_more}


def test_no_tag_is_a_function_word_or_too_short(words: Words) -> None:
    tags = {tag.word for tag in tag_vocabulary(words, [])}
    assert not tags & {"all", "hers", "lots", "million", "thousand", "twelve", "would", "yesterday", "yourself"}
    assert min(map(len, tags)) == 3
    assert all(tag.isascii() and tag.isalpha() for tag in tags)
