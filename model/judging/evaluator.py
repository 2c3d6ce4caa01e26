"""`model evaluate`: labelled folders and projections in, an evaluation of each out.

It must not know how the figures are computed (`metrics`), nor how they are shown (`table`, `report`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.encoders import Encoder, class_names, need_classifier, open_encoder
from model.errors import DatasetError, UsageError
from model.judging.evaluation import TEST, TRAIN, UNSEEN, Evaluation, Sample
from model.judging.metrics import Scorer
from model.pair import choose_pair
from model.pictures import LeftOut, PictureFile, dataset_root, scan
from model.projections import (
    ConseProjection,
    DocumentProjection,
    Header,
    Projection,
    known_vectors,
    load_chosen,
    prepared_questions,
)
from model.projections.training import (
    RECIPES,
    Labelled,
    Recipe,
    StoredVectors,
    check_held_out,
    duplicate_groups,
    encode,
    learnable_labels,
    split,
    train,
)
from model.system.events import note, progress
from model.words import TextSpace, Vocabulary, open_words

BUILT_KINDS = (*RECIPES, ConseProjection.kind)
"""Projections that are named by their kind, and trained or built for the evaluation."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate on.

    ``hold_out``: labels of ``folder`` that nothing is trained on. ``unseen``: a folder of such labels. ``test_share``,
    ``seed``: of the split.
    """

    folder: Path
    unseen: Path | None = None
    hold_out: Sequence[str] = ()
    test_share: float = 0.2
    seed: int = 0


def evaluate(
    settings: EvaluationSettings,
    projections: Sequence[str],
    *,
    encoder: str,
    words: str,
    framing: str = "",
    offline: bool,
    device: str,
    stored: StoredVectors | None = None,
) -> list[Evaluation]:
    """Evaluate projections on the pictures of labelled folders.

    Args:
        projections: files, or kinds: best, document (trained now, on what is not held back), conse.
        framing: the rule by which the encoder sees the pictures; empty for its own.
        stored: finds vectors that are known already, whose pictures are then not opened.

    Raises:
        DatasetError: nothing to evaluate on. ProjectionError: a file that is broken or of other models.
        UsageError: a label to hold out does not exist.
    """
    given = {name: loaded for name in projections if (loaded := load_chosen(name, BUILT_KINDS))}
    made_for = next((projection.header for projection in given.values()), None)
    if made_for:
        encoder, words = made_for.encoder, made_for.words
    pair = choose_pair(encoder, words, offline=offline)
    opened, vectors = open_encoder(pair.encoder, framing=framing, device=device), open_words(pair.words)
    _check_models(projections, given, opened, vectors)
    pictures = _Pictures.read(settings, opened, vectors, stored)
    scorer = Scorer(
        pictures.samples,
        pictures.data.features,
        vectors,
        Vocabulary(vectors, class_names(opened)),
        prepared_questions(vectors),
    )
    evaluations = []
    for name in projections:
        projection = given.get(name) or pictures.projection(name, settings, opened, vectors)
        if both := sorted(projection.header.labels.keys() & set(settings.hold_out)):
            note(f"{Path(name).name} was trained on {', '.join(both)}: for it, these labels are not unseen")
        with progress(f"evaluating {name}", len(pictures.samples), unit="pictures") as shown:
            evaluations.append(scorer.evaluate(Path(name).name, projection, shown.advance))
    return evaluations


def _check_models(
    projections: Sequence[str], given: Mapping[str, Projection], encoder: Encoder, words: TextSpace
) -> None:
    """Before the pictures are encoded: that every projection is for these models, or can be built for them.

    Raises:
        ProjectionError: a file is for others. UsageError: a kind needs a classifier, which the encoder does not have.
    """
    widths = (encoder.spec.width, words.width)
    for name in projections:
        if name in given:
            given[name].check(encoder.spec.name, encoder.sha256, words.name, words.sha256, widths=widths)
        elif name != DocumentProjection.kind:
            need_classifier(encoder)


@dataclass(frozen=True)
class _Pictures:
    """The pictures to evaluate on, encoded: one row a picture in both."""

    data: Labelled
    samples: list[Sample]

    @classmethod
    def read(
        cls, settings: EvaluationSettings, encoder: Encoder, words: TextSpace, stored: StoredVectors | None
    ) -> _Pictures:
        files, learnable = _trainable_files(settings, words)
        unseen = _unseen_files(settings, learnable, words)
        data = encode([*files, *unseen], encoder, stored)
        is_test = _split(data, learnable, settings)
        samples = [
            Sample(path, label, UNSEEN if label not in learnable else TEST if held else TRAIN, sha256)
            for path, label, sha256, held in zip(data.paths, data.labels, data.sha256, is_test, strict=True)
        ]
        return cls(data, samples)

    def projection(self, kind: str, settings: EvaluationSettings, encoder: Encoder, words: TextSpace) -> Projection:
        """A projection of that kind, trained on what may be trained on; its own split is what it is evaluated by."""
        header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
        if kind == ConseProjection.kind:
            return ConseProjection.build(encoder.classifier, header, words)
        rows = [row for row, sample in enumerate(self.samples) if sample.part != UNSEEN]
        seen = Labelled(
            self.data.features[rows], [self.data.labels[i] for i in rows], [self.data.sha256[i] for i in rows]
        )
        recipe: Recipe = replace(RECIPES[kind](), test_share=settings.test_share, seed=settings.seed)
        with progress(f"training {kind}", recipe.steps(len(set(seen.labels))), unit=recipe.unit) as shown:
            return train(
                seen,
                words,
                header,
                encoder.classifier,
                recipe=recipe,
                questions=prepared_questions(words),
                on_step=lambda detail: shown.advance(1, detail),
            )


def _trainable_files(settings: EvaluationSettings, words: TextSpace) -> tuple[list[PictureFile], Mapping[str, int]]:
    """The pictures of ``folder`` to train on, to test with or to hold out; and the labels that are learnt."""
    files = _labelled_files(settings.folder, words)
    check_held_out(settings.hold_out, {file.label for file in files if file.label})
    counts = Counter(file.label for file in files if file.label and file.label not in settings.hold_out)
    learnable = learnable_labels(counts, words)
    if not learnable:
        raise DatasetError(f"too few labels in {settings.folder}: two with ten pictures each are needed")
    return [file for file in files if file.label in learnable or file.label in settings.hold_out], learnable


def _unseen_files(settings: EvaluationSettings, learnable: Container[str], words: TextSpace) -> list[PictureFile]:
    """The pictures of ``unseen``, whose labels must not be trained on."""
    if not settings.unseen:
        return []
    files = _labelled_files(settings.unseen, words)
    if not files:
        raise DatasetError(f"no labels in {settings.unseen}: its pictures must lie in sub-folders named by words")
    if both := sorted({file.label for file in files if file.label and file.label in learnable}):
        raise UsageError(
            f"{both[0]!r} is a label of {settings.folder} and of {settings.unseen}, on which nothing may be trained: "
            "keep its pictures in one of them"
        )
    return files


def _labelled_files(folder: Path, words: TextSpace) -> list[PictureFile]:
    """The labelled pictures of a folder whose label has a vector."""
    files = [file for file in scan(dataset_root(folder), LeftOut()) if file.label]
    has_vector = {label: bool(known_vectors([label], words)) for label in {file.label or "" for file in files}}
    return [file for file in files if has_vector[file.label or ""]]


def _split(data: Labelled, learnable: Container[str], settings: EvaluationSettings) -> NDArray[np.bool_]:
    """(n,) which pictures are held back, as a training holds them back: all projections have the same test pictures."""
    is_test = np.zeros(len(data.labels), bool)
    rows = [row for row, label in enumerate(data.labels) if label in learnable]
    is_test[rows] = split(
        duplicate_groups([data.sha256[row] for row in rows], data.features[rows]),
        np.unique([data.labels[row] for row in rows], return_inverse=True)[1],
        share=settings.test_share,
        seed=settings.seed,
    )
    return is_test
