"""Do a live collection and its snapshot answer alike? 200 questions of each kind, every difference counted.

    python benchmarks/snapshot_answers.py COLLECTION SNAPSHOT

Asks the embedded store (WORDSIGHT_STORE) and the snapshot through the same code as `query`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ingest.stores import Filter, open_store
from model.words import tag_vocabulary
from query.asking import Answer, CollectionContext, Question, Space, TagsQuestion, ask, ask_tags, parse

QUESTIONS = 200
LIMIT = 10
TIE = 2e-6
"""Scores of two engines differ by this much at most: both compute in float32."""


def main(name: str, folder: Path) -> None:
    live_store, carried_store = open_store(), open_store(snapshot=folder)
    with live_store.open(name) as live, carried_store.open(name) as carried:
        left, right = CollectionContext(live_store, live), CollectionContext(carried_store, carried)
        for kind, questions in kinds(left).items():
            answers = [(ask(left), ask(right)) for ask in questions]
            differences = sum(not agree(*both) for both in answers)
            in_order = sum([n for n, _ in one] == [n for n, _ in other] for one, other in answers)
            print(f"{kind:<20} {len(questions)} questions, {differences} differ; {in_order} in the very same order")


def kinds(context: CollectionContext) -> dict[str, list[Callable[[CollectionContext], list[Any]]]]:
    rng = np.random.default_rng(0)
    pictures = [(id,) for id in some_ids(context, rng)]
    labels = list(context.collection.labels())
    tags = [tag.word for tag in tag_vocabulary(context.words, [])]
    words = rng.choice(tags, QUESTIONS, replace=False).tolist()
    questions = {
        f"similar, {space}": [Question(pictures=one, space=space, limit=LIMIT) for one in pictures] for space in Space
    }
    questions["similar, --label"] = [
        Question(pictures=one, filter=Filter((labels[i % len(labels)],)), limit=LIMIT) for i, one in enumerate(pictures)
    ]
    questions["text"] = [Question(tuple(parse(word)), limit=LIMIT) for word in words]
    return {
        **{kind: [lambda c, q=q: pairs(ask(c, q)) for q in asked] for kind, asked in questions.items()},
        "tags": [
            lambda c, one=one: [(t.word, t.score) for t in ask_tags(c, TagsQuestion(one, LIMIT))] for one in pictures
        ],
        "words": [
            lambda c, w=w: [(n.word, n.score) for n in c.words.nearest(c.words.phrase(w).vector, LIMIT)] for w in words
        ],
    }


def some_ids(context: CollectionContext, rng: np.random.Generator) -> list[UUID]:
    ids = [point.id for page in context.collection.scroll() for point in page]
    return [ids[row] for row in rng.choice(len(ids), QUESTIONS, replace=False)]


def agree(left: list[tuple[str, float]], right: list[tuple[str, float]]) -> bool:
    """The same scores, and the same answers but for those as near as the last one, which a tie may exchange."""
    if len(left) != len(right) or any(abs(a - b) > TIE for (_, a), (_, b) in zip(left, right, strict=True)):
        return False
    clear = {name for name, score in left if score > left[-1][1] + TIE}
    return clear <= {name for name, _ in right}


def pairs(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.picture.path, hit.score) for hit in answer]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
