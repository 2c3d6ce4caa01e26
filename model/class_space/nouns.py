"""The nouns of WordNet: which senses a phrase may have. It must not know vectors.

The table is made by ``build.py`` from WordNet 3.0 (Princeton University; see ``LICENCE.wordnet``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ENDINGS = (("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"))
"""WordNet's rules of detachment for nouns (morphy)."""

_ARTICLE = re.compile(r"^(?:a|an|the|some|any)\s+")

Arrays = Mapping[str, NDArray[Any]]


def lines(text: NDArray[Any]) -> list[str]:
    """The lines of a text that is kept as bytes."""
    return bytes(text.tobytes()).decode().split("\n")


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of WordNet, in the singular. ``senses``: rows of synsets, the most frequent first.

    ``is_rare``: the sentence model has no token for it, and puts it together from pieces.
    """

    lemma: str
    senses: Sequence[int]
    is_rare: bool


class Nouns:
    """A phrase to the concrete senses that it may have as a noun.

    Args:
        tables: ``lemma_keys`` uint64, rising hashes of the lemmas; ``lemma_starts`` and ``lemma_ends`` uint32, in their
            order, into ``senses`` uint32; ``lemma_is_rare`` bool; ``plurals`` uint8, lines of
            "plural<tab>singular", the irregular ones. Looking a lemma up reads a few mapped pages and no text.
    """

    def __init__(self, tables: Arrays) -> None:
        self._keys, self._senses = tables["lemma_keys"], tables["senses"]
        self._starts, self._ends = tables["lemma_starts"], tables["lemma_ends"]
        self._tables = tables

    @cached_property
    def _plurals(self) -> dict[str, str]:
        return dict(line.split("\t") for line in lines(self._tables["plurals"]))

    def find(self, phrase: str) -> Noun | None:
        """The noun that a phrase is, an article aside; None where it is none."""
        for lemma in self._readings(_ARTICLE.sub("", phrase.lower().strip())):
            row = self._row(lemma)
            if row is not None:
                senses = self._senses[self._starts[row] : self._ends[row]].tolist()
                return Noun(lemma, senses, bool(self._tables["lemma_is_rare"][row]))
        return None

    def _row(self, lemma: str) -> int | None:
        key = hash_of(lemma)
        row = int(np.searchsorted(self._keys, key))
        return row if row < len(self._keys) and self._keys[row] == key else None

    def _readings(self, phrase: str) -> Iterator[str]:
        yield phrase
        before, _, last = phrase.rpartition(" ")
        for singular in self._singulars(last):
            yield f"{before} {singular}".strip()
        yield phrase.replace("-", " ")
        yield phrase.replace("-", "")
        yield phrase.replace(" ", "-")
        yield phrase.replace(" ", "")

    def forms(self, word: str) -> set[str]:
        """A word, and what it would be in the singular, whether that is a word or not."""
        return {word, *self._singulars(word)}

    def _singulars(self, word: str) -> Iterator[str]:
        if word in self._plurals:
            yield self._plurals[word]
        for ending, singular in _ENDINGS:
            if word.endswith(ending) and len(word) > len(ending) + 1:
                yield word.removesuffix(ending) + singular
        if word.endswith("s") and not word.endswith("ss") and len(word) > 2:
            yield word[:-1]


@dataclass(frozen=True, slots=True)
class NounTree:
    """The nouns with what each sense is a kind of. ``parents`` of each synset from ``parent_starts`` on, uint32."""

    nouns: Nouns
    parents: NDArray[np.uint32]
    parent_starts: NDArray[np.uint32]

    @classmethod
    def of_tables(cls, tables: Arrays) -> NounTree:
        """From the tables as they are shipped."""
        return cls(Nouns(lookup_tables(tables)[0]), tables["parents"], tables["parent_starts"])

    def above(self, synset: int) -> set[int]:
        """Every sense that this one is a kind of, without itself."""
        found: set[int] = set()
        open_ends = [synset]
        while open_ends:
            one = open_ends.pop()
            new = set(self.parents[self.parent_starts[one] : self.parent_starts[one + 1]].tolist()) - found
            found |= new
            open_ends += new
        return found


def lookup_tables(tables: Arrays) -> tuple[dict[str, NDArray[Any]], NDArray[np.intp]]:
    """What `Nouns` looks lemmas up in, of the tables as they are shipped, and the order it has these in.

    Which lemmas are rare is not known there: none is."""
    lemmas = lines(tables["lemmas"])
    keys = np.array([hash_of(lemma) for lemma in lemmas], np.uint64)
    order = np.argsort(keys)
    starts = tables["lemma_starts"]
    lookup = {
        "lemma_keys": keys[order],
        "lemma_starts": starts[:-1][order],
        "lemma_ends": starts[1:][order],
        "lemma_is_rare": np.zeros(len(lemmas), bool),
        "senses": tables["senses"],
        "plurals": tables["plurals"],
    }
    return lookup, order


def hash_of(lemma: str) -> np.uint64:
    """64 bits of a lemma: of WordNet's 59,000 concrete nouns no two share them."""
    return np.uint64(int.from_bytes(blake2b(lemma.encode(), digest_size=8).digest(), "little"))
