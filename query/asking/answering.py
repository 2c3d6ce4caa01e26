"""The one way from a question to its answer, for the command line, the web and Python alike.

It must not know where questions come from and where answers go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from ingest.records import Picture
from ingest.stores import CLASSES, SEMANTIC, Collection, Filter, Hit
from model.errors import WordsError
from model.pictures import wall_seconds
from model.system.names import first_of
from query.asking.answer import Answer, PictureHit
from query.asking.context import CollectionContext
from query.asking.expression import Term
from query.asking.named import find_named, is_name
from query.asking.order import Order, order_of
from query.asking.question import Question
from query.asking.ranking import Ranking, depth_messages
from query.asking.resolver import ResolvedQuestion, resolve
from query.asking.settled import need_one_projection
from query.asking.spelling import spelling_message

SHOWN_LABELS = 12
EARLIEST = wall_seconds("0001-01-01")
NO_INDEX = "names are searched without an index: the next `ingest run` makes it"


def ask(context: CollectionContext, question: Question) -> Answer:
    """The answer of a collection.

    Raises:
        UsageError, PictureError, PictureGone, WordsError: as `query.asking.resolver.resolve`; words that are not known
            are no error where they name folders or files, or stand in pictures.
        StoreInUse: its projection is being changed. StoreError: it cannot be read.
    """
    question = _as_a_name(context, question)
    unknown: tuple[str, ...] = ()
    try:
        asked = resolve(context, question)
    except WordsError as error:
        asked = ResolvedQuestion({})
        found = find_named(context.collection, question, question.filter)
        unknown = (f"{error}; found {found.by}",)
        if not found.all:
            raise
    order = order_of(context, question, asked)
    if asked.queries.keys() & {SEMANTIC, CLASSES}:
        need_one_projection(context)
    shown = order.hits[question.offset : question.end]
    total = context.collection.count(question.filter)
    has_more = len(order.hits) > question.end
    is_all = bool(asked.queries) and not has_more and order.cutoff is None
    return Answer(
        collection=context.name,
        hits=tuple(_found(context, order, place, hit) for place, hit in enumerate(shown, question.offset)),
        has_more=has_more,
        total=total,
        cutoff=order.cutoff,
        standing=order.standing,
        ends=order.message(question.end),
        messages=(
            *((question.read_as,) if question.read_as else ()),
            *unknown,
            *(asked.text.messages(context.words) if asked.text else ()),
            *_misspelt(context, question),
            *(depth_messages(asked.queries, total) if is_all else ()),
            *_undated(context.collection, question.filter),
            *((NO_INDEX,) if question.asks_names and not context.collection.has_name_index else ()),
        ),
        why_nothing="" if order.hits else _why_nothing(context.collection, question, asked),
        asked=context.asked(asked.image),
    )


def _misspelt(context: CollectionContext, question: Question) -> tuple[str, ...]:
    if not context.answers_by_classes or question.has_picture:
        return ()
    message = spelling_message(question.terms, context.words, context.class_space.nouns)
    return (message,) if message else ()


def _undated(collection: Collection, filter: Filter) -> tuple[str, ...]:
    """What to tell where pictures cannot pass because nobody has read yet when and where they were taken."""
    if not filter.is_of_photos:
        return ()
    every, dated = collection.count(), collection.count(Filter(after=EARLIEST))
    if dated == every:
        return ()
    return (
        f"of {every - dated} of {every} pictures it is not known when, where and how they were taken: "
        "`ingest run --metadata` reads it",
    )


def _as_a_name(context: CollectionContext, question: Question) -> Question:
    """The words as they stand where they were read otherwise, but a folder or file is called so: "no entry"."""
    if question.read_as and question.asks_names and is_name(context.collection, question.text):
        return replace(question, terms=(Term(question.text),), read_as="")
    return question


def _found(context: CollectionContext, order: Order, place: int, hit: Hit) -> PictureHit:
    return replace(
        context.hit(Picture.from_payload(hit.payload), hit.score),
        stands_out=None if order.standing is None else place < order.standing,
        matched=order.matched.get(hit.id),
    )


def _why_nothing(collection: Collection, question: Question, asked: ResolvedQuestion) -> str:
    filter = replace(question.filter, without=asked.ids)
    nearest = Ranking(collection, filter).best(asked.queries, 1)
    return _too_low(question, nearest[0].score if nearest else None) or why_nothing_passes(collection, question.filter)


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
