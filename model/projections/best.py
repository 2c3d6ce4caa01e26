"""The best recipe's projection: the trained labels beside the encoder's own classes.

It must not know how it is trained (`model.projections.training.best`), nor how a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections.base import Header, TagEvidence, Tensors, Vector, softmax, unit
from model.projections.conse import ConseProjection

MIN_LABEL_WEIGHT = 0.3
"""The labels' least share of a vector: enough to rank them among each other, too little to hide other things."""

LABEL_LOGIT_BIAS = 1.5
"""Added to the calibrated log-odds where pictures are searched: in doubt, for the labels."""

TEMPERATURE = 3.0
"""Divides the labels' logits, so that the second guess is in the vector too."""

RIDGE = 0.5
"""Of `decorrelate`: with 0, the labels' directions would be at right angles, however alike their words."""


class BestProjection(ConseProjection):
    """A weighted sum of the trained labels' directions and of ConSE's vector.

    The weight is the probability that the picture shows a trained label. It comes from one softmax over the labels
    and the encoder's 1000 classes, and was calibrated on labels left out of the training
    (`model.projections.training.best`).

    Tensors, beside those of `ConseProjection`: ``rows`` (labels, width) and ``row_bias`` (labels,) on the square roots
    of the features; ``labels`` (labels, words' width), the labels' unit word vectors; ``directions``
    (labels, words' width), these made more unlike each other; ``gate`` (2,), slope and offset of the log-odds
    that a picture shows a trained label.
    """

    kind = "best"

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        shape = (len(header.labels), tensors["classes"].shape[1])
        if not tensors["labels"].shape == tensors["directions"].shape == shape:
            raise ValueError("tensors that do not fit together")
        if not len(tensors["rows"]) == len(tensors["row_bias"]) == len(header.label_phrases) == shape[0]:
            raise ValueError("tensors that do not fit together")
        if not (np.isfinite(tensors["labels"]).all() and np.isfinite(tensors["directions"]).all()):
            raise ValueError("numbers that are not finite")

    def project(self, features: Features) -> NDArray[np.float32]:
        classes, labels = self.logits(features), self.label_logits(features)
        share = MIN_LABEL_WEIGHT + (1 - MIN_LABEL_WEIGHT) * _sigmoid(self._log_odds(classes, labels) + LABEL_LOGIT_BIAS)
        through_labels = unit(softmax(labels / TEMPERATURE) @ self.tensors["directions"])
        return unit(share[:, None] * through_labels + (1 - share[:, None]) * self.through_classes(classes))

    def label_logits(self, features: Features) -> NDArray[np.float32]:
        """(n, labels)."""
        return np.asarray(sqrt_features(features) @ self.tensors["rows"].T + self.tensors["row_bias"], np.float32)

    def _log_odds(self, classes: NDArray[np.float32], labels: NDArray[np.float32]) -> NDArray[np.float32]:
        slope, offset = self.tensors["gate"]
        return np.asarray(slope * margin(labels, classes) + offset, np.float32)

    def tag_evidence(self, features: Features) -> TagEvidence:
        classes, labels = self.logits(features[None]), self.label_logits(features[None])
        share = _sigmoid(self._log_odds(classes, labels))[0]
        probable = softmax(labels)[0]
        through_labels = unit((probable @ self.tensors["labels"])[None])[0]
        vector = unit((share * through_labels + (1 - share) * self.through_classes(classes)[0])[None])[0]
        named = self.named((1 - share) * softmax(classes)[0])
        for word, probability in zip(self.header.label_phrases, (share * probable).tolist(), strict=True):
            named[word] = min(1.0, named.get(word, 0.0) + probability)
        return TagEvidence(vector, named)

    @cached_property
    def learnt(self) -> Mapping[str, Vector]:
        return dict(zip(self.header.label_phrases, self.tensors["directions"], strict=True))


def sqrt_features(features: Features) -> Features:
    """Square roots (n, width), so that few large numbers do not outweigh many small ones; below 0 counts as 0."""
    return np.sqrt(np.maximum(features, 0))


def margin(labels: NDArray[np.float32], classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) log-odds, not yet calibrated, of any label against any class, from logits (n, labels) and (n, 1000)."""
    return _log_sum(labels) - _log_sum(classes)


def decorrelate(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors (n, width) made more unlike each other, each still nearest to itself.

    Ridge regression in its dual form: a vector in word space whose cosines to the labels' words come nearest
    to 1 for its own label and 0 for the others.
    """
    return unit(np.linalg.solve(labels @ labels.T + RIDGE * np.eye(len(labels), dtype=np.float32), labels))


def _log_sum(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), np.float32)


def _sigmoid(odds: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)), np.float32)
