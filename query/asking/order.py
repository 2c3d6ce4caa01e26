"""All answers to a question in one order: what stands out, by meaning, by name and by text, and after it the nearest.

It must not know how a question was asked, nor how answers are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from ingest.stores import Hit
from query.asking.answer import Match
from query.asking.context import CollectionContext
from query.asking.cutoff import Cutoff
from query.asking.named import Named, find_named
from query.asking.question import Question
from query.asking.ranking import DEPTH, Ranking
from query.asking.resolver import ResolvedQuestion


@dataclass(frozen=True, slots=True)
class Order:
    """``hits``: one more than asked for, where there are others. ``matched``: by what those were found that were not
    found by meaning alone.

    ``standing``: how many of the first stand out, None where that was not asked; then ``cutoff`` says why.
    """

    hits: Sequence[Hit]
    matched: Mapping[UUID, Match]
    standing: int | None = None
    cutoff: Cutoff | None = None

    def message(self, end: int) -> str:
        """A sentence where some of the answers before ``end`` do not stand out; else empty."""
        if self.cutoff is None or self.standing is None or not self.standing < min(end, len(self.hits)):
            return ""
        return self.cutoff.message(self.standing, self.hits[self.standing].score, by=sorted(set(self.matched.values())))


def order_of(context: CollectionContext, question: Question, asked: ResolvedQuestion) -> Order:
    """The answers as far as the question asks for them. What has the name that is asked for stands out."""
    ranking = Ranking(context.collection, replace(question.filter, without=asked.ids))
    named = find_named(context.collection, question, ranking.filter, asked.queries)
    matched = named.matches()
    if not asked.queries:
        return Order(named.all, matched, len(matched) if question.is_auto else None)
    wanted = question.end + 1
    if question.is_auto:
        cutoff = context.backgrounds.cutoff(asked.queries, asked.ids)
        first = named.ahead_of(replace(ranking, cutoff=cutoff).best(asked.queries, DEPTH))
        before = {hit.id for hit in first}
        others = ranking.best(asked.queries, wanted + len(first)) if len(first) < wanted else []
        hits = [*first, *(hit for hit in others if hit.id not in before)]
        return Order(hits, matched, len(first), cutoff)
    return Order(_by_score(ranking, named, question, asked), matched)


def _by_score(ranking: Ranking, named: Named, question: Question, asked: ResolvedQuestion) -> list[Hit]:
    wanted = question.end + 1
    meaning = ranking.best(asked.queries, max(wanted, DEPTH) if named.all else wanted, question.least_score)
    return [hit for hit in named.ahead_of(meaning) if hit.score >= question.least_score]
