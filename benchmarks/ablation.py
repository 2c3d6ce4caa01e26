"""What each ingredient of the best recipe gives: it is left out, and labels that were held out are evaluated.

    python benchmarks/ablation.py FOLDER [WORDS] [--groups 4]

FOLDER has one sub-folder a label; the encoder is the bundled one. The labels are put into groups; each group in turn is
never trained on (ten pictures of each of its labels are evaluated), a fifth of the others is held back. Printed are
means over the groups, in percent: test hit@2 among the trained labels; unseen hit@10 among all labels; mean average
precision of text searches for trained and for unseen labels; unseen pictures whose own label is among ten tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer

from model.class_space import tags
from model.encoders import Encoder, class_names, need_classifier, open_encoder
from model.judging.evaluation import ALL_LABELS, TEST, TRAIN, TRAINED_LABELS, UNSEEN, Evaluation, Sample
from model.judging.metrics import Scorer
from model.pair import BUNDLED
from model.pictures import LeftOut, dataset_root, scan
from model.projections import (
    BestProjection,
    ConseProjection,
    Header,
    Projection,
    best,
    classes,
    conse,
    prepared_questions,
    tagging,
)
from model.projections.training import BestRecipe, DocumentRecipe, Labelled, Recipe, encode, train
from model.projections.training import best as fit
from model.words import TextSpace, Vocabulary, open_words

UNSEEN_PICTURES = 10


class Group:
    """All labels but one group, to train on; and that group, to evaluate on."""

    def __init__(
        self, data: Labelled, held: set[str], encoder: Encoder, words: TextSpace, vocabulary: Vocabulary
    ) -> None:
        self.encoder, self.words, self.questions = encoder, words, prepared_questions(words)
        self.header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
        labels = np.array(data.labels)
        seen = np.flatnonzero(~np.isin(labels, list(held)))
        unseen = np.concatenate([np.flatnonzero(labels == label)[:UNSEEN_PICTURES] for label in sorted(held)])
        self.seen = _rows(data, seen)
        self.best = self.trained(BestRecipe())
        held_back = set(self.best.header.test)
        rows = [*seen, *unseen]
        samples = [
            Sample(
                "",
                data.labels[row],
                UNSEEN if data.labels[row] in held else TEST if data.sha256[row][:16] in held_back else TRAIN,
                data.sha256[row],
            )
            for row in rows
        ]
        evaluated = [i for i, sample in enumerate(samples) if sample.part != TRAIN]
        self.scorer = Scorer(
            [samples[i] for i in evaluated],
            data.features[[rows[i] for i in evaluated]],
            words,
            vocabulary,
            self.questions,
        )

    def trained(self, recipe: Recipe) -> Projection:
        last_layer = self.encoder.classifier
        return train(self.seen, self.words, self.header, last_layer, recipe=recipe, questions=self.questions)

    def conse(self) -> Projection:
        return ConseProjection.build(need_classifier(self.encoder), self.header, self.words)

    def changed(self, **tensors: np.ndarray) -> Projection:
        return BestProjection(self.best.header, {**self.best.tensors, **tensors})

    def without_names(self) -> Projection:
        return BestProjection(replace(self.best.header, class_tags=[]), self.best.tensors)

    def without_synonyms(self) -> Projection:
        with patch.object(classes, "SYNONYMS_SHARE", 0.0):
            return self.changed(**self.conse().tensors)

    def without_roots(self) -> Projection:
        return self.trained(BestRecipe())


def _rows(data: Labelled, rows: np.ndarray) -> Labelled:
    return Labelled(data.features[rows], [data.labels[i] for i in rows], [data.sha256[i] for i in rows])


@contextmanager
def constants(*changes: tuple[object, str, object]) -> Iterator[None]:
    patches = [patch.object(module, name, value) for module, name, value in changes]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def same(features: np.ndarray) -> np.ndarray:
    return np.maximum(features, 0)


CASES: list[tuple[str, Callable[[Group], Projection], list[tuple[object, str, object]]]] = [
    ("best", lambda group: group.best, []),
    (
        "- square roots of the features",
        Group.without_roots,
        [(fit, "sqrt_features", same), (best, "sqrt_features", same)],
    ),
    ("- decorrelated labels", lambda group: group.changed(directions=group.best.tensors["labels"]), []),
    ("- the second guess (temperature 1)", lambda group: group.best, [(best, "TEMPERATURE", 1.0)]),
    ("- the labels' least weight", lambda group: group.best, [(best, "MIN_LABEL_WEIGHT", 0.0)]),
    ("- the bias to the labels", lambda group: group.best, [(best, "LABEL_LOGIT_BIAS", 0.0)]),
    ("- all classes beside the ten", lambda group: group.best, [(conse, "RELATED_SHARE", 0.0)]),
    ("- synonyms in the class vectors", Group.without_synonyms, []),
    ("- words that name a class, in tags", Group.without_names, []),
    ("- the fourth root of that probability", lambda group: group.best, [(tagging, "NAMED_POWER", 1.0)]),
    ("- what is named, in tags by classes", lambda group: group.best, [(tags, "NAMED", 0.0)]),
    ("- what is meant, in tags by classes", lambda group: group.best, [(tags, "MEANT", 0.0)]),
    ("- how common a word is, in tags by classes", lambda group: group.best, [(tags, "FREQUENT", 0.0)]),
    ("ConSE alone", Group.conse, []),
    ("the document's head alone", lambda group: group.trained(DocumentRecipe()), []),
]


def figures(found: Evaluation) -> list[float]:
    tagged, of = found.unseen_tagged
    return [
        found.hits[TEST, TRAINED_LABELS][2].percent,
        found.hits[UNSEEN, ALL_LABELS][10].percent,
        found.mean_ap[TEST].percent,
        found.mean_ap[UNSEEN].percent,
        100 * tagged / of,
    ]


def main(
    folder: Path,
    words_space: Annotated[str, typer.Argument()] = BUNDLED.words,
    groups: int = 4,
    document: bool = True,
) -> None:
    encoder, words = open_encoder(BUNDLED.encoder), open_words(words_space)
    data = encode([file for file in scan(dataset_root(folder), LeftOut()) if file.label], encoder)
    vocabulary = Vocabulary(words, class_names(encoder))
    labels = np.random.default_rng(7).permutation(sorted(set(data.labels)))
    trained = [Group(data, set(labels[k::groups]), encoder, words, vocabulary) for k in range(groups)]
    print("without\ttest hit@2\tunseen hit@10\tmAP trained\tmAP unseen\town label")
    for name, made, changes in CASES if document else CASES[:-1]:
        with constants(*changes):
            rows = [figures(group.scorer.evaluate(name, made(group))) for group in trained]
        print(name, *(f"{number:.1f}" for number in np.mean(rows, axis=0)), sep="\t", flush=True)


if __name__ == "__main__":
    typer.run(main)
