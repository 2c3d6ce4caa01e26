"""The one way from a question to its answer, for the command line, the web and Python alike.

It must not know where questions come from and where answers go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from ingest.records import Picture
from ingest.stores import Collection, Filter
from model.system.names import first_of
from query.asking.answer import Answer
from query.asking.context import CollectionContext
from query.asking.question import Question
from query.asking.ranking import Ranking, depth_messages
from query.asking.resolver import resolve

SHOWN_LABELS = 12


def ask(context: CollectionContext, question: Question) -> Answer:
    """The answer of a collection.

    Raises:
        UsageError, PictureError, PictureGone, WordsError: as `query.asking.resolver.resolve`.
        StoreError: the collection cannot be read.
    """
    asked = resolve(context, question)
    cutoff = context.backgrounds.cutoff(asked.queries, asked.ids) if question.is_auto else None
    ranking = Ranking(context.collection, replace(question.filter, without=asked.ids), cutoff)
    hits = ranking.best(asked.queries, question.end + 1, question.least_score)  # one more: are there others?
    has_more = len(hits) > question.end
    total = context.collection.count(question.filter)
    left_out = why_nothing = ""
    if not has_more and (cutoff or not hits):
        nearest = replace(ranking, cutoff=None).best(asked.queries, len(hits) + 1)
        best = nearest[0].score if nearest else None
        left_out = cutoff.message(len(hits), len(nearest), best) if cutoff else ""
        if not hits:
            why_nothing = (
                left_out or _too_low(question, best) or why_nothing_passes(context.collection, question.filter)
            )
    messages: tuple[str, ...] = (question.read_as,) if question.read_as else ()
    messages += asked.text.messages(context.words) if asked.text else ()
    if not has_more and not cutoff:
        messages += depth_messages(asked.queries, total)
    return Answer(
        collection=context.name,
        hits=tuple(
            context.hit(Picture.from_payload(hit.payload), hit.score) for hit in hits[question.offset : question.end]
        ),
        has_more=has_more,
        total=total,
        cutoff=cutoff,
        left_out=left_out,
        messages=messages,
        why_nothing=why_nothing,
        asked=context.asked(asked.image),
    )


def _too_low(question: Question, best: float | None) -> str:
    if best is None:
        return ""
    return f"no picture scores {question.least_score:g} or more: the nearest scores {best:.4f}"


def why_nothing_passes(collection: Collection, filter: Filter) -> str:
    """Why no picture was found though any score was good enough: perhaps the filter lets none through."""
    labels = collection.labels()
    if filter.labels and not labels.keys() & set(filter.labels):
        return f"no picture found: no label {' or '.join(filter.labels)}; {_some_of(labels, filter.labels)}"
    if filter.under and not collection.count(Filter(under=filter.under)):
        return f"no picture found: none in the collection lies under {filter.under}"
    return "no picture found"


def _some_of(labels: Iterable[str], like: Sequence[str]) -> str:
    """Labels there are, those spelled like what was asked for first, and how many more."""
    lower = {label.lower(): label for label in labels}
    near = [lower[match] for wanted in like for match in get_close_matches(wanted.lower(), lower)]
    ordered = list(dict.fromkeys([*near, *lower.values()]))
    return f"labels there are: {first_of(ordered, SHOWN_LABELS) or 'none'}"
