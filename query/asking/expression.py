"""The little language of text queries: ``beach + sunset - people``, ``2:dog + ball``.

It must not know what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import UsageError

_OPERATOR = re.compile(r"(?:^|\s)([+-])(?=\s|$|\w)")
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?):(.+)", re.DOTALL)

MOST_WEIGHT = 1000.0
"""A phrase of more weight would leave nothing of the others."""


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase and its weight; a phrase of negative weight is subtracted."""

    text: str
    weight: float = 1.0


def parse(text: str) -> list[Term]:
    """Split at ``+`` and ``-`` with a space before them, so that ``t-shirt`` stays a word and ``-people`` is none.

    Raises:
        UsageError: an operator without a phrase, a weight that is too large, or nothing asked for.
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


def written(terms: Sequence[Term]) -> str:
    """The terms as `parse` takes them."""
    phrases = [f"{abs(term.weight):g}:{term.text}" if abs(term.weight) != 1 else term.text for term in terms]
    signs = ["-" if term.weight < 0 else "+ " for term in terms]
    return " ".join(sign + phrase for sign, phrase in zip(signs, phrases, strict=True)).removeprefix("+ ")


def _term(sign: str, phrase: str) -> Term:
    weighted = _WEIGHT.fullmatch(phrase)
    weight, phrase = (float(weighted[1]), weighted[2].strip()) if weighted else (1.0, phrase)
    if weight > MOST_WEIGHT:
        raise UsageError(f"a weight of {weight:g} leaves nothing of the other words: {MOST_WEIGHT:.0f} is the most")
    return Term(phrase, weight if sign == "+" else -weight)
