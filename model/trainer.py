"""`model train`: a labelled folder into a projection file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from model.dataset import LeftOut, PictureFile, dataset_root, scan
from model.embedding import Embedded, embed
from model.encoder import Encoder, open_encoder
from model.errors import DatasetError, UsageError
from model.glove import open_words
from model.pair import choose_pair
from model.projection import Devise, Header
from model.terminal import note, progress
from model.training import Labelled, Recipe, need_learnable, train_devise


def train_folder(folder: Path, out: Path, *, encoder: str, words: str, offline: bool, seed: int, device: str) -> Devise:
    """Encode the pictures of every label that can be learnt, train, measure, write ``out``.

    Raises:
        DatasetError: no such folder, or nothing to learn from; before a picture is encoded where possible.
        UsageError: ``out`` cannot be written.
    """
    root = dataset_root(folder)
    if not (out.parent.is_dir() and os.access(out.parent, os.W_OK)) or out.is_dir():
        raise UsageError(f"cannot write {out}: name a file in a folder you may write to")
    files = [file for file in scan(root, LeftOut()) if file.label]
    pair = choose_pair(encoder, words, offline=offline)
    vectors = open_words(pair.words)
    labels = need_learnable(Counter(file.label for file in files if file.label), vectors)
    chosen = [file for file in files if file.label in labels]
    opened = open_encoder(pair.encoder, device=device)
    data = _embed(chosen, opened)
    header = Header("", opened.spec.name, opened.sha256, vectors.name, vectors.sha256)
    recipe = Recipe(seed=seed)
    with progress("training", recipe.epochs, unit="epochs") as shown:
        head = train_devise(data, vectors, header, recipe=recipe, advance=lambda detail: shown.advance(1, detail))
    head.save(out)
    _tell(head, out)
    return head


def _embed(files: list[PictureFile], opened: Encoder) -> Labelled:
    good: list[Embedded] = []
    with progress("encoding", len(files), unit="pictures") as shown:
        for result in embed(files, opened):
            shown.advance()
            if isinstance(result, Embedded) and result.features is not None:
                good.append(result)
            else:
                note(f"left out {result.file.relative!r}: {getattr(result, 'reason', '')}")
    if not good:
        raise DatasetError(f"none of the {len(files)} pictures could be read")
    features = np.stack([result.features for result in good if result.features is not None])
    return Labelled(features, [result.file.label or "" for result in good], [result.sha256 for result in good])


def _tell(head: Devise, out: Path) -> None:
    header = head.header
    note(
        f"trained on {sum(header.labels.values())} pictures of {len(header.labels)} labels, "
        f"tested on {len(header.test)}"
    )
    for part, hits in header.figures.items():
        told = ", ".join(f"hit@{k} {share}%" for k, share in hits.items())
        note(f"{part}: {told}")
    note(f"written to {out}: `ingest run FOLDER --projection {out}` uses it")
