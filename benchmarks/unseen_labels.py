"""How well pictures are found by the name of a label that nothing was trained on, if a class has that name or not.

    python benchmarks/unseen_labels.py FOLDER [WORDS] [--groups 4]

Ingests the folder, whose sub-folders are the labels, with the bundled encoder into a store that is thrown away. The
labels are asked for by name over all its pictures, without the names of folders: first with nothing trained, then in
groups, each with a projection that was trained on all the other labels. Prints mean average precision apart for labels
that are the name or a synonym of one of the encoder's 1,000 classes, in the singular or plural, and for those that are
not. Intervals hold 95 of 100 bootstrap samples of the labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from questions import interval, precision

from ingest.collection import Options
from ingest.pipeline import reproject, run_folder
from ingest.stores.embedded import EmbeddedStore
from model.class_space import spaced
from model.encoders import open_encoder
from model.pair import BUNDLED
from model.pictures import LeftOut, dataset_root, scan
from model.projections import Header, imagenet_classes, prepared_questions
from model.projections.training import BestRecipe, Labelled, encode, train
from model.words import forms, open_words
from query.asking import CollectionContext, Question, Term, ask

SEED = 7
NAME = "labels"


def main(folder: Path, words: Annotated[str, typer.Argument()] = BUNDLED.words, groups: int = 4) -> None:
    encoder, space = open_encoder(BUNDLED.encoder), open_words(words)
    data = encode([file for file in scan(dataset_root(folder), LeftOut()) if file.label], encoder)
    labels = sorted(set(data.labels))
    with tempfile.TemporaryDirectory() as place, EmbeddedStore(Path(place) / "store") as store:
        options = Options(encoder=BUNDLED.encoder, words=words, projection="conse", offline=True)
        run_folder(store, folder, NAME, options)
        untrained = ask_all(store, labels)
        header = Header("", encoder.spec.name, encoder.sha256, space.name, space.sha256)
        others = {}
        order = np.random.default_rng(SEED).permutation(labels)
        for group in (order[start::groups].tolist() for start in range(groups)):
            file = Path(place) / "others.safetensors"
            seen = without(data, group)
            questions = prepared_questions(space)
            train(seen, space, header, encoder.classifier, recipe=BestRecipe(), questions=questions).save(file)
            reproject(store, NAME, str(file))
            others |= ask_all(store, group)
    write(untrained, others)


def without(data: Labelled, labels: Iterable[str]) -> Labelled:
    rows = np.flatnonzero(~np.isin(data.labels, list(labels))).tolist()
    return Labelled(data.features[rows], [data.labels[i] for i in rows], [data.sha256[i] for i in rows])


def ask_all(store: EmbeddedStore, labels: Iterable[str]) -> dict[str, float]:
    """The average precision of each."""
    found = {}
    with store.open(NAME) as collection:
        context = CollectionContext(store, collection)
        counts = collection.labels()
        for label in labels:
            hits = ask(context, Question((Term(spaced(label)),), limit=collection.count())).hits
            found[label] = precision([hit.label == label for hit in hits], counts[label])
    return found


def write(untrained: dict[str, float], others: dict[str, float]) -> None:
    named = {form for one in imagenet_classes() for name in (one.name, *one.synonyms) for form in forms(name.lower())}
    kinds = {
        "name a class": [label for label in untrained if forms(spaced(label)) & named],
        "name none": [label for label in untrained if not forms(spaced(label)) & named],
        "all": list(untrained),
    }
    print("labels\thow many\tnothing trained\tinterval\tthe others trained\tinterval")
    for kind, labels in kinds.items():
        cells = []
        for found in (untrained, others):
            values = [found[label] for label in labels]
            low, high = interval(values, [frozenset([label]) for label in labels])
            cells += [f"{np.mean(values):.3f}", f"{low:.3f}-{high:.3f}"]
        print(kind, len(labels), *cells, sep="\t")
    print("\nlabel\tnames a class\tnothing trained\tthe others trained")
    for label in sorted(untrained, key=lambda one: -untrained[one]):
        is_class = "yes" if label in kinds["name a class"] else "no"
        print(f"{spaced(label)}\t{is_class}\t{untrained[label]:.3f}\t{others[label]:.3f}")


if __name__ == "__main__":
    typer.run(main)
