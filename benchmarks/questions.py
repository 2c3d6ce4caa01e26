"""Questions as people type them: mean average precision by kind, and what "stands out" is worth.

    python benchmarks/questions.py FOLDER QUESTIONS.tsv [WORDS] [PROJECTION] [--html PAGES] [--curve]

Ingests the folder, whose sub-folders are the labels, with the bundled encoder into a store that is thrown away, and
asks each question of the table (question, labels that are right between commas, kind) over all its pictures, without
the names of folders. Prints also the figures without the drawings: pictures of nearly no colour that are mostly black.
Intervals hold 95 of 100 bootstrap samples of the labels: questions for the same pictures go together. Then come the
ten questions that are answered best and the ten that are answered worst; PAGES is a folder that gets a page of each,
as `query text --html` writes it, with the nearest ten pictures. The curve is what "stands out" would be worth if a
picture had to show what is meant with another probability.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer
from PIL import Image

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores import CLASSES
from ingest.stores.embedded import EmbeddedStore
from model.pair import BUNDLED
from query.asking import AUTO, CollectionContext, Question, ask, cutoff
from query.output.gallery import THUMBNAIL_PIXELS, write_pictures
from query.output.page_heading import heading_of
from query.output.thumbnails import thumbnails_of

COLOURLESS = 6.0
DARK = 40
MOSTLY = 0.5
SHOWN = 10
"""Questions that are answered best, and worst."""

LEAST = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
SAMPLES = 10_000
BETWEEN = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the table. ``labels``: those that are right."""

    text: str
    labels: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Result:
    """Average precision over all pictures and over photographs alone; what stood out, and how much of it is right."""

    all: float
    photographs: float
    shown: int
    right: int
    relevant: int


Found = list[tuple[Asked, Result]]


def main(
    folder: Path,
    table: Path,
    words: Annotated[str, typer.Argument()] = BUNDLED.words,
    projection: Annotated[str, typer.Argument()] = "conse",
    html: Annotated[Path | None, typer.Option()] = None,
    curve: bool = False,
) -> None:
    with tempfile.TemporaryDirectory() as place, EmbeddedStore(Path(place) / "store") as store:
        options = Options(encoder=BUNDLED.encoder, words=words, projection=projection, offline=True)
        name = run_folder(store, folder, "", options).collection
        with store.open(name) as collection:
            context = CollectionContext(store, collection)
            print(f"{collection.count()} pictures, {words}, {collection.metadata.projection}", end="")
            print(", by classes" if CLASSES in collection.metadata.sparse else "")
            drawings = {path for path in folder.rglob("*.jpg") if is_drawing(path)}
            found = evaluate(context, read(table), drawings)
            write(found)
            ordered = sorted(found, key=lambda one: -one[1].all)
            for which, shown in (("best", ordered[:SHOWN]), ("worst", ordered[: -SHOWN - 1 : -1])):
                write_extremes(which, shown)
                if html:
                    write_pages(context, html, which, [asked for asked, _ in shown])
            if curve:
                write_curve(context, read(table))


def read(table: Path) -> list[Asked]:
    with table.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [Asked(row["question"], frozenset(row["labels"].split(",")), row["kind"]) for row in rows]


def is_drawing(path: Path) -> bool:
    pixels = np.asarray(Image.open(path).convert("RGB").resize((64, 64)), np.float32)
    return bool(np.ptp(pixels, axis=2).mean() < COLOURLESS and (pixels.mean(axis=2) < DARK).mean() > MOSTLY)


def evaluate(context: CollectionContext, questions: list[Asked], drawings: set[Path]) -> Found:
    count = context.collection.count()
    results = []
    for asked in questions:
        question = replace(Question.in_words(asked.text), limit=count, names=False)
        hits = ask(context, question).hits
        right = [hit.picture.label in asked.labels for hit in hits]
        kept = [is_right for hit, is_right in zip(hits, right, strict=True) if Path(hit.file) not in drawings]
        relevant = {label: number for label, number in context.collection.labels().items() if label in asked.labels}
        total = sum(relevant.values())
        drawn = sum(path.parent.name in asked.labels for path in drawings)
        stands = standing(context, asked, question)
        results.append(
            (asked, Result(precision(right, total), precision(kept, total - drawn), len(stands), sum(stands), total))
        )
    return results


