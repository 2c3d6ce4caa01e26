"""From labelled features to a projection: which labels can be learnt, the split, the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model.encoders import Classifier, Features, require_classes
from model.errors import DatasetError, UsageError
from model.projections import HASH_DIGITS, Conse, Devise, Header, Joint, Projection, decorrelate
from model.projections.training.held_back import duplicate_groups, split
from model.system.clock import now
from model.words import TextSpace

MIN_LABELS = 2
MIN_PICTURES = 10
"""Fewer of a label, and two held back for the test say nothing."""

HIT_AT = (1, 2, 3, 5, 10)
HITS_ROWS = 1024
"""Pictures projected at a time when hits are counted: the hidden layer takes 8 KB of each."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The document's: a head of 2000 hidden units, cosine loss, SGD; and the batch that 60 epochs in seconds allow.

    ``patience``: epochs without a lower loss on a tenth of the training pictures after which to stop early, and
    keep the best epoch; 0 runs all epochs on all pictures.
    """

    name: ClassVar[str] = "document"
    epochs: int = 60
    learning_rate: float = 0.01
    momentum: float = 0.9
    dropout: float = 0.5
    batch_size: int = 64
    patience: int = 0
    test_share: float = 0.2
    seed: int = 0

    def steps(self, labels: int) -> int:  # noqa: ARG002 - as many for any number of labels
        return self.epochs

    unit: ClassVar[str] = "epochs"


@dataclass(frozen=True, slots=True)
class BestRecipe:
    """Softmax regression of the labels beside the encoder's classes, by L-BFGS, which stops where it converged."""

    name: ClassVar[str] = "best"
    iterations: int = 60
    decay: float = 1e-5
    most_groups: int = 4
    test_share: float = 0.2
    seed: int = 0

    def groups(self, labels: int) -> int:
        """How many groups of labels are left out in turn to calibrate the gate."""
        return min(self.most_groups, labels)

    def steps(self, labels: int) -> int:
        return 1 + self.groups(labels)

    unit: ClassVar[str] = "fits"


AnyRecipe = Recipe | BestRecipe
Project = Callable[[Features], NDArray[np.float32]]
"""Features (n, width) to unit vectors in word space (n, words' width)."""

TRAINED: dict[str, type[Recipe] | type[BestRecipe]] = {Joint.kind: BestRecipe, Devise.kind: Recipe}
"""What trains a projection of that kind."""

RECIPES: dict[str, type[Recipe] | type[BestRecipe]] = {recipe.name: recipe for recipe in (BestRecipe, Recipe)}


def recipe_of(name: str, **chosen: Any) -> AnyRecipe:
    """The recipe of that name; ``chosen`` fields that are None keep their defaults.

    Raises:
        UsageError: there is none of that name, or it has no such field.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}: there are {', '.join(RECIPES)}")
    given = {field: value for field, value in chosen.items() if value is not None}
    unknown = given.keys() - {field.name for field in fields(RECIPES[name])}
    if unknown:
        raise UsageError(f"the recipe {name!r} has no {', '.join(sorted(unknown))}: add --recipe document")
    return RECIPES[name](**given)


@dataclass(frozen=True)
class Labelled:
    """Features with their labels, one row a picture. ``sha256``: hex, of the files' content; ``paths``: of files."""

    features: Features
    labels: Sequence[str]
    sha256: Sequence[str]
    paths: Sequence[str] = ()


def learnable_labels(counts: Counter[str], words: TextSpace) -> dict[str, int]:
    """The labels with enough pictures and a word vector, with their counts; fewer than two are none.

    Folders named by a number, such as a year, name no thing to be learnt.
    """
    learnable = {
        label: count
        for label, count in sorted(counts.items())
        if count >= MIN_PICTURES and any(c.isalpha() for c in label) and _has_vector(label, words)
    }
    return learnable if len(learnable) >= MIN_LABELS else {}


def need_learnable(counts: Counter[str], words: TextSpace) -> dict[str, int]:
    """`learnable_labels`, or the reason why there are none.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
    """
    labels = learnable_labels(counts, words)
    if not labels:
        raise DatasetError(
            f"nothing to learn from: at least {MIN_LABELS} sub-folders with {MIN_PICTURES} pictures each, named by a "
            f"word that has a vector, are needed; labels found: {len(counts)}, pictures with one: {counts.total()}"
        )
    return labels


def _has_vector(label: str, words: TextSpace) -> bool:
    found = words.find(label)
    return found is not None and not found.unknown


def train(
    data: Labelled,
    words: TextSpace,
    header: Header,
    classifier: Classifier | None,
    *,
    recipe: AnyRecipe = BestRecipe(),
    advance: Callable[[str], None] = lambda _: None,
) -> Projection:
    """Train on four fifths of the pictures (`Recipe.test_share`) and measure hit@k on both parts.

    Args:
        classifier: the encoder's last layer, which the best recipe needs; None where it has none.
        advance: told the loss and more after each of ``recipe.steps(labels)`` steps.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
        UsageError: no classifier, and a recipe that needs one.
    """
    lesson = Lesson.of(data, words, recipe)
    if isinstance(recipe, BestRecipe):
        known = require_classes(header.encoder, classifier)
        projection: Projection = _best(lesson, header, known, words, recipe, advance)
    else:
        projection = _document(lesson, header, recipe, advance)
    projection.header = replace(
        projection.header,
        created=now(),
        labels=lesson.counts(),
        spoken=lesson.spoken,
        recipe={"name": recipe.name, **asdict(recipe)},
        test=sorted({content[:HASH_DIGITS] for content in lesson.held_back}),
    )
    return _measured(projection, lesson)


