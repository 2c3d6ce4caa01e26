"""One question to several collections, and their answers in one order.

Scores of the same models are compared; those of others are not, and then it is the places that count: the first answers
of each come before the second ones. It must not know how one collection is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ingest.errors import StoreError
from model.errors import UsageError, WordsError
from query.asking.answer import Answer, PictureHit
from query.asking.context import CollectionContext, SharedContexts
from query.asking.question import Question, Space

Ask = Callable[[CollectionContext, Question], Answer]
"""As `query.asking.answering.ask`."""

Models = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """``models``: what two answers must have in common for their scores to be of one kind."""

    models: Models
    answer: Answer


def ask_several(
    names: Iterable[str],
    contexts: SharedContexts,
    put_to: Callable[[CollectionContext], Question],
    ask: Ask,
    limit: int,
) -> Answer:
    """The best answers of all of them, ``limit`` at most. A collection that cannot answer is left out, with a message.

    Args:
        contexts: of a store that keeps its models open, so that they are loaded once.
        put_to: gives the question as it is put to one of them: a filter is of its dataset.

    Raises:
        As ``put_to`` and ``ask``, where none of them can answer.
    """
    asked: list[_Asked] = []
    problems: list[StoreError | WordsError | UsageError] = []
    for name in names:
        try:
            with contexts.asking(name) as context:
                question = put_to(context)
                asked.append(_Asked(_compared(context, question), ask(context, question)))
        except (StoreError, WordsError, UsageError) as error:  # such as a folder that lies in another dataset
            problems.append(error)
    if not asked:
        raise problems[0]
    kinds: dict[Models, list[Answer]] = {}
    for one in asked:
        kinds.setdefault(one.models, []).append(one.answer)
    hits = _by_place([_by_score([answer.hits for answer in answers]) for answers in kinds.values()])
    messages = [*(f"left out: {problem}" for problem in problems), _other_models(list(kinds.values()))]
    return _joined([one.answer for one in asked], hits, limit, messages)


def _compared(context: CollectionContext, question: Question) -> Models:
    metadata = context.metadata
    seen = (metadata.encoder_sha256, metadata.framing)
    if question.compared is Space.VISUAL:
        return seen
    meant = "classes" if context.answers_by_classes else metadata.projection_sha256
    return (*seen, metadata.words_sha256, meant)


def _by_score(lists: Sequence[Sequence[PictureHit]]) -> list[PictureHit]:
    """Lists, each in its own order, as one: next is always the best of those that are first in theirs."""
    waiting = [list(reversed(hits)) for hits in lists if hits]
    merged: list[PictureHit] = []
    while waiting:
        best = min(waiting, key=lambda hits: _worth(hits[-1]))
        merged.append(best.pop())
        waiting = [hits for hits in waiting if hits]
    return merged


def _worth(hit: PictureHit) -> tuple[bool, bool, float]:
    """Smaller is better: what stands out, what has the name asked for, what scores high."""
    return hit.stands_out is False, hit.matched is None, -hit.score


def _by_place(lists: Sequence[Sequence[PictureHit]]) -> list[PictureHit]:
    """The first of each list, then the second ones; what stands out before what does not."""
    rounds = zip_longest(*lists)
    hits = [hit for places in rounds for hit in places if hit is not None]
    return sorted(hits, key=lambda hit: hit.stands_out is False)


def _other_models(kinds: Sequence[Sequence[Answer]]) -> str:
    if len(kinds) < 2:
        return ""
    names = "; ".join(", ".join(answer.collection for answer in answers) for answers in kinds)
    return f"made with different models, whose scores are not compared: {names}; the first answers of each come first"


def _joined(answers: Sequence[Answer], hits: Sequence[PictureHit], limit: int, messages: Sequence[str]) -> Answer:
    shown = tuple(hits[:limit])
    standing = None if answers[0].standing is None else sum(answer.standing or 0 for answer in answers)
    is_cut = standing is not None and standing < len(shown)
    return Answer(
        collection=", ".join(answer.collection for answer in answers),
        hits=shown,
        has_more=len(hits) > limit or any(answer.has_more for answer in answers),
        total=sum(answer.total for answer in answers),
        standing=standing,
        ends=f"{standing} stand out, in all these collections together" if is_cut else "",
        messages=tuple(dict.fromkeys([*messages, *(said for answer in answers for said in answer.messages)])),
        why_nothing="" if hits else answers[0].why_nothing,
        asked=next((answer.asked for answer in answers if answer.asked), None),
    )
