"""Does `--min-score auto` end the answers where they should end? Against fixed scores and other rules.

    python benchmarks/cutoff.py FOLDER [HEAD]

FOLDER: one sub-folder a label. It is ingested with the bundled pair into a store that is thrown away, once with
ConSE and once with a trained projection; HEAD is one trained on some of the labels (`model train`), or a kind, best
if none is given, trained on all. Each label is asked for in words, alone and with each of the two nearest labels
taken away; six pictures of each label are asked about; and 200 words that are near no label are asked for, which
should bring nothing. Labels are split in two halves: a rule
chosen on one can be looked at on the other. F1 of an answer is 1 where nothing should come back and nothing does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.errors import WordsError
from model.words import tag_vocabulary
from query.asking import CollectionContext, QueryVector, Question, ask, parse, resolve_words

EACH = 6
ABSENT = 200
TAKEN = 2
FAR = 0.5
"""A word farther than this from every label is taken for one that is in no picture."""

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """``scores``: of every picture but the one asked about; ``relevant``: which should come back, ``ours``: do."""

    kind: str
    half: int
    scores: Scores
    relevant: NDArray[np.bool_]
    ours: NDArray[np.bool_]


def fisher(scores: Scores) -> NDArray[np.float64]:
    return np.arctanh(np.clip(scores.astype(np.float64), -0.999, 0.999))


def largest_gap(scores: Scores) -> float:
    top = np.sort(scores)[::-1][:101]
    return float(top[np.argmax(top[:-1] - top[1:])])


def otsu(scores: Scores) -> float:
    """The split of all scores into two groups that differ most."""
    ordered = np.sort(scores)[::-1].astype(np.float64)
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    apart = sums[:-1] / count - (sums[-1] - sums[:-1]) / (len(ordered) - count)
    return float(ordered[np.argmax(count * (len(ordered) - count) * apart**2)])


def half_way(scores: Scores) -> float:
    return float((np.median(scores) + scores.max()) / 2)


def above_mean(sigmas: float) -> Callable[[Scores], float]:
    return lambda scores: float(scores.mean() + sigmas * scores.std())


def above_median(scores: Scores) -> float:
    """Robustly, as far as the largest of so many normal numbers gets."""
    normal = fisher(scores)
    median = np.median(normal)
    spread = 1.4826 * np.median(np.abs(normal - median))
    return float(np.tanh(median + spread * np.sqrt(2 * np.log(len(scores)))))


RULES: dict[str, Callable[[Scores], float]] = {
    "top 10": lambda scores: float(np.sort(scores)[-10]),
    **{f"fixed {at}": lambda _, at=at: at for at in (0.4, 0.5, 0.6, 0.7, 0.8)},
    "largest gap": largest_gap,
    "Otsu": otsu,
    "half way to the best": half_way,
    "mean + 2 sd": above_mean(2),
    "mean + 3 sd": above_mean(3),
    "median + MAD, artanh": above_median,
}


def main(folder: Path, head: str) -> None:
    questions: list[Judged] = []
    with tempfile.TemporaryDirectory() as place:
        store = EmbeddedStore(Path(place))
        for projection in (head, "conse"):
            name = "conse" if projection == "conse" else "trained"
            run_folder(store, folder, name, Options(offline=True, projection=projection))
            with store.open(name) as collection:
                questions += judged(CollectionContext(store, collection), name)
    table(questions)


def judged(context: CollectionContext, projection: str) -> Iterator[Judged]:
    points = [point for page in context.collection.scroll([VISUAL, SEMANTIC]) for point in page]
    labels = np.array([str(point.payload["label"]) for point in points])
    spaces = {using: np.stack([point.vectors[using] for point in points]) for using in (VISUAL, SEMANTIC)}
    names = sorted(set(labels))
    trained = set(context.metadata.trained) or set(names)
    rng = np.random.default_rng(0)
    asked = []
    for number, label in enumerate(names):
        kind = f"text, {projection}" + ("" if label in trained else ", unseen")
        try:
            vector = resolve_words(context, parse(spoken(label))).vector
        except WordsError:
            continue
        asked.append(vector)
        for taken in ["", *nearest(context, label, names)]:
            terms = parse(f"{spoken(label)} - {spoken(taken)}" if taken else spoken(label))
            found = ask(context, Question(tuple(terms), limit=len(points), min_score="auto"))
            ours = np.isin([str(point.id) for point in points], [str(hit.picture.id) for hit in found.standing_hits])
            what = kind.replace("text", "text - text") if taken else kind
            yield Judged(
                what, number % 2, spaces[SEMANTIC] @ resolve_words(context, terms).vector, labels == label, ours
            )
        for row in rng.permutation(np.flatnonzero(labels == label))[:EACH]:
            others = np.arange(len(points)) != row
            for using in (SEMANTIC, VISUAL) if projection == "trained" else (SEMANTIC,):
                vector = spaces[using][row]
                cut = context.backgrounds.cutoff({using: QueryVector.at(vector)}, [points[row].id]).floors[using]
                kind = f"similar, {projection}" if using == SEMANTIC else "similar, visual"
                scores = (spaces[using] @ vector)[others]
                yield Judged(kind, number % 2, scores, (labels == label)[others], scores >= cut)
    vocabulary = context.words.embed([tag.word for tag in tag_vocabulary(context.words, [])])
    far = np.flatnonzero((vocabulary @ np.stack(asked).T).max(axis=1) < FAR)
    for number, row in enumerate(rng.choice(far, ABSENT, replace=False)):
        vector = np.asarray(vocabulary[row])
        cut = context.backgrounds.cutoff({SEMANTIC: QueryVector.at(vector)}).floors[SEMANTIC]
        nothing = np.zeros(len(points), bool)
        scores = spaces[SEMANTIC] @ vector
        yield Judged(f"absent, {projection}", number % 2, scores, nothing, scores >= cut)


def spoken(label: str) -> str:
    return label.replace("_", " ")


def nearest(context: CollectionContext, label: str, labels: Sequence[str]) -> list[str]:
    """The two other labels whose words are nearest, as far as they have any."""
    directions = {}
    for other in labels:
        with suppress(WordsError):
            directions[other] = resolve_words(context, parse(spoken(other))).vector
    others = sorted(directions.keys() - {label})
    return sorted(others, key=lambda other: -float(directions[other] @ directions[label]))[:TAKEN]


def measure(question: Judged, kept: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Precision, recall and F1 of what is kept."""
    hits = int((kept & question.relevant).sum())
    if not question.relevant.any():
        return 0.0, 0.0, float(not kept.any())
    precision, recall = hits / max(1, kept.sum()), hits / question.relevant.sum()
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def table(questions: list[Judged]) -> None:
    kinds = sorted({question.kind for question in questions})
    for half in (0, 1):
        print(f"\nhalf {half} of the labels; precision recall F1, and of words that are absent: share with no answer")
        print(" " * 22 + "   mean" + "".join(f"{kind:>22}" for kind in kinds))
        for name in (*RULES, "--min-score auto"):
            means = []
            for kind in kinds:
                of_kind = [q for q in questions if (q.kind, q.half) == (kind, half)]
                kept = [q.scores >= RULES[name](q.scores) if name in RULES else q.ours for q in of_kind]
                means.append(np.mean([measure(q, one) for q, one in zip(of_kind, kept, strict=True)], axis=0))
            cells = (
                f"{m[2]:.2f}" if kind.startswith("absent") else "{:.2f} {:.2f} {:.2f}".format(*m)
                for kind, m in zip(kinds, means, strict=True)
            )
            print(f"{name:<22}{np.mean([m[2] for m in means]):7.3f}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "best")