@dataclass(frozen=True)
class Lesson:
    """What is learnt, and what is held back to measure it.

    ``spoken``: the labels' known words; ``targets``: their vectors (labels, words' width), unit.
    """

    labels: list[str]
    spoken: list[str]
    targets: NDArray[np.float32]
    train: Features
    train_labels: NDArray[np.int64]
    test: Features
    test_labels: NDArray[np.int64]
    held_back: list[str]

    @classmethod
    def of(cls, data: Labelled, words: TextSpace, recipe: AnyRecipe) -> Lesson:
        """Split what can be learnt.

        Raises:
            DatasetError: nothing can be.
        """
        labels = sorted(need_learnable(Counter(data.labels), words))
        number = {label: i for i, label in enumerate(labels)}
        rows = np.array([i for i, label in enumerate(data.labels) if label in number])
        wanted = np.array([number[data.labels[i]] for i in rows])
        content = [data.sha256[i] for i in rows]
        features = data.features[rows]
        is_test = split(duplicate_groups(content, features), wanted, share=recipe.test_share, seed=recipe.seed)
        phrases = [words.phrase(label) for label in labels]
        return cls(
            labels,
            [" ".join(phrase.known) for phrase in phrases],
            np.stack([phrase.vector for phrase in phrases]),
            features[~is_test],
            wanted[~is_test],
            features[is_test],
            wanted[is_test],
            [content[i] for i in np.flatnonzero(is_test)],
        )

    def counts(self) -> dict[str, int]:
        return {label: int(np.sum(self.train_labels == i)) for i, label in enumerate(self.labels)}


def _measured(projection: Projection, lesson: Lesson) -> Projection:
    """Write hit@k on both parts into the header."""
    figures = {
        "train": hits(projection.project, lesson.train, lesson.train_labels, lesson.targets),
        "test": hits(projection.project, lesson.test, lesson.test_labels, lesson.targets),
    }
    projection.header = replace(projection.header, figures=figures)
    return projection


def _document(lesson: Lesson, header: Header, recipe: Recipe, advance: Callable[[str], None]) -> Devise:
    from model.projections.training.document import train_head

    history: list[dict[str, float]] = []

    def told(loss: float, project: Project) -> None:
        measured = hits(project, lesson.test, lesson.test_labels, lesson.targets)
        history.append({"loss": loss, **({"hit@2": measured["2"]} if measured else {})})
        advance(f"loss {loss:.3f}" + (f", test hit@2 {measured['2']}%" if measured else ""))

    tensors = train_head(lesson.train, lesson.train_labels, lesson.targets, recipe, told)
    return Devise(replace(header, kind=Devise.kind, history=history), tensors)


def _best(
    lesson: Lesson,
    header: Header,
    classifier: Classifier,
    words: TextSpace,
    recipe: BestRecipe,
    advance: Callable[[str], None],
) -> Joint:
    from model.projections.training.best import Rows, fit_labels

    conse = Conse.build(classifier, header, words)
    history: list[dict[str, float]] = []

    def watch(loss: float, rows: Rows) -> None:
        hit = {"hit@2": rows.hit(lesson.test, lesson.test_labels, 2)} if len(lesson.test) else {}
        history.append({"loss": loss, **hit})

    def told(loss: float) -> None:
        hit = history[-1].get("hit@2")
        advance(f"loss {loss:.4f}" + (f", test hit@2 {hit}%" if hit is not None else ""))

    fitted = fit_labels(lesson.train, lesson.train_labels, len(lesson.labels), classifier, recipe, told, watch)
    tensors = {**conse.tensors, **fitted, "labels": lesson.targets, "directions": decorrelate(lesson.targets)}
    made = replace(conse.header, kind=Joint.kind, labels=lesson.counts(), spoken=lesson.spoken, history=history)
    return Joint(made, tensors)


def hits(
    project: Project, features: Features, wanted: NDArray[np.int64], targets: NDArray[np.float32]
) -> dict[str, float]:
    """Flat hit@k in percent: the share of pictures whose label is among the k nearest label words."""
    if not len(features):
        return {}
    ranks = np.empty(len(features), np.int64)
    for start in range(0, len(features), HITS_ROWS):
        rows = slice(start, start + HITS_ROWS)
        scores = project(features[rows]) @ targets.T
        own = np.take_along_axis(scores, wanted[rows, None], axis=1)
        ranks[rows] = (~(scores <= own)).sum(axis=1)  # so written, a number that is none hits nothing
    return {str(k): round(float((ranks < k).mean()) * 100, 1) for k in HIT_AT}
