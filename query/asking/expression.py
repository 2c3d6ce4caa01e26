"""The little language of text queries: ``beach + sunset - people``, ``2:dog + ball``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError, WordsError
from model.words import TextSpace
from query.asking.query_vectors import QueryVector

Vector = NDArray[np.float32]
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
    """Where in word space to look. ``aim``: at unit length. ``unknown``: words passed over."""

    aim: QueryVector
    known: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def vector(self) -> Vector:
        return self.aim.vector


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
    words: TextSpace,
    start: QueryVector | None = None,
    *,
    learnt: Mapping[str, Vector] | None = None,
) -> Direction:
    """Add the terms' phrases up, to ``start`` where there is one (a picture's), to one unit vector.

    Args:
        learnt: vectors that stand for a phrase instead of its own, by its known words.

    Raises:
        UsageError: only negative terms, which say where not to look.
        WordsError: a term without any known word, or terms that cancel out.
    """
    phrases = [(term.weight, words.phrase(term.text)) for term in terms]
    weights: dict[tuple[str, ...], float] = {}
    for weight, phrase in phrases:
        weights[phrase.known] = weights.get(phrase.known, 0.0) + weight  # "crab - 2:crab" turns away from crabs
    vectors = {phrase.known: (learnt or {}).get(" ".join(phrase.known), phrase.vector) for _, phrase in phrases}
    added = [(weight, vectors[known]) for known, weight in weights.items() if weight > 0]
    taken = [(-weight, vectors[known]) for known, weight in weights.items() if weight < 0]
    if start is None and taken and not added:
        raise UsageError("only words to turn away from: name at least one to look for")
    return Direction(
        aim=_aim(added, taken, start or QueryVector.at(np.zeros(words.width, np.float32))),
        known=tuple(word for _, phrase in phrases for word in phrase.known),
        unknown=tuple(word for _, phrase in phrases for word in phrase.unknown),
    )


Part = tuple[float, Vector]


def _aim(added: Sequence[Part], taken: Sequence[Part], start: QueryVector) -> QueryVector:
    vector = _sum([*added, *((-weight, vector) for weight, vector in taken), (1.0, start.vector)])
    if not vector.any():
        raise WordsError("the words asked for cancel each other out: ask for fewer")
    if not taken and start.taken is None:
        return QueryVector.at(vector)
    before = [] if start.taken is None else [(1.0, start.taken)]
    return QueryVector(vector, _sum([*added, (1.0, start.wanted)]), _sum([*taken, *before]))


def _sum(parts: Sequence[Part]) -> Vector:
    """At unit length, or zero where nothing is left."""
    weights = np.array([weight for weight, _ in parts])
    total = weights @ np.stack([vector for _, vector in parts])
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length >= 1e-6 else np.zeros_like(total), np.float32)
