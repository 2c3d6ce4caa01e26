"""Questions as people type them: mean average precision by kind, and what "stands out" is worth.

    python benchmarks/questions.py FOLDER QUESTIONS.tsv [WORDS] [PROJECTION] [--html PAGES]

Ingests the folder, whose sub-folders are the labels, with the bundled encoder into a store that is thrown away, and
asks each question of the table (question, labels that are right between commas, kind) over all its pictures, without
the names of folders. Prints also the figures without the drawings: pictures of nearly no colour that are mostly black.
Intervals hold 95 of 100 bootstrap samples of the labels: questions for the same pictures go together. Then come the
ten questions that are answered best and the ten that are answered worst; PAGES is a folder that gets a page of each,
as `query text --html` writes it, with the nearest ten pictures.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores import CLASSES
from ingest.stores.embedded import EmbeddedStore
from model.pair import BUNDLED
from query.asking import AUTO, CollectionContext, Question, ask
from query.output.gallery import THUMBNAIL_PIXELS, write_pictures
from query.output.page_heading import heading_of
from query.output.thumbnails import thumbnails_of

COLOURLESS = 6.0
DARK = 40
MOSTLY = 0.5
SHOWN = 10
"""Questions that are answered best, and worst."""

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
        stands = [
            hit.picture.label in asked.labels for hit in ask(context, replace(question, min_score=AUTO)).standing_hits
        ]
        results.append(
            (asked, Result(precision(right, total), precision(kept, total - drawn), len(stands), sum(stands), total))
        )
    return results


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
        shown, right = sum(one.shown for one in results), sum(one.right for one in results)
        share = right / shown if shown else float("nan")
        recall = np.mean([one.right / one.relevant for one in results])
        every = [one.all for one in results]
        low, high = interval(every, [asked.labels for asked, _ in of_kind])
        photographs = np.nanmean([one.photographs for one in results])
        between = f"{low:.3f}-{high:.3f}"
        print(f"{kind}\t{len(results)}\t{np.mean(every):.3f}\t{between}\t{photographs:.3f}\t{share:.3f}\t{recall:.3f}")


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
