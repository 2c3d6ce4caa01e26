"""Questions as people type them: mean average precision by kind, and what "stands out" is worth.

    python benchmarks/questions.py FOLDER QUESTIONS.tsv [WORDS] [PROJECTION]

Ingests the folder, whose sub-folders are the labels, with the bundled encoder into a store that is thrown away, and
asks each question of the table (question, labels that are right between commas, kind) over all its pictures, without
the names of folders. Prints also the figures without the drawings: pictures of nearly no colour that are mostly black.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores import CLASSES
from ingest.stores.embedded import EmbeddedStore
from model.pair import BUNDLED
from query.asking import AUTO, CollectionContext, Question, ask

COLOURLESS = 6.0
DARK = 40
MOSTLY = 0.5


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


def main(folder: Path, table: Path, words: str, projection: str) -> None:
    with tempfile.TemporaryDirectory() as place, EmbeddedStore(Path(place) / "store") as store:
        options = Options(encoder=BUNDLED.encoder, words=words, projection=projection, offline=True)
        name = run_folder(store, folder, "", options).collection
        with store.open(name) as collection:
            context = CollectionContext(store, collection)
            print(f"{collection.count()} pictures, {words}, {collection.metadata.projection}", end="")
            print(", by classes" if CLASSES in collection.metadata.sparse else "")
            drawings = {path for path in folder.rglob("*.jpg") if is_drawing(path)}
            write(evaluate(context, read(table), drawings))


def read(table: Path) -> list[Asked]:
    with table.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [Asked(row["question"], frozenset(row["labels"].split(",")), row["kind"]) for row in rows]


def is_drawing(path: Path) -> bool:
    pixels = np.asarray(Image.open(path).convert("RGB").resize((64, 64)), np.float32)
    return bool(np.ptp(pixels, axis=2).mean() < COLOURLESS and (pixels.mean(axis=2) < DARK).mean() > MOSTLY)


def evaluate(context: CollectionContext, questions: list[Asked], drawings: set[Path]) -> list[tuple[Asked, Result]]:
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


def write(results: list[tuple[Asked, Result]]) -> None:
    kinds: dict[str, list[Result]] = defaultdict(list)
    for asked, result in results:
        kinds[asked.kind].append(result)
        kinds["all"].append(result)
    print("kind\tquestions\tmAP\twithout drawings\tstands out: precision\trecall")
    for kind, found in kinds.items():
        shown, right = sum(one.shown for one in found), sum(one.right for one in found)
        share = right / shown if shown else float("nan")
        recall = np.mean([one.right / one.relevant for one in found])
        average, photographs = np.mean([one.all for one in found]), np.nanmean([one.photographs for one in found])
        print(f"{kind}\t{len(found)}\t{average:.3f}\t{photographs:.3f}\t{share:.3f}\t{recall:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *[*sys.argv[3:], *("minilm", "conse")[len(sys.argv) - 3 :]])
