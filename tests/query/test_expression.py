import numpy as np
import pytest

from model.errors import UsageError, WordsError
from model.words import Words
from query.asking import QueryVector, Term, TextQuery, parse
from query.asking.expression import written


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ocean", [Term("ocean")]),
        ("a red fire truck", [Term("a red fire truck")]),
        ("beach + sunset - people", [Term("beach"), Term("sunset"), Term("people", -1)]),
        ("t-shirt", [Term("t-shirt")]),
        ("2:dog + 0.5:ball", [Term("dog", 2), Term("ball", 0.5)]),
        ("dog - 3:red car", [Term("dog"), Term("red car", -3)]),
        ("lobster -crab", [Term("lobster"), Term("crab", -1)]),
        ("-people +beach", [Term("people", -1), Term("beach")]),
        ("  - people + beach ", [Term("people", -1), Term("beach")]),
    ],
)
def test_expressions_are_split_at_operators_between_spaces(text: str, terms: list[Term]) -> None:
    assert parse(text) == terms


@pytest.mark.parametrize("text", ["ocean", "beach + sunset -people", "2:dog + 0.5:ball", "-2:red car + 3:dog"])
def test_terms_are_written_as_they_are_asked_for(text: str) -> None:
    assert written(parse(text)) == text


@pytest.mark.parametrize("text", ["", "   ", "beach +", "beach + - people", "+"])
def test_an_operator_without_words_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write words"):
        parse(text)


@pytest.mark.parametrize("text", ["1001:dog", "9" * 400 + ":dog", "cat - 99999:dog"])
def test_a_weight_out_of_all_proportion_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="1000 is the most"):
        parse(text)


def test_terms_add_up_as_unit_phrases_with_their_weights(words: Words) -> None:
    found = TextQuery.of(parse("2:dog - car"), words).vector
    by_hand = 2 * words.phrase("dog").vector - words.phrase("car").vector
    np.testing.assert_allclose(found, by_hand / np.linalg.norm(by_hand), atol=1e-6)


def test_a_picture_is_moved_by_words(words: Words) -> None:
    cat, snow = words.phrase("cat").vector, words.phrase("snow").vector
    moved = TextQuery.of([Term("snow")], words, start=QueryVector.at(cat)).vector
    np.testing.assert_allclose(moved, (cat + snow) / np.linalg.norm(cat + snow), atol=1e-6)


def test_what_is_wanted_is_the_same_before_anything_is_subtracted(words: Words) -> None:
    cat, dog, snow = (words.phrase(word).vector for word in ("cat", "dog", "snow"))
    assert TextQuery.of(parse("dog + snow"), words).query.negative is None
    query = TextQuery.of(parse("2:dog - snow"), words).query
    np.testing.assert_allclose(query.positive, dog, atol=1e-6)
    np.testing.assert_allclose(query.negative, snow, atol=1e-6)
    moved = TextQuery.of(parse("dog"), words, start=QueryVector(-snow, np.zeros_like(snow), snow)).query
    np.testing.assert_allclose(moved.positive, dog, atol=1e-6)
    np.testing.assert_allclose(moved.vector, (dog - snow) / np.linalg.norm(dog - snow), atol=1e-6)
    moved = TextQuery.of([Term("snow", -1.0)], words, start=QueryVector.at(cat)).query
    np.testing.assert_allclose(moved.positive, cat, atol=1e-6)
    away = TextQuery.of([Term("snow", -1.0)], words, start=QueryVector(-cat, np.zeros_like(cat), cat)).query
    assert away.with_positive().positive is away.vector  # nothing is wanted: only where it leads can be measured
    np.testing.assert_allclose(away.negative, (cat + snow) / np.linalg.norm(cat + snow), atol=1e-6)


def test_a_word_that_comes_twice_counts_by_its_sum(words: Words) -> None:
    dog = words.phrase("dog").vector
    query = TextQuery.of(parse("cat + dog - cat"), words).query
    np.testing.assert_allclose(query.vector, dog, atol=1e-6)
    assert query.negative is None
    assert TextQuery.of(parse("dog - 0:cat"), words).query.negative is None
    with pytest.raises(UsageError, match="at least one to look for"):
        TextQuery.of(parse("dog - 2:dog"), words)


def test_only_negative_terms_are_refused(words: Words) -> None:
    with pytest.raises(UsageError, match="at least one to look for"):
        TextQuery.of(parse("- people"), words)


def test_terms_that_cancel_out_are_refused(words: Words) -> None:
    with pytest.raises(WordsError, match="cancel"):
        TextQuery.of(parse("dog - dog"), words)


def test_unknown_words_beside_known_ones_are_named(words: Words) -> None:
    found = TextQuery.of(parse("blue xqzzv + ocean"), words)
    assert found.unknown == ("xqzzv",)
    assert found.known == ("blue", "ocean")


def test_a_term_without_any_known_word_is_refused_with_spellings(words: Words) -> None:
    with pytest.raises(WordsError, match="did you mean ocean"):
        TextQuery.of(parse("dog + ocaen"), words)
