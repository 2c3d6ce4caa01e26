"""Learning labels by the best recipe: which are worth it, and the fit of these.

It must not know what is measured afterwards, nor how a fit goes (`best`, which imports torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.class_space import QuestionWeights, shipped_nouns, spaced
from model.encoders import Classifier
from model.errors import NothingLearnt
from model.projections import FOLDS, BestProjection, ConseProjection, LabelTrust, decorrelate, fold_of, softmax
from model.projections.training.learnable import MIN_LABELS
from model.projections.training.recipes import BestRecipe
from model.projections.training.splitting import Split
from model.projections.training.trust import is_worth_it, judge
from model.system.names import first_of
from model.words import TextSpace

if TYPE_CHECKING:
    from model.projections.training.best import CrossValidated, LabelClassifier

SHOWN_LABELS = 5


@dataclass
class LabelLearning:
    """One training by the best recipe.

    ``questions``: what words mean among the encoder's classes, where the text space has that. ``on_step``: called
    after each fit with the loss and, where something is held back, hit@2.
    """

    conse: ConseProjection
    classifier: Classifier
    words: TextSpace
    questions: QuestionWeights | None
    recipe: BestRecipe
    on_step: Callable[[str], None]
    history: list[dict[str, float]] = field(default_factory=list)

    def learn(self, split: Split) -> tuple[BestProjection, Split]:
        """The projection, and the labels that were worth it with their pictures.

        Raises:
            NothingLearnt: fewer than two were.
        """
        meanings = self._meanings(split)
        crossed = self._cross_validated(split)
        trusts = self._trusts(split, crossed.said, meanings)
        kept = [row for row, trust in enumerate(trusts) if trust.learnt]
        not_learnt = [label for label, trust in zip(split.labels, trusts, strict=True) if not trust.learnt]
        if len(kept) < MIN_LABELS:
            raise NothingLearnt(
                f"nothing could be learnt from the labels {first_of(split.labels, SHOWN_LABELS)}: in their pictures "
                "there is nothing that tells one label from the others",
                split.labels,
            )
        if not is_worth_it(crossed.said, split.train.labels, self._asked(split, meanings), trusts):
            raise NothingLearnt(
                f"what could be learnt of the labels {first_of(split.labels, SHOWN_LABELS)} finds their pictures later "
                "than their words alone do",
                split.labels,
            )
        if not_learnt:
            split = split.only(kept)
            crossed = self._cross_validated(split)
        header = replace(
            self.conse.header,
            kind=BestProjection.kind,
            labels=split.counts(),
            label_phrases=split.phrases,
            trust=[asdict(trusts[row]) for row in kept],
            not_learnt=not_learnt,
            history=self.history,
        )
        tensors = self._tensors(split, crossed)
        if meanings is not None:
            tensors["label_classes"] = meanings[kept]
        return BestProjection(header, tensors), split

    def _tensors(self, split: Split, crossed: CrossValidated) -> dict[str, NDArray[np.float32]]:
        from model.projections.training.best import fit_labels

        def on_evaluation(loss: float, fitted: LabelClassifier) -> None:
            hit = {"hit@2": fitted.hit_percent(split.test.features, split.test.labels, 2)} if len(split.test) else {}
            self.history.append({"loss": loss, **hit})

        fitted = fit_labels(
            split.train.features,
            split.train.labels,
            len(split.labels),
            self.classifier,
            self.recipe,
            on_step=self._on_fit,
            on_evaluation=on_evaluation,
        )
        return {
            **self.conse.tensors,
            **fitted,
            "labels": split.targets,
            "directions": decorrelate(split.targets),
            "fold_rows": crossed.fold_rows,
            "fold_bias": crossed.fold_bias,
        }

    def _cross_validated(self, split: Split) -> CrossValidated:
        from model.projections.training.best import cross_validate

        return cross_validate(
            split.train.features,
            split.train.labels,
            len(split.labels),
            _folds(split),
            self.classifier,
            self.recipe,
            on_step=self._on_fit,
        )

    def _trusts(
        self, split: Split, said: NDArray[np.float32], meanings: NDArray[np.float32] | None
    ) -> list[LabelTrust]:
        nouns = shipped_nouns().nouns
        names = [spaced(phrase) for phrase in split.phrases]
        is_noun = [any(nouns.find(form) for form in (name, f"{name}s")) for name in names]  # "binocular" is a plural
        return judge(said, split.train.labels, self._asked(split, meanings), is_noun)

    def _asked(self, split: Split, meanings: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """(n, labels): how well the pictures answer to the labels' words before anything is trained."""
        features = split.train.features
        if meanings is None:
            return np.asarray(self.conse.project(features) @ split.targets.T, np.float32)
        return np.asarray(softmax(self.classifier.logits(features)) @ meanings.T, np.float32)

    def _meanings(self, split: Split) -> NDArray[np.float32] | None:
        """(labels, 1000): what the labels' words mean among the encoder's classes, where the text space has that."""
        questions, embed = self.questions, self.words.embed
        if questions is None:
            return None
        return np.stack([questions.weigh(spaced(phrase), embed) for phrase in split.phrases])

    def _on_fit(self, loss: float) -> None:
        hit = self.history[-1].get("hit@2") if self.history else None
        self.on_step(f"loss {loss:.4f}" + (f", test hit@2 {hit}%" if hit is not None else ""))


def _folds(split: Split) -> NDArray[np.int64]:
    """(n,) by content; where all that a label has is one content, spread, since no fit would see it else."""
    folds = np.array([fold_of(sha256) for sha256 in split.train_sha256], np.int64)
    for label in range(len(split.labels)):
        rows = np.flatnonzero(split.train.labels == label)
        if len(set(folds[rows].tolist())) == 1:
            folds[rows] = np.arange(len(rows)) % FOLDS
    return folds
