"""The little language of text queries: ``beach + sunset - people``, ``2:dog + ball``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError, WordsError
from model.words import Phrase, Words

_OPERATOR = re.compile(r"(?:^|\s)([+-])(?=\s|$|\w)")
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?):(.+)", re.DOTALL)

MOST_WEIGHT = 1000.0
"""What counts more leaves nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase and how much it counts: negative ones are turned away from."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Direction:
    """Where in word space to look. ``vector``: (width,) float32, unit length. ``unknown``: words passed over."""

    vector: NDArray[np.float32]
    known: tuple[str, ...]
    unknown: tuple[str, ...]


def parse(text: str) -> list[Term]:
    """Split at ``+`` and ``-`` with a space before them, so that ``t-shirt`` stays a word and ``-people`` is none.

    Raises:
        UsageError: an operator without a phrase, a weight out of all proportion, or nothing asked for.
    """
    pieces = _OPERATOR.split(text)
    signs = ["+", *pieces[1::2]]
    terms = [_term(sign, phrase.strip()) for sign, phrase in zip(signs, pieces[::2], strict=True)]
    if not terms[0].text and len(terms) > 1:  # "- people": nothing stands before the first operator
        terms = terms[1:]
    if terms[0].text and any(not term.text for term in terms):
        raise UsageError(f'nothing follows an operator in {text!r}: write words, as in "beach + sunset - people"')
    if not terms[0].text:
        raise UsageError(f'nothing to search for in {text!r}: write words, as in "beach + sunset - people"')
    return terms


def _term(sign: str, phrase: str) -> Term:
    weighted = _WEIGHT.fullmatch(phrase)
    weight, phrase = (float(weighted[1]), weighted[2].strip()) if weighted else (1.0, phrase)
    if weight > MOST_WEIGHT:
        raise UsageError(f"a weight of {weight:g} leaves nothing of the other words: {MOST_WEIGHT:.0f} is the most")
    return Term(phrase, weight if sign == "+" else -weight)


def direction(
    terms: Iterable[Term],
    words: Words,
    start: NDArray[np.float32] | None = None,
    *,
    learnt: Mapping[str, NDArray[np.float32]] | None = None,
) -> Direction:
    """Add the terms' phrases up, to ``start`` where there is one (a picture's vector), to one unit vector.

    Args:
        learnt: vectors that stand for a phrase instead of its own, by its known words.

    Raises:
        UsageError: only negative terms, which say where not to look.
        WordsError: a term without any known word, or terms that cancel out.
    """
    terms = list(terms)
    if start is None and not any(term.weight > 0 for term in terms):
        raise UsageError("only words to turn away from: name at least one to look for")
    phrases: list[tuple[Term, Phrase]] = [(term, words.phrase(term.text)) for term in terms]
    total = np.zeros(words.width, np.float64) if start is None else start.astype(np.float64)
    for term, phrase in phrases:
        total += term.weight * (learnt or {}).get(" ".join(phrase.known), phrase.vector)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise WordsError("the words asked for cancel each other out: ask for fewer")
    return Direction(
        vector=np.asarray(total / length, np.float32),
        known=tuple(word for _, phrase in phrases for word in phrase.known),
        unknown=tuple(word for _, phrase in phrases for word in phrase.unknown),
    )
