"""ConSE: word space reached through the encoder's own classes, without training.

It must not know trained labels, nor how a file is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.encoders import Classifier, Features, require_classes
from model.projections.base import Header, Projection, TagEvidence, Tensors, softmax, unit
from model.projections.classes import ClassName, class_vectors, imagenet_classes
from model.words import TextSpace

CONSE_TOP = 10
"""The most probable classes, whose words are summed: T = 10 in Norouzi et al. 2013."""

RELATED_SHARE = 0.3
"""The weight of all classes together beside the ten: what a picture is like where no class is probable."""

RIDGE = 3.0
"""Of the regression from the classes' rows to their words: chosen on labels that were never trained on."""

NAMED_FROM = 0.01
"""Less probable classes are not named as tags."""


class ConseProjection(Projection):
    """The word vectors of the most probable ImageNet classes, weighted by their probabilities.

    Beside Norouzi et al. 2013, a ridge regression from the rows of the encoder's last layer, taken as pictures
    of their classes, to the classes' words: it makes use of all 1000 classes.

    Tensors: ``weight`` (1000, width) and ``bias`` (1000,), the encoder's last layer; ``classes``
    (1000, words' width), the class names' unit vectors, zero where no word of a name is known; ``related``
    (1000, words' width), the regression in its dual form.
    """

    kind = "conse"

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        with np.errstate(over="ignore"):
            self._lengths = np.maximum(np.linalg.norm(tensors["weight"], axis=1), 1e-12)
        if not np.isfinite(self._lengths).all():
            raise ValueError("numbers that are not finite, or too large")
        self._unnamed = ~tensors["classes"].any(axis=1)
        if tensors["related"].shape != tensors["classes"].shape:
            raise ValueError("tensors that do not fit together")
        if len(header.class_tags) not in (0, len(tensors["classes"])):
            raise ValueError("class names that are not of these classes")

    @property
    def width(self) -> int:
        return int(self.tensors["weight"].shape[1])

    def project(self, features: Features) -> NDArray[np.float32]:
        return self.through_classes(self.logits(features))

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(n, 1000), of the encoder's own classes."""
        return np.asarray(features @ self.tensors["weight"].T + self.tensors["bias"], np.float32)

    def through_classes(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors (n, words' width) from the logits (n, 1000) of the classes."""
        named = np.where(self._unnamed, -np.inf, logits)
        top = np.argpartition(-named, min(CONSE_TOP, named.shape[1] - 1), axis=1)[:, :CONSE_TOP]
        odds = softmax(np.take_along_axis(named, top, axis=1))
        likely = unit(np.einsum("nk,nkd->nd", odds, self.tensors["classes"][top]))
        related = unit((logits - self.tensors["bias"]) / self._lengths @ self.tensors["related"])
        return unit(likely + RELATED_SHARE * related)

    def tag_evidence(self, features: Features) -> TagEvidence:
        logits = self.logits(features[None])
        return TagEvidence(self.through_classes(logits)[0], self.named(softmax(logits)[0]))

    def named(self, probabilities: NDArray[np.float32]) -> dict[str, float]:
        """Words to the probability (at most 1) of the classes that they name, from (1000,)."""
        named: dict[str, float] = {}
        for row in np.flatnonzero(probabilities >= NAMED_FROM).tolist():
            for word in self.header.class_tags[row] if self.header.class_tags else ():
                named[word] = min(1.0, named.get(word, 0.0) + float(probabilities[row]))
        return named

    @classmethod
    def build(
        cls, classifier: Classifier | None, header: Header, words: TextSpace, classes: Sequence[ClassName] | None = None
    ) -> ConseProjection:
        """Take the class names' vectors from ``words``.

        Raises:
            UsageError: there is no classifier, so no classes.
        """
        classifier = require_classes(header.encoder, classifier)
        classes = imagenet_classes() if classes is None else classes
        tensors = class_tensors(classifier, class_vectors(classes, words))
        return cls(replace(header, kind=cls.kind, class_tags=[named.tags for named in classes]), tensors)


def class_tensors(classifier: Classifier, vectors: NDArray[np.float32]) -> Tensors:
    """The tensors of `ConseProjection` from ``vectors`` (1000, words' width), the class names'."""
    named = vectors.any(axis=1)
    rows = unit(classifier.weight[named])
    related = np.zeros_like(vectors)
    related[named] = np.linalg.solve(rows @ rows.T + RIDGE * np.eye(len(rows), dtype=np.float32), vectors[named])
    return {"weight": classifier.weight, "bias": classifier.bias, "classes": vectors, "related": related}
