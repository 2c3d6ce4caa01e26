"""Words asked for, as a vector of the text space.

It must not know the collection that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError, WordsError
from model.words import TextSpace
from query.asking.expression import Term, written
from query.asking.query_vector import QueryVector

Vector = NDArray[np.float32]
WeightedVector = tuple[float, Vector]


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Where in the text space to look.

    ``query``: its vector at unit length. ``known``: the words it is made of. ``unknown``: words passed over.
    """

    query: QueryVector
    known: tuple[str, ...]
    unknown: tuple[str, ...]

    @classmethod
    def of(
        cls,
        terms: Sequence[Term],
        words: TextSpace,
        start: QueryVector | None = None,
        *,
        learnt: Mapping[str, Vector] | None = None,
    ) -> TextQuery:
        """The terms' phrases added up to one unit vector, from ``start`` (a picture's) on where there is one.

        Args:
            learnt: vectors that stand for a phrase instead of its own, by its known words.

        Raises:
            UsageError: only negative terms, which do not say where to look.
            WordsError: a term without any known word, or terms that cancel each other out.
        """
        phrases = [(term.weight, words.phrase(term.text)) for term in terms]
        weights: dict[tuple[str, ...], float] = {}
        for weight, phrase in phrases:
            weights[phrase.known] = weights.get(phrase.known, 0.0) + weight  # "crab - 2:crab" subtracts crabs
        vectors = {phrase.known: (learnt or {}).get(" ".join(phrase.known), phrase.vector) for _, phrase in phrases}
        added = [(weight, vectors[known]) for known, weight in weights.items() if weight > 0]
        subtracted = [(-weight, vectors[known]) for known, weight in weights.items() if weight < 0]
        if start is None and subtracted and not added:
            raise UsageError(
                f'only words to turn away from ({written(terms)}): name at least one to look for, as in "crab '
                '-lobster"; a phrase in quotation marks is taken as it stands'
            )
        return cls(
            query=_query(added, subtracted, start or QueryVector.at(np.zeros(words.width, np.float32))),
            known=tuple(word for _, phrase in phrases for word in phrase.known),
            unknown=tuple(word for _, phrase in phrases for word in phrase.unknown),
        )

    @property
    def vector(self) -> Vector:
        return self.query.vector

    def messages(self, words: TextSpace) -> tuple[str, ...]:
        """What to tell of the words passed over: a sentence, or none. It looks for spellings, which takes a while."""
        return (f"{words.unknown_message(self.unknown)}; searched without",) if self.unknown else ()


def _query(added: Sequence[WeightedVector], subtracted: Sequence[WeightedVector], start: QueryVector) -> QueryVector:
    vector = _sum([*added, *((-weight, vector) for weight, vector in subtracted), (1.0, start.vector)])
    if not vector.any():
        raise WordsError("the words asked for cancel each other out: ask for fewer")
    if not subtracted and start.negative is None:
        return QueryVector.at(vector)
    before = [] if start.negative is None else [(1.0, start.negative)]
    return QueryVector(vector, _sum([*added, (1.0, start.positive)]), _sum([*subtracted, *before]))


def _sum(parts: Sequence[WeightedVector]) -> Vector:
    """At unit length, or zero where nothing is left."""
    weights = np.array([weight for weight, _ in parts])
    total = weights @ np.stack([vector for _, vector in parts])
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length >= 1e-6 else np.zeros_like(total), np.float32)
