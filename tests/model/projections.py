"""Projections of a few made-up numbers, one of each kind."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from model.projections import BestProjection, ConseProjection, DocumentProjection, Header, decorrelate, unit
from model.projections.training.document import Head

HEADER = Header(
    kind="",
    encoder="efficientnet-lite0",
    encoder_sha256="e" * 64,
    words="glove-6b-50d",
    words_sha256="w" * 64,
    created="2026-01-02T03:04:05+00:00",
    labels={"dog": 40, "caf\u00e9 \N{DOG FACE}": 11},
    recipe={"epochs": 60, "seed": 0},
    figures={"test": {"1": 51.6, "2": 97.6}},
    test=["0123456789abcdef"],
)


def trained_head(width: int = 12, words_width: int = 7, seed: int = 0) -> Head:
    """A head whose running statistics and affine parameters are far from where they start."""
    torch.manual_seed(seed)
    head = Head(width, words_width)
    with torch.no_grad():
        for name, tensor in head.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.2, 4)
            elif "norm" in name and tensor.is_floating_point():
                tensor.uniform_(-2, 2)
    return head


def tensors_of(head: Head) -> dict[str, NDArray[np.float32]]:
    return {
        name: np.asarray(tensor.numpy(), np.float32)
        for name, tensor in head.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def small_document() -> DocumentProjection:
    return DocumentProjection(replace(HEADER, kind="document"), tensors_of(trained_head()))


def small_conse(classes: int = 24, width: int = 12, words_width: int = 7) -> ConseProjection:
    rng = np.random.default_rng(1)
    tensors = {
        "weight": rng.normal(size=(classes, width)).astype(np.float32),
        "bias": rng.normal(size=classes).astype(np.float32),
        "classes": unit(rng.normal(size=(classes, words_width)).astype(np.float32)),
        "related": rng.normal(size=(classes, words_width)).astype(np.float32),
    }
    tags = [[f"class{row}", "thing"] for row in range(classes)]
    return ConseProjection(replace(HEADER, kind="conse", class_tags=tags), tensors)


def flat_best(
    *,
    gate: tuple[float, float],
    label_bias: tuple[float, float] = (0.0, 0.0),
    trust: tuple[dict[str, float], ...] = (),
) -> BestProjection:
    """In a word space of four directions: the first two are the labels', the third is the most probable class's, the
    fourth what all classes together are like. Its pictures are two numbers."""
    first, second, third, fourth = np.eye(4, dtype=np.float32)
    tensors = {
        "weight": np.array([[60, 0], [0, 60]], np.float32),
        "bias": np.zeros(2, np.float32),
        "classes": np.stack([third, fourth]),
        "related": np.stack([fourth, fourth]),
        "rows": np.zeros((2, 2), np.float32),
        "row_bias": np.array(label_bias, np.float32),
        "labels": np.stack([first, second]),
        "directions": np.stack([first, second]),
        "gate": np.array(gate, np.float32),
    }
    made = replace(
        HEADER, kind="best", label_phrases=["caf\u00e9", "dog"], class_tags=[["cup"], ["saucer"]], trust=list(trust)
    )
    return BestProjection(made, tensors)


def small_best(labels: int = 2, width: int = 12, words_width: int = 7) -> BestProjection:
    rng = np.random.default_rng(3)
    conse = small_conse(width=width, words_width=words_width)
    vectors = unit(rng.normal(size=(labels, words_width)).astype(np.float32))
    tensors = {
        **conse.tensors,
        "rows": rng.normal(size=(labels, width)).astype(np.float32),
        "row_bias": rng.normal(size=labels).astype(np.float32),
        "labels": vectors,
        "directions": decorrelate(vectors),
        "gate": np.array([0.8, -0.3], np.float32),
    }
    return BestProjection(replace(conse.header, kind="best", label_phrases=["caf\u00e9", "dog"]), tensors)


def some_features(count: int = 5, width: int = 12) -> NDArray[np.float32]:
    return np.abs(np.random.default_rng(2).normal(size=(count, width))).astype(np.float32)


def hashes(count: int) -> list[str]:
    """Checksums of so many files that differ."""
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
