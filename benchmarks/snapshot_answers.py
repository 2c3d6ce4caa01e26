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

from ingest.connect import open_store
from ingest.store import SEMANTIC, VISUAL
from model.vocabulary import tag_vocabulary
from query.expression import direction, parse
from query.search import Asked, Search, Space

QUESTIONS = 200
LIMIT = 10


def main(name: str, folder: Path) -> None:
    live_store, carried_store = open_store(), open_store(snapshot=folder)
    with live_store.open(name) as live, carried_store.open(name) as carried:
        left, right = Search(live_store, live), Search(carried_store, carried)
        for kind, questions in kinds(left, live).items():
            differences = sum(ask(left) != ask(right) for ask in questions)
            print(f"{kind:<28} {len(questions)} questions, {differences} other answers")


def kinds(search: Search, collection: Any) -> dict[str, list[Callable[[Search], list[Any]]]]:
    rng = np.random.default_rng(0)
    pictures = list(stored(collection, rng))
    labels = list(collection.labels())
    rows = rng.choice(tag_vocabulary(search.words, []), QUESTIONS, replace=False)
    words = [search.words.word(int(row)) for row in rows]
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
        "words": [lambda s, w=w: s.words.nearest(s.words.phrase(w).vector, LIMIT) for w in words],
    }


def stored(collection: Any, rng: np.random.Generator) -> Iterator[Asked]:
    ids = [point.id for page in collection.scroll() for point in page]
    chosen = [ids[row] for row in rng.choice(len(ids), QUESTIONS, replace=False)]
    for point in collection.retrieve(chosen, [VISUAL, SEMANTIC]).values():
        yield Asked(point.vectors[VISUAL], point.vectors[SEMANTIC], point.id, stored=True)


def pairs(found: list[Any]) -> list[tuple[str, float]]:
    """Paths, and scores to five digits: those of two engines differ in the seventh."""
    return [(answer.picture.path, round(answer.score, 5)) for answer in found]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
