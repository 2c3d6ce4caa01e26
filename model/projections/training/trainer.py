"""Training a projection on labelled features: split, fit by the recipe, measure.

It must not know folders, pictures or stores; how a recipe fits is in `best` and `document`, which import torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from model.class_space import QuestionWeights
from model.encoders import Classifier, require_classes
from model.errors import UsageError
from model.projections import HASH_DIGITS, ConseProjection, DocumentProjection, Header, Projection
from model.projections.training.hits import Project, hits
from model.projections.training.learning import LabelLearning
from model.projections.training.recipes import BestRecipe, DocumentRecipe, Recipe
from model.projections.training.splitting import Labelled, Split
from model.system.clock import now
from model.system.paths import working_folder
from model.words import TextSpace

OnStep = Callable[[str], None]
"""Called after each of the ``recipe.steps(labels)`` steps with the loss and, where something is held back, hit@2."""


def train(
    data: Labelled,
    words: TextSpace,
    header: Header,
    classifier: Classifier | None,
    *,
    recipe: Recipe,
    questions: QuestionWeights | None = None,
    on_step: OnStep = lambda _: None,
) -> Projection:
    """Train on all but ``recipe.test_share`` of the pictures, and measure hit@k on both parts.

    Args:
        header: what it is made of and for; the rest is filled in. classifier: the encoder's last layer, which only
            the document's recipe can do without.
        questions: what words mean among the encoder's classes, where the text space has that.

    Raises:
        DatasetError: fewer than two labels with ten pictures and a word vector.
        NothingLearnt: by the best recipe, fewer than two that their pictures tell apart.
        UsageError: no classifier, and a recipe that needs one; or the working folder was removed.
    """
    if working_folder() is None:  # there MKL ends the process by a message of its own
        raise UsageError("nothing can be trained in a folder that was removed: go to another, and run this again there")
    split = Split.of(data, words, test_share=recipe.test_share, seed=recipe.seed)
    projection: Projection
    if isinstance(recipe, BestRecipe):
        last_layer = require_classes(header.encoder, classifier)
        conse = ConseProjection.build(last_layer, header, words)
        projection, split = LabelLearning(conse, last_layer, words, questions, recipe, on_step).learn(split)
    else:
        projection = _fit_document(split, header, recipe, on_step)
    projection.header = replace(
        projection.header,
        created=now(),
        recipe={"name": recipe.name, **asdict(recipe)},
        test=sorted({sha256[:HASH_DIGITS] for sha256 in split.test_sha256}),
        figures={
            part: hits(projection.project, examples.features, examples.labels, split.targets)
            for part, examples in (("train", split.train), ("test", split.test))
        },
    )
    return projection


def _fit_document(split: Split, header: Header, recipe: DocumentRecipe, on_step: OnStep) -> DocumentProjection:
    from model.projections.training.document import train_head

    history: list[dict[str, float]] = []

    def on_epoch(loss: float, project: Project) -> None:
        test = hits(project, split.test.features, split.test.labels, split.targets)
        history.append({"loss": loss, **({"hit@2": test["2"]} if test else {})})
        on_step(f"loss {loss:.3f}" + (f", test hit@2 {test['2']}%" if test else ""))

    tensors = train_head(split.train.features, split.train.labels, split.targets, recipe, on_epoch)
    kind = DocumentProjection.kind
    made = replace(header, kind=kind, labels=split.counts(), label_phrases=split.phrases, history=history)
    return DocumentProjection(made, tensors)
