"""`model train`: a labelled folder into a projection file.

It must not know how a projection is fitted (`trainer`), nor where vectors may be stored."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from model.encoders import Embedded, Encoder, Stopped, embed, need_classifier, open_encoder
from model.errors import DatasetError, DiskFull, UsageError
from model.pair import choose_pair
from model.pictures import LeftOut, PictureFile, dataset_root, scan
from model.projections import Header, Projection, is_projection_file, prepared_questions
from model.projections.training.learnable import need_learnable
from model.projections.training.recipes import BestRecipe, Recipe
from model.projections.training.splitting import Labelled
from model.projections.training.trainer import train
from model.system.disk import FULL
from model.system.events import note, progress
from model.system.names import first_of
from model.system.paths import absolute
from model.words import open_words

StoredVectors = Callable[[Path, str, str, str], Mapping[PictureFile, Embedded]]
"""Finds what is known already of the pictures below a folder: called with the folder, the encoder's name, the SHA-256
of its weights and the rule it frames by. It is passed in by whoever has a store; this layer knows none."""

SHOWN_LABELS = 12
"""Named in the message where the one asked for does not exist."""


def train_folder(
    folder: Path,
    out: Path,
    *,
    recipe: Recipe,
    hold_out: Collection[str] = (),
    encoder: str,
    words: str,
    offline: bool,
    device: str,
    stored: StoredVectors | None = None,
) -> Projection:
    """Encode the pictures of every label that can be learnt, train, measure, write ``out``.

    Args:
        hold_out: labels that are left out of the training, to be evaluated as unseen labels.
        stored: finds vectors that are known already, whose pictures are then not opened.

    Raises:
        DatasetError: no such folder, or nothing to learn from; before a picture is encoded where possible.
        DiskFull: there is no room for ``out``.
        UsageError: ``out`` cannot be written, a label to hold out does not exist, or the recipe needs a classifier that
            the encoder does not have.
    """
    root, out = dataset_root(folder), absolute(out)
    if not (out.parent.is_dir() and os.access(out.parent, os.W_OK)) or out.is_dir():
        raise UsageError(f"cannot write {out}: name a file in a folder you may write to")
    if out.exists() and not is_projection_file(out):
        raise UsageError(f"{out} exists and is not a projection: name another file with --out")
    files = [file for file in scan(root, LeftOut()) if file.label]
    check_held_out(hold_out, {file.label for file in files if file.label})
    pair = choose_pair(encoder, words, offline=offline)
    vectors = open_words(pair.words)
    labels = need_learnable(Counter(file.label for file in files if file.label and file.label not in hold_out), vectors)
    opened = open_encoder(pair.encoder, device=device, many=True)
    if isinstance(recipe, BestRecipe):
        need_classifier(opened)  # before the pictures are encoded
    data = encode([file for file in files if file.label in labels], opened, stored)
    header = Header("", opened.spec.name, opened.sha256, vectors.name, vectors.sha256)
    with progress("training", recipe.steps(len(labels)), unit=recipe.unit) as shown:
        trained = train(
            data,
            vectors,
            header,
            opened.classifier,
            recipe=recipe,
            questions=prepared_questions(vectors),
            on_step=lambda detail: shown.advance(1, detail),
        )
    _save(trained, out)
    _note_figures(trained, out)
    return trained


def _save(trained: Projection, out: Path) -> None:
    """Raises DiskFull, UsageError where it cannot be written; what was there is as before."""
    try:
        trained.save(out)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"no space left on the disk of {out}: make room and train again") from error
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error


def check_held_out(hold_out: Collection[str], labels: Collection[str]) -> None:
    """Raises UsageError where a label to hold out is not among ``labels``."""
    for label in hold_out:
        if label not in labels:
            some = first_of(sorted(labels), SHOWN_LABELS)
            raise UsageError(f"no label {label!r} to hold out: there are {some}")


def encode(files: list[PictureFile], opened: Encoder, stored: StoredVectors | None = None) -> Labelled:
    """Features and labels of picture files, one row a picture; bad files are left out, with a note.

    Args:
        stored: finds vectors that are known already; the unchanged files that they belong to are not opened.

    Raises:
        DatasetError: none can be read, or their disk is gone.
    """
    known = _known(files, opened, stored) if stored else {}
    if known:
        note(f"{len(known)} of {len(files)} pictures have stored vectors and are not encoded again")
    encoded = embed([file for file in files if file not in known], opened)
    good: list[Embedded] = []
    with progress("encoding", len(files), unit="pictures") as shown:
        for file in files:
            result = known.get(file) or next(encoded)
            if isinstance(result, Stopped):
                raise DatasetError(result.reason)
            shown.advance()
            if isinstance(result, Embedded) and result.features is not None:
                good.append(result)
            else:
                note(f"left out {result.file.relative!r}: {getattr(result, 'reason', '')}")
    if not good:
        raise DatasetError(f"none of the {len(files)} pictures could be read")
    features = np.stack([result.features for result in good if result.features is not None])
    return Labelled(
        features,
        [result.file.label or "" for result in good],
        [result.sha256 for result in good],
        [str(result.file.path) for result in good],
    )


def _known(files: list[PictureFile], opened: Encoder, stored: StoredVectors) -> dict[PictureFile, Embedded]:
    """The unchanged ones among ``files`` whose vectors ``stored`` finds."""
    found: dict[PictureFile, Embedded] = {}
    for root in {file.root for file in files}:
        found.update(stored(root, opened.spec.name, opened.sha256, opened.spec.framing.rule))
    return {file: found[file] for file in files if file in found}


def _note_figures(trained: Projection, out: Path) -> None:
    header = trained.header
    note(
        f"trained on {sum(header.labels.values())} pictures of {len(header.labels)} labels, "
        f"tested on {len(header.test)}"
    )
    for part, hits in header.figures.items():
        if hits:
            note(f"{part}: " + ", ".join(f"hit@{k} {share}%" for k, share in hits.items()))
    note(f"written to {out}: `ingest run FOLDER --projection {out}` uses it")
