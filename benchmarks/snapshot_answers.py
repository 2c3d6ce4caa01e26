"""Do a live collection and its snapshot answer alike? 200 questions of each kind, every difference counted.

    python benchmarks/snapshot_answers.py COLLECTION SNAPSHOT

Asks the embedded store (WORDSIGHT_STORE) and the snapshot through the same code as `query`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ingest.stores import SEMANTIC, VISUAL, open_store
from model.words import tag_vocabulary
from query.asking import ImageQuery, Search, Space, direction, parse

QUESTIONS = 200
LIMIT = 10
TIE = 2e-6
"""Scores of two engines differ by this much at most: both compute in float32."""


def main(name: str, folder: Path) -> None:
    live_store, carried_store = open_store(), open_store(snapshot=folder)
    with live_store.open(name) as live, carried_store.open(name) as carried:
        left, right = Search(live_store, live), Search(carried_store, carried)
        for kind, questions in kinds(left, live).items():
            answers = [(ask(left), ask(right)) for ask in questions]
            differences = sum(not agree(*both) for both in answers)
            in_order = sum([n for n, _ in one] == [n for n, _ in other] for one, other in answers)
            print(f"{kind:<20} {len(questions)} questions, {differences} differ; {in_order} in the very same order")


def kinds(search: Search, collection: Any) -> dict[str, list[Callable[[Search], list[Any]]]]:
    rng = np.random.default_rng(0)
    pictures = list(stored(collection, rng))
    labels = list(collection.labels())
    tags = [tag.word for tag in tag_vocabulary(search.words, [])]
    words = rng.choice(tags, QUESTIONS, replace=False).tolist()
    return {
        "similar, visual": [lambda s, a=a: pairs(s.similar(a, limit=LIMIT)) for a in pictures],
        "similar, semantic": [lambda s, a=a: pairs(s.similar(a, space=Space.SEMANTIC, limit=LIMIT)) for a in pictures],
        "similar, both": [lambda s, a=a: pairs(s.similar(a, space=Space.BOTH, limit=LIMIT)) for a in pictures],
        "similar, --label": [
            lambda s, a=a, i=i: pairs(s.similar(a, limit=LIMIT, filter=s.filter([labels[i % len(labels)]])))
            for i, a in enumerate(pictures)
        ],
        "text": [lambda s, w=w: pairs(s.text(direction(parse(w), s.words), limit=LIMIT)) for w in words],
        "tags": [lambda s, a=a: [(t.word, t.score) for t in s.tags(a, limit=LIMIT)] for a in pictures],
        "words": [
            lambda s, w=w: [(n.word, n.score) for n in s.words.nearest(s.words.phrase(w).vector, LIMIT)] for w in words
        ],
    }


def stored(collection: Any, rng: np.random.Generator) -> Iterator[ImageQuery]:
    ids = [point.id for page in collection.scroll() for point in page]
    chosen = [ids[row] for row in rng.choice(len(ids), QUESTIONS, replace=False)]
    for point in collection.retrieve(chosen, [VISUAL, SEMANTIC]).values():
        yield ImageQuery(point.vectors[VISUAL], point.vectors[SEMANTIC], point.id, stored=True)


def agree(left: list[tuple[str, float]], right: list[tuple[str, float]]) -> bool:
    """The same scores, and the same answers but for those as near as the last one, which a tie may exchange."""
    if len(left) != len(right) or any(abs(a - b) > TIE for (_, a), (_, b) in zip(left, right, strict=True)):
        return False
    clear = {name for name, score in left if score > left[-1][1] + TIE}
    return clear <= {name for name, _ in right}


def pairs(found: list[Any]) -> list[tuple[str, float]]:
    return [(answer.picture.path, answer.score) for answer in found]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
