"""Durations as people say them."""

from __future__ import annotations

import pytest

from model.system.clock import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.02, "1 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5_940, "99 min"),
        (6_000, "1 h 40 min"),
        (7_200, "2 h"),
        (86_400, "1 d"),
        (190_000, "2 d 4 h"),
    ],
)
def test_a_duration_is_no_more_exact_than_an_estimate(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
