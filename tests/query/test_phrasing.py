"""Questions as people write them: filler says nothing, and what is said not to be wanted is subtracted."""

from __future__ import annotations

import pytest

from model.errors import UsageError
from query.asking.phrasing import bare, read


@pytest.mark.parametrize(
    "text",
    [
        "lobster",
        "a lobster",
        "photo of a lobster",
        "a picture of the lobster",
        "pictures of my lobster",
        "an image of one lobster",
        "images with a lobster",
        "show me a lobster",
        "Show me all the photos of a lobster, please!",
        "find lobster",
        "find me pictures that show a lobster",
        "I'm looking for a lobster",
        "I would like to see some photos with a lobster",
        "can you show me all the photos that have a lobster in them?",
        "is there a lobster in this picture?",
        "where is the lobster?",
        "photos in which there is a lobster",
        "lobster photos",
        "lobster picture",
        "a close-up of a lobster",
        "lobster on a white background",
        "a lobster isolated on a plain black background",
        "five stars + photo of a lobster",
    ],
)
def test_filler_says_nothing(text: str) -> None:
    assert [term.text for term in read(text).terms][-1] == "lobster"
    assert read(text).message == ""


@pytest.mark.parametrize(
    "text",
    [
        "picture frame",
        "motion picture",
        "photo album",
        "see saw",
        "display cabinet",
        "search party",
        "something to sit on",
        "bird that cannot fly",
        "bird that can not fly",
        "do not enter",
        "not only crabs",
        "tells the time",
        "looking at things far away",
        "crab and lobster",
        "forget-me-not",
        "Chanel No 5",
        "without",
        "show me",
        "the",
        "everything",
    ],
)
def test_what_carries_meaning_stays(text: str) -> None:
    reading = read(text)
    assert ([term.text for term in reading.terms], reading.message) == ([text], "")


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("crab but not lobster", "crab -lobster"),
        ("crab, not lobster", "crab -lobster"),
        ("crab and no lobster", "crab -lobster"),
        ("lobster without crab", "lobster -crab"),
        ("photos of a lobster without any crabs, please", "lobster -crabs"),
        ("crab except lobster", "crab -lobster"),
        ("a crab rather than a lobster", "crab -lobster"),
        ("a crustacean that is not a crab", "crustacean -crab"),
        ("not lobster but crab", "crab -lobster"),
        ("beach, no people", "beach -people"),
        ("beach with no one", "beach -people"),
        ("beach without people or dogs", "beach -people -dogs"),
        ("beach + sunset without people", "beach + sunset -people"),
        ("2:dog not cat", "2:dog -2:cat"),
        ("not lobster", "-lobster"),
        ("anything but lobster", "-lobster"),
        ("everything except lobsters and crabs", "-lobsters -crabs"),
        ("show me pictures without people", "-people"),
        ("neither crab nor lobster", "-crab -lobster"),
        ("no people", "-people"),
    ],
)
def test_what_is_not_wanted_is_subtracted_and_said(text: str, understood: str) -> None:
    assert read(text).message == f"read as: {understood}"


def test_the_signs_are_those_of_the_message() -> None:
    terms = read("crab but not lobster").terms
    assert [(term.text, term.weight) for term in terms] == [("crab", 1.0), ("lobster", -1.0)]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('"not lobster"', ["not lobster"]),
        ("“no entry” sign", ["no entry sign"]),
        ('photo of a "no smoking" sign', ["no smoking sign"]),
        ('"a photo of a rock - paper" + scissors', ["a photo of a rock - paper", "scissors"]),
        ('"no entry" + "no smoking"', ["no entry", "no smoking"]),
        ('12" pizza', ['12" pizza']),
        ('""', ['""']),
    ],
)
def test_a_quoted_phrase_stands_as_it_is(text: str, phrases: list[str]) -> None:
    reading = read(text)
    assert [term.text for term in reading.terms] == phrases
    assert reading.message == ""


def test_operators_mean_what_they_did() -> None:
    terms = read("2:dog + t-shirt -not a cat").terms
    assert [(term.text, term.weight) for term in terms] == [("dog", 2.0), ("t-shirt", 1.0), ("not a cat", -1.0)]


def test_nothing_asked_for_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to search for"):
        read("  ")


def test_a_phrase_of_filler_alone_is_kept() -> None:
    assert bare("a picture of") == "picture of"
    assert bare("photos, please") == "photos"
