"""What an encoder is: the facts of one set of weights, running it, its classes. It must not know torch or ONNX Runtime.

An encoder turns framed pictures into feature vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError
from model.pictures import Framing
from model.system.download import RemoteFile
from model.system.packages import PackageFile

Features = NDArray[np.float32]
"""(n, width) float32, as the network gives them: not normalised."""

CLASSES = 1000
"""ImageNet's classes (ILSVRC 2012), of which a classifier gives a logit each."""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What belongs to one set of weights; none of this is written anywhere else.

    Args:
        width: numbers in a feature vector.
        parameters: numbers in the network up to ``layer``, running means and variances included.
        framing: how a picture becomes the network's input.
        weights: where the published weights come from: an address, or a file in an installed package.
        gpu_batch: pictures encoded at once on CUDA.
        layer: what the features are, in words: "global average pool".
        classifier: the network's last layer, a Linear with a row for each of ImageNet's 1000 classes, as the
            state dict names it; empty for a network without one.
        text_space: the registered text space that lies in the same space as the features, as CLIP's two towers
            do: then no projection is needed. Empty for an encoder of pictures alone.
    """

    name: str
    width: int
    parameters: int
    framing: Framing
    weights: RemoteFile | PackageFile
    licence: str
    gpu_batch: int
    layer: str
    classifier: str = ""
    text_space: str = ""

    def framed_by(self, rule: str) -> EncoderSpec:
        """The same encoder, looking at pictures by another rule of `model.pictures.framing`; its own where empty.

        Raises:
            UsageError: there is no such rule.
        """
        return replace(self, framing=self.framing.by(rule)) if rule else self

    @property
    def sha256(self) -> str:
        """Of the published weights."""
        return self.weights.sha256


@dataclass(frozen=True)
class Classifier:
    """The network's last layer: ``weight`` (1000, width), ``bias`` (1000,), float32, and the class names."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    names: tuple[str, ...]

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(n, width) float32 to (n, 1000) float32."""
        return features @ self.weight.T + self.bias


class Encoder(Protocol):
    """Pictures in, feature vectors out.

    ``sha256``: of the weights. ``batch_size``: pictures best encoded at once. ``streams``: calls of `encode` that
    may run at once, each from a thread of its own.
    """

    spec: EncoderSpec
    sha256: str
    batch_size: int
    streams: int

    @property
    def classifier(self) -> Classifier | None:
        """The network's own last layer; None where it was trained without classes."""
        ...

    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        """(n, crop, crop, 3) uint8, framed, to (n, width) float32."""
        ...


def need_classifier(encoder: Encoder) -> Classifier:
    """The encoder's own last layer.

    Raises:
        UsageError: it has none.
    """
    return require_classes(encoder.spec.name, encoder.classifier)


def require_classes(name: str, classifier: Classifier | None) -> Classifier:
    """``classifier``, of the encoder of that name.

    Raises:
        UsageError: it is None.
    """
    if classifier is None:
        raise UsageError(
            f"{name} has no classes of its own, and ConSE and the recipe `best` read a picture by its classes: train "
            "the document's head with `model train FOLDER --recipe document` and pass it as --projection, or choose "
            "another --encoder"
        )
    return classifier


def class_names(encoder: Encoder) -> tuple[str, ...]:
    """The names of the encoder's classes; empty where it has none."""
    return encoder.classifier.names if encoder.classifier else ()


def check_pictures(pictures: NDArray[np.uint8], spec: EncoderSpec) -> None:
    """Raises ValueError unless ``pictures`` is (n, crop, crop, 3) uint8."""
    side = spec.framing.crop
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (side, side, 3):
        raise ValueError(f"{spec.name} takes (n, {side}, {side}, 3) uint8, got {pictures.shape} {pictures.dtype}")
