"""`model evaluate`: labelled folders and projections in, the table out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.encoders import Encoder, class_names, need_classifier, open_encoder
from model.errors import DatasetError, UsageError
from model.judging.metrics import TEST, TRAIN, UNSEEN, Evaluation, Judge, Sample
from model.pair import choose_pair
from model.pictures import LeftOut, PictureFile, dataset_root, scan
from model.projections import Conse, Header, Projection, known_vectors, load_projection
from model.projections.training import (
    RECIPES,
    AnyRecipe,
    Labelled,
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

MADE_ON_THE_SPOT = (*RECIPES, Conse.kind)
"""Projections that are made on the spot."""


@dataclass(frozen=True)
class Exam:
    """What to judge by. ``hold_out``: labels of ``folder`` that nothing is trained on; ``unseen``: a folder of such."""

    folder: Path
    unseen: Path | None = None
    hold_out: Sequence[str] = ()
    test_share: float = 0.2
    seed: int = 0


def evaluate(
    exam: Exam,
    projections: Sequence[str],
    *,
    encoder: str,
    words: str,
    offline: bool,
    device: str,
    stored: StoredVectors | None = None,
) -> list[Evaluation]:
    """Judge projections on the pictures of labelled folders.

    Args:
        projections: files, or names: best, document (trained now, on what is not held back), conse.
        stored: finds vectors that are known already, whose pictures are then not opened.

    Raises:
        DatasetError: nothing to judge by. ProjectionError: a file that is broken or of other models.
        UsageError: a label to hold out is not there.
    """
    given = {name: load_projection(Path(name)) for name in projections if name not in MADE_ON_THE_SPOT}
    made_for = next((projection.header for projection in given.values()), None)
    if made_for:
        encoder, words = made_for.encoder, made_for.words
    pair = choose_pair(encoder, words, offline=offline)
    opened, vectors = open_encoder(pair.encoder, device=device), open_words(pair.words)
    for projection in given.values():
        projection.check(
            opened.spec.name, opened.sha256, vectors.name, vectors.sha256, widths=(opened.spec.width, vectors.width)
        )
    pictures = _Pictures.read(exam, opened, vectors, stored)
    judge = Judge(pictures.samples, pictures.data.features, vectors, Vocabulary(vectors, class_names(opened)))
    found = []
    for name in projections:
        projection = given.get(name) or pictures.projection(name, exam, opened, vectors)
        if both := sorted(projection.header.labels.keys() & set(exam.hold_out)):
            note(f"{Path(name).name} was trained on {', '.join(both)}: to it, these are no labels never seen")
        with progress(f"judging {name}", len(pictures.samples), unit="pictures") as shown:
            found.append(judge.evaluate(Path(name).name, projection, shown.advance))
    return found


@dataclass(frozen=True)
class _Pictures:
    """The pictures to judge by, encoded: one row a picture in both."""

    data: Labelled
    samples: list[Sample]

    @classmethod
    def read(cls, exam: Exam, encoder: Encoder, words: TextSpace, stored: StoredVectors | None) -> _Pictures:
        files = _files(exam.folder, words)
        check_held_out(exam.hold_out, {file.label for file in files if file.label})
        learnable = learnable_labels(
            Counter(file.label for file in files if file.label and file.label not in exam.hold_out), words
        )
        if not learnable:
            raise DatasetError(f"too few labels in {exam.folder}: two with ten pictures each are needed")
        others = _files(exam.unseen, words) if exam.unseen else []
        if exam.unseen and not others:
            raise DatasetError(f"no labels in {exam.unseen}: its pictures must lie in sub-folders named by words")
        if both := sorted({file.label or "" for file in others} & learnable.keys()):
            raise UsageError(
                f"{both[0]!r} is a label of {exam.folder} and of {exam.unseen}, of which nothing is trained on: "
                "keep its pictures in one of them"
            )
        chosen = [file for file in files if file.label in learnable or file.label in exam.hold_out]
        data = encode([*chosen, *others], encoder, stored)
        is_test = _split(data, learnable, exam)
        samples = [
            Sample(path, label, UNSEEN if label not in learnable else TEST if held else TRAIN, sha256)
            for path, label, sha256, held in zip(data.paths, data.labels, data.sha256, is_test, strict=True)
        ]
        return cls(data, samples)

    def projection(self, name: str, exam: Exam, encoder: Encoder, words: TextSpace) -> Projection:
        """Made now, of what may be trained on; its own split is what it is judged by."""
        header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
        if name == Conse.kind:
            return Conse.build(need_classifier(encoder), header, words)
        rows = [row for row, sample in enumerate(self.samples) if sample.part != UNSEEN]
        seen = Labelled(
            self.data.features[rows], [self.data.labels[i] for i in rows], [self.data.sha256[i] for i in rows]
        )
        recipe: AnyRecipe = replace(RECIPES[name](), test_share=exam.test_share, seed=exam.seed)
        labels = len(set(seen.labels))
        with progress(f"training {name}", recipe.steps(labels), unit=recipe.unit) as shown:
            return train(
                seen,
                words,
                header,
                encoder.classifier,
                recipe=recipe,
                advance=lambda detail: shown.advance(1, detail),
            )


def _split(data: Labelled, learnable: Container[str], exam: Exam) -> NDArray[np.bool_]:
    """What is held back, as a training does it: every projection is judged on the same test pictures."""
    is_test = np.zeros(len(data.labels), bool)
    rows = [row for row, label in enumerate(data.labels) if label in learnable]
    is_test[rows] = split(
        duplicate_groups([data.sha256[row] for row in rows], data.features[rows]),
        np.unique([data.labels[row] for row in rows], return_inverse=True)[1],
        share=exam.test_share,
        seed=exam.seed,
    )
    return is_test


def _files(folder: Path, words: TextSpace) -> list[PictureFile]:
    """The labelled pictures of a folder whose label has a vector."""
    files = [file for file in scan(dataset_root(folder), LeftOut()) if file.label]
    known: Mapping[str, bool] = {label: bool(known_vectors([label], words)) for label in {f.label or "" for f in files}}
    return [file for file in files if known[file.label or ""]]
