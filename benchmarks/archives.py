"""What training on the names of folders does to word search, on archives whose folders mean much, little or nothing.

    python benchmarks/archives.py SEEN UNSEEN QUESTIONS.tsv [WORDS]

Makes archives of the pictures of SEEN (sub-folders are what they show): four fifths of each label lie in the folders
of the archive, the rest, and all of UNSEEN, lie beside these without a label. Each archive is ingested as a user would
do it, and once without training. Prints how many labels were learnt, the mean average precision of the 32 true names
over the pictures without a label and over all, and that of the questions over those without a label, by kind.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from questions import Asked, precision, read

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores.embedded import EmbeddedStore
from model.pair import BUNDLED
from query.asking import CollectionContext, Question, ask, parse

TRIPS = (
    *("2019-07 Italy", "Family", "IMG", "Christmas 2020", "Anna", "Wedding", "New folder", "Grandma 80"),
    *("Weekend", "Scan", "DCIM", "Holiday", "Misc", "Berlin 2018", "Kids", "From phone"),
)
EVENTS = 8
MISFILED = 0.4
TRAIN = 0.8
SEED = 0

Filed = Mapping[Path, str]
"""Pictures to the folder that they lie in."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """``seen``: the pictures of each label that lie in folders; ``rest``: true labels of those that do not."""

    seen: Mapping[str, Sequence[Path]]
    rest: Mapping[Path, str]

    @classmethod
    def read(cls, seen: Path, unseen: Path) -> Pictures:
        rng = random.Random(SEED)
        filed: dict[str, list[Path]] = {}
        rest: dict[Path, str] = {}
        for folder in sorted(seen.iterdir()):
            pictures = sorted(folder.iterdir())
            rng.shuffle(pictures)
            cut = round(TRAIN * len(pictures))
            filed[folder.name] = pictures[:cut]
            rest |= dict.fromkeys(pictures[cut:], folder.name)
        for folder in sorted(unseen.iterdir()):
            rest |= dict.fromkeys(sorted(folder.iterdir()), folder.name)
        return cls(filed, rest)


def true_labels(seen: Mapping[str, Sequence[Path]], _: random.Random) -> Filed:
    return {picture: label for label, pictures in seen.items() for picture in pictures}


def random_trips(seen: Mapping[str, Sequence[Path]], rng: random.Random) -> Filed:
    return {picture: rng.choice(TRIPS) for pictures in seen.values() for picture in pictures}


def events(seen: Mapping[str, Sequence[Path]], rng: random.Random) -> Filed:
    order = rng.sample(sorted(seen), len(seen))
    return {picture: TRIPS[row % EVENTS] for row, label in enumerate(order) for picture in seen[label]}


def half_meaningful(seen: Mapping[str, Sequence[Path]], rng: random.Random) -> Filed:
    meaningful = set(rng.sample(sorted(seen), len(seen) // 2))
    return {
        picture: label if label in meaningful else rng.choice(TRIPS)
        for label, pictures in seen.items()
        for picture in pictures
    }


def misfiled(seen: Mapping[str, Sequence[Path]], rng: random.Random) -> Filed:
    return {
        picture: rng.choice([other for other in seen if other != label]) if rng.random() < MISFILED else label
        for label, pictures in seen.items()
        for picture in pictures
    }


ARCHIVES: dict[str, tuple[Callable[[Mapping[str, Sequence[Path]], random.Random], Filed], str]] = {
    "untrained": (true_labels, "conse"),
    "16 random folders": (random_trips, "auto"),
    "8 events of whole classes": (events, "auto"),
    "half meaningful": (half_meaningful, "auto"),
    "40% misfiled": (misfiled, "auto"),
    "true labels": (true_labels, "auto"),
}


def main(seen: Path, unseen: Path, table: Path, words: str) -> None:
    pictures = Pictures.read(seen, unseen)
    questions = read(table)
    kinds = sorted({asked.kind for asked in questions})
    print("archive", "learnt", "names: without a label", "names: all", "questions", *kinds, sep="\t")
    for name, (file, projection) in ARCHIVES.items():
        filed = file(pictures.seen, random.Random(SEED))
        with tempfile.TemporaryDirectory() as place:
            truth = lay_out(filed, pictures, Path(place) / "archive")
            with EmbeddedStore(Path(place) / "store") as store:
                options = Options(encoder=BUNDLED.encoder, words=words, projection=projection, offline=True)
                made = run_folder(store, Path(place) / "archive", "archive", options).collection
                with store.open(made) as collection:
                    row = figures(CollectionContext(store, collection), truth, sorted(pictures.seen), questions)
                    learnt = len(collection.metadata.trained)
        print(name, f"{learnt} of {len(set(filed.values()))}", *(f"{figure:.3f}" for figure in row), sep="\t")


def lay_out(filed: Filed, pictures: Pictures, archive: Path) -> dict[str, str]:
    """Copy the pictures into the archive; returns the true label of each path in it."""
    true = {picture: label for label, own in pictures.seen.items() for picture in own}
    truth = {}
    for number, picture in enumerate(sorted([*filed, *pictures.rest])):
        place = Path(filed.get(picture, "")) / f"{number:05}{picture.suffix}"
        (archive / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, archive / place)
        truth[str(place)] = true.get(picture) or pictures.rest[picture]
    return truth


def figures(
    context: CollectionContext,
    truth: Mapping[str, str],
    names: Sequence[str],
    questions: Sequence[Asked],
) -> list[float]:
    by_names = [average_precisions(context, name.replace("_", " "), frozenset([name]), truth) for name in names]
    by_kind: dict[str, list[float]] = defaultdict(list)
    for asked in questions:
        by_kind[asked.kind].append(average_precisions(context, asked.text, asked.labels, truth)[0])
    every = [one for found in by_kind.values() for one in found]
    return [*np.nanmean(by_names, axis=0), np.nanmean(every), *(np.nanmean(by_kind[kind]) for kind in sorted(by_kind))]


def average_precisions(
    context: CollectionContext, text: str, labels: frozenset[str], truth: Mapping[str, str]
) -> tuple[float, float]:
    """Over the pictures without a label, and over all."""
    hits = [hit.picture for hit in ask(context, Question(terms=tuple(parse(text)), limit=len(truth))).hits]
    unlabelled = [label for path, label in truth.items() if "/" not in path]
    return (
        precision([truth[hit.path] in labels for hit in hits if not hit.label], count(unlabelled, labels)),
        precision([truth[hit.path] in labels for hit in hits], count(truth.values(), labels)),
    )


def count(pool: Iterable[str], labels: frozenset[str]) -> int:
    return sum(label in labels for label in pool)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *[*sys.argv[4:], *("minilm",)[len(sys.argv) - 4 :]])
