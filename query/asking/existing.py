"""Only pictures whose files are there (``--existing``): more are asked for in place of those that are not.

It must not know how pictures are ranked.
"""

from __future__ import annotations

from dataclasses import replace

from query.asking.answer import Answer
from query.asking.answering import ask
from query.asking.context import CollectionContext
from query.asking.question import Question

MORE = 4
"""Times as many are asked for while too few are there."""


def ask_existing(context: CollectionContext, question: Question) -> Answer:
    """As `ask`, of what is there.

    Raises:
        As `ask`.
    """
    wanted = question.limit
    while True:
        answer = ask(context, question)
        there = tuple(hit for hit in answer.hits if not hit.missing)
        if len(there) >= wanted or not answer.has_more:
            break
        question = replace(question, limit=MORE * question.limit)
    left_out = len(answer.hits) - len(there)
    if not left_out:
        return replace(answer, hits=there[:wanted], has_more=answer.has_more or len(there) > wanted)
    gone = sum(hit.missing for hit in answer.standing_hits)
    return replace(
        answer,
        hits=there[:wanted],
        has_more=answer.has_more or len(there) > wanted,
        standing=None if answer.standing is None else answer.standing - gone,
        messages=(*answer.messages, f"left out because their files are missing: {left_out}"),
        why_nothing=answer.why_nothing or "no picture found whose file is there",
    )
