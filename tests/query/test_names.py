"""Words in the names of folders and files, by literals."""

from __future__ import annotations

import pytest

from query.asking.names import NameMatch, asked_words, name_match, spellings

NONE, WORDS, WHOLE = NameMatch.NONE, NameMatch.WORDS, NameMatch.WHOLE


@pytest.mark.parametrize(
    ("path", "question", "match"),
    [
        ("moon/IMG_1234.jpg", "moon", WHOLE),
        ("Moon/1.jpg", "the moon", WORDS),
        ("trips/MOON.JPG", "moon", WHOLE),
        ("2019 Venice/a.jpg", "venice", WORDS),
        ("2019 Venice/a.jpg", "Venice 2019", WORDS),
        ("2019 Venice/a.jpg", "2019 venice", WHOLE),
        ("2019/a.jpg", "2019", WHOLE),
        ("2019/moon 1.jpg", "moon 2019", WORDS),
        ("2119/moon 1.jpg", "moon 2119", NONE),
        ("fire_truck/a.jpg", "fire truck", WHOLE),
        ("venice/carnival-masks.jpg", "masks of venice", WORDS),
        ("venice/carnival.jpg", "venice masks", NONE),
        ("crabs/a.jpg", "crab", WORDS),
        ("strawberry/a.jpg", "strawberries", WORDS),
        ("honeymoon/a.jpg", "moon", NONE),
        ("Käse/a.jpg", "käse", WHOLE),
        ("Ka\u0308se/a.jpg", "käse", WHOLE),
        ("芝士/a.jpg", "芝士", WHOLE),
        ("a/b.jpg", "jpg", NONE),
        ("x/IMG_1234.jpg", "img_1234", WHOLE),
        ("x/IMG_1234.jpg", "img", NONE),
        ("x/IMG_1234.jpg", "1234", NONE),
        ("x/IMG_1234.jpg", "image 1234", NONE),
        ("x/image_0001.jpg", "image", NONE),
        ("DCIM/100CANON/DSC00042.JPG", "canon", NONE),
        ("x/Screenshot 2020-01-02 at 10.11.12.png", "screenshot", NONE),
        ("x/the.jpg", "the", WHOLE),
        ("x/y.jpg", "?!", NONE),
    ],
)
def test_how_a_path_answers(path: str, question: str, match: NameMatch) -> None:
    assert name_match(path, [question], asked_words([question])) is match


def test_every_phrase_must_be_there() -> None:
    asked = ["beach", "sunset"]
    assert name_match("beach/sunset 1.jpg", asked, asked_words(asked)) is WORDS
    assert name_match("beach/1.jpg", asked, asked_words(asked)) is NONE


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("crab", ("crab", "crabs")),
        ("crabs", ("crabs", "crab")),
        ("watches", ("watches", "watch")),
        ("watch", ("watch", "watches")),
        ("strawberries", ("strawberries", "strawberry")),
        ("mayfly", ("mayfly", "mayflies")),
        ("glass", ("glass", "glasses")),
        ("ibis", ("ibis", "ibises")),
        ("2019", ("2019",)),
        ("käse", ("käse", "ka\u0308se")),
    ],
)
def test_spellings(word: str, forms: tuple[str, ...]) -> None:
    assert spellings(word) == forms
