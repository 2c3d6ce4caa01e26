"""The pictures that have the words asked for in the names of their folders or file, or in the text that stands in them,
and their place among the answers by meaning.

It must not know what a question means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from ingest.records import TEXT
from ingest.stores import Collection, Filter, Hit, words_of
from query.asking.answer import Match
from query.asking.names import NameMatch, Spellings, asked_words, holds_all, name_match
from query.asking.question import Question
from query.asking.ranking import DEPTH, RRF_K, Queries, Ranking

NAME_WEIGHT = 2.0
"""A place by name counts so many times one by meaning: of pictures that are named, the first 60 come before any other,
and those behind mix with what shows it."""

WORD_WEIGHT = 1.0
"""A place by text for a single word counts as one by meaning: "dog" stands in many a screenshot that shows none. Text
that has several words of a question is as good as a name."""

_NAME: Match = "name"
_TEXT: Match = "text"


@dataclass(frozen=True, slots=True)
class Named:
    """Pictures found by their words, at most `DEPTH` of each kind, in their order by meaning where there is one.

    ``whole``: a folder or the file has exactly that name. ``words``: all the words stand in the path. ``written``: all
    of them stand in the picture, and not in the path; ``written_weight``: what a place among these counts.
    """

    whole: tuple[Hit, ...] = ()
    words: tuple[Hit, ...] = ()
    written: tuple[Hit, ...] = ()
    written_weight: float = WORD_WEIGHT

    @property
    def all(self) -> tuple[Hit, ...]:
        return self.whole + self.words + self.written

    def matches(self) -> dict[UUID, Match]:
        """By what each was found."""
        by_name = dict.fromkeys((hit.id for hit in (*self.whole, *self.words)), _NAME)
        return {**dict.fromkeys((hit.id for hit in self.written), _TEXT), **by_name}

    @property
    def by(self) -> str:
        """By what they were found, as a sentence says it."""
        return " and ".join(f"by {reason}" for reason in sorted(set(self.matches().values())))

    def ahead_of(self, meaning: Sequence[Hit]) -> list[Hit]:
        """All of them, and all found by ``meaning``: those of exactly that name, then the others by their places."""
        first = {hit.id for hit in self.whole}
        hits = {hit.id: hit for hit in (*meaning, *self.words, *self.written) if hit.id not in first}
        places = dict.fromkeys(hits, 0.0)
        kinds = ((1.0, meaning[:DEPTH]), (NAME_WEIGHT, self.words), (self.written_weight, self.written))
        for weight, ranked in kinds:
            for place, hit in enumerate((hit for hit in ranked if hit.id in hits), start=1):
                places[hit.id] += weight / (RRF_K + place)
        return [*self.whole, *sorted(hits.values(), key=lambda hit: -places[hit.id])]  # stable: ties keep their order


def find_named(collection: Collection, question: Question, filter: Filter, queries: Queries | None = None) -> Named:
    """What a question in words finds by its words; a picture that has a name turned away from is left out.

    Args:
        queries: what the question means; None where no word of it is known.
    """
    phrases = [term.text for term in question.terms if term.weight > 0]
    asked = asked_words(phrases)
    if not asked:
        return Named()
    away = [[term.text] for term in question.terms if term.weight < 0]
    found: dict[NameMatch, list[Hit]] = {match: [] for match in NameMatch}
    if question.asks_names:
        for hit in _candidates(collection, replace(filter, named=asked), queries):
            path = str(hit.payload["path"])
            is_turned_away = any(name_match(path, other, asked_words(other)) for other in away)
            match = NameMatch.NONE if is_turned_away else name_match(path, phrases, asked)
            found[match].append(hit)
    whole, words = found[NameMatch.WHOLE], found[NameMatch.WORDS]
    named = {hit.id for hit in (*whole, *words)}
    written = [hit for hit in _written(collection, question, filter, asked, queries) if hit.id not in named]
    weight = NAME_WEIGHT if len(asked) > 1 else WORD_WEIGHT
    return Named(tuple(whole), tuple(words), tuple(written), weight)


def _written(
    collection: Collection, question: Question, filter: Filter, asked: Spellings, queries: Queries | None
) -> list[Hit]:
    """Those in which all of ``asked`` stands, and nothing that is turned away from."""
    if not (question.asks_written and collection.metadata.ocr):
        return []
    away = [asked_words([term.text]) for term in question.terms if term.weight < 0]
    hits = _candidates(collection, replace(filter, written=asked), queries)
    return [hit for hit in hits if not any(_stands_in(hit, other) for other in away)]


def _stands_in(hit: Hit, asked: Spellings) -> bool:
    """Whether all these words stand in a picture."""
    return bool(asked) and holds_all(set(words_of(str(hit.payload.get(TEXT) or ""))), asked)


def is_name(collection: Collection, text: str) -> bool:
    """Whether a folder or a file has exactly that name."""
    asked = asked_words([text])
    candidates = _candidates(collection, Filter(named=asked), None) if asked else []
    return any(name_match(str(hit.payload["path"]), [text], asked) is NameMatch.WHOLE for hit in candidates)


def _candidates(collection: Collection, filter: Filter, queries: Queries | None) -> list[Hit]:
    """What the store's index of words gives; what means nothing of the question comes last."""
    hits = Ranking(collection, filter).best(queries, DEPTH) if queries else []
    if len(hits) == DEPTH:
        return hits
    page = next(iter(collection.scroll(page=DEPTH, filter=filter)), [])
    there = {hit.id for hit in hits}
    return hits + [Hit(point.id, 0.0, point.payload) for point in page if point.id not in there]
