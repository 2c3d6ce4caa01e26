"""The pictures whose folders or file are named by what is asked for, and their place among the answers by meaning.

It must not know what a question means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.stores import Collection, Filter, Hit
from query.asking.names import NameMatch, asked_words, name_match
from query.asking.question import Question
from query.asking.ranking import DEPTH, RRF_K, Queries, Ranking

NAME_WEIGHT = 2.0
"""A place by name counts so many times one by meaning: of pictures that are named, the first 60 come before any other,
and those behind mix with what shows it."""


@dataclass(frozen=True, slots=True)
class Named:
    """Pictures found by name, at most `DEPTH`, in their order by meaning where there is one.

    ``whole``: a folder or the file has exactly that name. ``words``: all the words stand in the path.
    """

    whole: tuple[Hit, ...] = ()
    words: tuple[Hit, ...] = ()

    @property
    def all(self) -> tuple[Hit, ...]:
        return self.whole + self.words

    def ahead_of(self, meaning: Sequence[Hit]) -> list[Hit]:
        """All of them, and all found by ``meaning``: those of exactly that name, then the others by both places."""
        first = {hit.id for hit in self.whole}
        hits = {hit.id: hit for hit in (*meaning, *self.words) if hit.id not in first}
        places = dict.fromkeys(hits, 0.0)
        for weight, ranked in ((1.0, meaning[:DEPTH]), (NAME_WEIGHT, self.words)):
            for place, hit in enumerate((hit for hit in ranked if hit.id in hits), start=1):
                places[hit.id] += weight / (RRF_K + place)
        return [*self.whole, *sorted(hits.values(), key=lambda hit: -places[hit.id])]  # stable: ties keep their order


def find_named(collection: Collection, question: Question, filter: Filter, queries: Queries | None = None) -> Named:
    """What a question in words finds by name; a picture that has a name turned away from is left out.

    Args:
        queries: what the question means; None where no word of it is known.
    """
    phrases = [term.text for term in question.terms if term.weight > 0]
    asked = asked_words(phrases)
    if not (question.asks_names and asked):
        return Named()
    away = [[term.text] for term in question.terms if term.weight < 0]
    found: dict[NameMatch, list[Hit]] = {match: [] for match in NameMatch}
    for hit in _candidates(collection, replace(filter, named=asked), queries):
        path = str(hit.payload["path"])
        is_turned_away = any(name_match(path, other, asked_words(other)) for other in away)
        match = NameMatch.NONE if is_turned_away else name_match(path, phrases, asked)
        found[match].append(hit)
    return Named(tuple(found[NameMatch.WHOLE]), tuple(found[NameMatch.WORDS]))


def is_name(collection: Collection, text: str) -> bool:
    """Whether a folder or a file has exactly that name."""
    asked = asked_words([text])
    candidates = _candidates(collection, Filter(named=asked), None) if asked else []
    return any(name_match(str(hit.payload["path"]), [text], asked) is NameMatch.WHOLE for hit in candidates)


def _candidates(collection: Collection, filter: Filter, queries: Queries | None) -> list[Hit]:
    """What the store's index of names gives; what means nothing of the question comes last."""
    hits = Ranking(collection, filter).best(queries, DEPTH) if queries else []
    if len(hits) == DEPTH:
        return hits
    page = next(iter(collection.scroll(page=DEPTH, filter=filter)), [])
    there = {hit.id for hit in hits}
    return hits + [Hit(point.id, 0.0, point.payload) for point in page if point.id not in there]
