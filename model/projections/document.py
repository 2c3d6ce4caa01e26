"""The document recipe's projection, a DeViSE head: from features into word space by two layers, and its parameters.

It must not know how it is trained (`model.projections.training.document`), nor how a file is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoders import EncoderSpec, Features
from model.projections.base import Header, Projection, Tensors, unit

HIDDEN = 2000
"""Width of the head's hidden layer, the document's."""


class DocumentProjection(Projection):
    """The DeViSE head (Frome et al. 2013): Linear, BatchNorm, ReLU, Dropout, Linear, BatchNorm.

    Tensors are those of `training.document.Head`; at inference the BatchNorms are folded into the Linears. ``EPS``:
    torch's, of a BatchNorm.
    """

    kind = "document"
    EPS = 1e-5

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        self._first = self._folded("first", "first_norm")
        self._second = self._folded("second", "second_norm")

    def _folded(self, linear: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        t = self.tensors
        scale = t[f"{norm}.weight"] / np.sqrt(t[f"{norm}.running_var"] + self.EPS)
        shift = (t[f"{linear}.bias"] - t[f"{norm}.running_mean"]) * scale + t[f"{norm}.bias"]
        return np.ascontiguousarray(t[f"{linear}.weight"].T * scale), shift

    @property
    def width(self) -> int:
        return int(self._first[0].shape[0])

    def project(self, features: Features) -> NDArray[np.float32]:
        hidden = np.maximum(features @ self._first[0] + self._first[1], 0)
        return unit(hidden @ self._second[0] + self._second[1])


@dataclass(frozen=True, slots=True)
class LayerParameters:
    """One row of the parameter table."""

    layer: str
    shape: str
    trainable: int
    fixed: int


def parameter_table(encoder: EncoderSpec, words_width: int) -> list[LayerParameters]:
    """The frozen encoder and the head on it; running means and variances count as not trainable."""
    width = encoder.width
    return [
        LayerParameters(encoder.name, f"up to the {encoder.layer}", 0, encoder.parameters),
        LayerParameters("Linear", f"{width} -> {HIDDEN}", width * HIDDEN + HIDDEN, 0),
        LayerParameters("BatchNorm", f"{HIDDEN}", 2 * HIDDEN, 2 * HIDDEN),
        LayerParameters("ReLU, Dropout", f"{HIDDEN}", 0, 0),
        LayerParameters("Linear", f"{HIDDEN} -> {words_width}", HIDDEN * words_width + words_width, 0),
        LayerParameters("BatchNorm", f"{words_width}", 2 * words_width, 2 * words_width),
    ]
