"""The best recipe's projection: the trained labels beside the encoder's own classes.

It must not know how it is trained (`model.projections.training.best`), nor how a file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections.base import HASH_DIGITS, Header, TagEvidence, Tensors, Vector, softmax, unit
from model.projections.conse import ConseProjection

MIN_LABEL_WEIGHT = 0.3
"""The labels' least share of a vector: enough to rank them among each other, too little to hide other things."""

LABEL_LOGIT_BIAS = 1.5
"""Added to the calibrated log-odds where pictures are searched: in doubt, for the labels."""

TEMPERATURE = 3.0
"""Divides the labels' logits, so that the second guess is in the vector too."""

FOLDS = 4

NAMED_ARCHIVE = 0.75
"""From this share of the pictures on, under labels with which the encoder agrees, an archive is named after what it
shows. Counting each label by itself there cost test hit@2 1.3 points (97.3 for 98.6), all of it where the encoder has
no class: garfield, snoopy, ant."""

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
    that a picture shows a trained label. Files since format 4 also have ``fold_rows`` (folds, labels, width) and
    ``fold_bias`` (folds, labels): the same fitted without the pictures of one fold each (`fold_of`). For a text space
    that questions classes (`model.class_space`): ``label_classes`` (labels, 1000), what the labels' words mean there.

    A label's share is what its words earned (`LabelTrust`).
    """

    kind = "best"

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        shape = (len(header.labels), tensors["classes"].shape[1])
        if not tensors["labels"].shape == tensors["directions"].shape == shape:
            raise ValueError("tensors that do not fit together")
        folds = tensors.get("fold_rows", tensors["rows"][None])
        if folds.shape[1:] != tensors["rows"].shape or len(folds) not in (1, FOLDS):
            raise ValueError("tensors that do not fit together")
        if not len(tensors["rows"]) == len(tensors["row_bias"]) == len(header.label_phrases) == shape[0]:
            raise ValueError("tensors that do not fit together")
        self._of_words, self._of_tag = _shares(header)
        if not (np.isfinite(tensors["labels"]).all() and np.isfinite(tensors["directions"]).all()):
            raise ValueError("numbers that are not finite")

    def project(self, features: Features) -> NDArray[np.float32]:
        classes, labels = self.logits(features), self.label_logits(features)
        share = MIN_LABEL_WEIGHT + (1 - MIN_LABEL_WEIGHT) * _sigmoid(self._log_odds(classes, labels) + LABEL_LOGIT_BIAS)
        trusted = np.asarray(softmax(labels / TEMPERATURE) * self._of_words, np.float32)
        share = share * trusted.sum(axis=1)
        through_labels = unit(trusted @ self.tensors["directions"])
        return unit(share[:, None] * through_labels + (1 - share[:, None]) * self.through_classes(classes))

    def label_logits(self, features: Features) -> NDArray[np.float32]:
        """(n, labels)."""
        return np.asarray(sqrt_features(features) @ self.tensors["rows"].T + self.tensors["row_bias"], np.float32)

    def _log_odds(self, classes: NDArray[np.float32], labels: NDArray[np.float32]) -> NDArray[np.float32]:
        slope, offset = self.tensors["gate"]
        return np.asarray(slope * margin(labels, classes) + offset, np.float32)

    def tag_evidence(self, features: Features) -> TagEvidence:
        classes, labels = self.logits(features[None]), self.label_logits(features[None])
        probable = softmax(labels)[0]
        share = _sigmoid(self._log_odds(classes, labels))[0]
        trusted = share * float(probable @ self._of_words)
        of_words = np.asarray(probable * self._of_words, np.float32)
        through_labels = unit(of_words[None] @ self.tensors["labels"])[0]
        vector = unit((trusted * through_labels + (1 - trusted) * self.through_classes(classes)[0])[None])[0]
        named = self.named((1 - trusted) * softmax(classes)[0])
        for word, probability in zip(
            self.header.label_phrases, (share * probable * self._of_tag).tolist(), strict=True
        ):
            named[word] = min(1.0, named.get(word, 0.0) + probability)
        return TagEvidence(vector, named)

    @cached_property
    def learnt(self) -> Mapping[str, Vector]:
        trusted = zip(self.header.label_phrases, self.tensors["directions"], self._of_words, strict=True)
        return {phrase: direction for phrase, direction, trust in trusted if trust > 0}

    def label_probabilities(
        self, features: Features, classes: NDArray[np.float32], folds: Sequence[int | None]
    ) -> NDArray[np.float32]:
        """(n, labels), in one softmax with the encoder's classes, of features (n, width).

        Args:
            classes: their logits (n, 1000).
            folds: of each picture the one that its own label may have trained (`fold_of`): the rows asked have not
                seen it. None for pictures that no label trained.
        """
        roots, logits = sqrt_features(features), self.label_logits(features)
        if "fold_rows" in self.tensors:
            for fold, (rows, bias) in enumerate(zip(self.tensors["fold_rows"], self.tensors["fold_bias"], strict=True)):
                own = [row for row, of in enumerate(folds) if of == fold]
                logits[own] = roots[own] @ rows.T + bias
        return beside_classes(logits, log_sum(classes))


def _shares(header: Header) -> tuple[Vector, Vector]:
    """(labels,) each: how far the labels say what their pictures show, and how far they are tags for them.

    In an archive that is named after what it shows, a label that the encoder was never shown is believed like the
    others; in any other each label counts as far as it earned that itself.
    """
    trusts = header.label_trusts()
    agreeing = sum(count for count, trust in zip(header.labels.values(), trusts, strict=True) if trust.agreement > 0)
    if agreeing >= NAMED_ARCHIVE * sum(header.labels.values()):
        return np.ones(len(trusts), np.float32), np.ones(len(trusts), np.float32)
    of_words, of_tag = [trust.of_words for trust in trusts], [trust.of_tag for trust in trusts]
    return np.array(of_words, np.float32), np.array(of_tag, np.float32)


def fold_of(sha256: str) -> int:
    """In which of `FOLDS` parts a picture of that content is, hex: the same in every training and afterwards."""
    return int(sha256[:HASH_DIGITS], 16) % FOLDS


def sqrt_features(features: Features) -> Features:
    """Square roots (n, width), so that few large numbers do not outweigh many small ones; below 0 counts as 0."""
    return np.sqrt(np.maximum(features, 0))


def beside_classes(labels: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, labels), in one softmax with the classes: from the labels' logits, and the classes' `log_sum` (n,)."""
    return softmax(np.concatenate([labels, others[:, None]], axis=1))[:, :-1]


def margin(labels: NDArray[np.float32], classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) log-odds, not yet calibrated, of any label against any class, from logits (n, labels) and (n, 1000)."""
    return log_sum(labels) - log_sum(classes)


def decorrelate(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors (n, width) made more unlike each other, each still nearest to itself.

    Ridge regression in its dual form: a vector in word space whose cosines to the labels' words come nearest
    to 1 for its own label and 0 for the others.
    """
    return unit(np.linalg.solve(labels @ labels.T + RIDGE * np.eye(len(labels), dtype=np.float32), labels))


def log_sum(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) the logarithm of the sum of the exponentials of each row."""
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), np.float32)


def _sigmoid(odds: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)), np.float32)