def standing(context: CollectionContext, asked: Asked, question: Question) -> list[bool]:
    """Of what stands out, whether it is right."""
    hits = ask(context, replace(question, min_score=AUTO)).standing_hits
    return [hit.picture.label in asked.labels for hit in hits]


def precision(right: Sequence[bool], relevant: int) -> float:
    """Average precision; what was not found counts as last."""
    places = np.flatnonzero(right)
    found = (np.arange(len(places)) + 1) / (places + 1)
    return float(found.sum() / relevant) if relevant else float("nan")


def interval(values: Sequence[float], labels: Sequence[frozenset[str]]) -> tuple[float, float]:
    """Of the mean of values, each of which stands for labels: between which it lies if other labels had been drawn."""
    names = sorted(frozenset().union(*labels))
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), SAMPLES)
    of = np.array([[(name in own) / len(own) for name in names] for own in labels])
    weights = drawn @ of.T
    known = weights.sum(axis=1) > 0
    low, high = np.percentile((weights @ np.asarray(values))[known] / weights.sum(axis=1)[known], BETWEEN)
    return float(low), float(high)


def write(found: Found) -> None:
    kinds: dict[str, Found] = defaultdict(list)
    for one in found:
        kinds[one[0].kind].append(one)
        kinds["all"].append(one)
    print("kind\tquestions\tmAP\tinterval\twithout drawings\tstands out: precision\trecall")
    for kind, of_kind in kinds.items():
        results = [result for _, result in of_kind]
        share, recall = stands_out([(one.shown, one.right, one.relevant) for one in results])
        every = [one.all for one in results]
        low, high = interval(every, [asked.labels for asked, _ in of_kind])
        photographs = np.nanmean([one.photographs for one in results])
        between = f"{low:.3f}-{high:.3f}"
        print(f"{kind}\t{len(results)}\t{np.mean(every):.3f}\t{between}\t{photographs:.3f}\t{share:.3f}\t{recall:.3f}")


def stands_out(counts: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
    """Precision of all that is shown, and the mean recall of the questions: of shown, right and relevant pictures."""
    shown, right = sum(one[0] for one in counts), sum(one[1] for one in counts)
    recall = float(np.mean([found / relevant for _, found, relevant in counts]))
    return (right / shown if shown else float("nan")), recall


def write_curve(context: CollectionContext, questions: Sequence[Asked]) -> None:
    print("\nleast probability\tstands out: precision\trecall\tquestions with any")
    labels = context.collection.labels()
    for least in LEAST:
        counts = []
        with patch.object(cutoff, "LEAST_EVIDENCE", least):
            for asked in questions:
                right = standing(
                    context, asked, replace(Question.in_words(asked.text), limit=sum(labels.values()), names=False)
                )
                counts.append((len(right), sum(right), sum(labels[label] for label in asked.labels if label in labels)))
        share, recall = stands_out(counts)
        print(f"{least}\t{share:.3f}\t{recall:.3f}\t{np.mean([shown > 0 for shown, _, _ in counts]):.2f}")


def write_extremes(which: str, found: Found) -> None:
    print(f"\nanswered {which}\tright\taverage precision")
    for asked, result in found:
        print(f"{asked.text}\t{', '.join(sorted(asked.labels))}\t{result.all:.3f}")


def write_pages(context: CollectionContext, folder: Path, which: str, questions: Sequence[Asked]) -> None:
    """The pages that `query text QUESTION --html` writes, one a question, in the order in which they were printed."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, asked in enumerate(questions, start=1):
        question = replace(Question.in_words(asked.text), names=False)
        answer = ask(context, question)
        thumbnails = thumbnails_of(answer.hits, context.store, THUMBNAIL_PIXELS)
        with (folder / f"{which}-{place:02}.html").open("wb") as page:
            write_pictures(page, heading_of(question, answer, context.store), thumbnails)


if __name__ == "__main__":
    typer.run(main)
