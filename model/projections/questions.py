"""What words mean among the encoder's classes, made ready on first need: `model.class_space` with the classes' names.

It must not know how a question is weighed.
"""

from __future__ import annotations

from pathlib import Path

from model.class_space import (
    LabelClasses,
    QuestionWeights,
    has_class_space,
    open_class_space,
    prepare_class_space,
    shipped_nouns,
)
from model.projections.base import Projection
from model.projections.best import BestProjection
from model.projections.classes import imagenet_classes
from model.words import TextSpace


def prepare_classes(words: TextSpace) -> Path:
    """Make the class space of a text space ready where it is not; returns its folder.

    Raises:
        CacheError, DiskFull: the cache cannot take it.
    """
    return prepare_class_space(words, tuple(named.name for named in imagenet_classes()))


def prepared_questions(words: TextSpace) -> QuestionWeights | None:
    """The class space of a text space, None where it has none.

    Raises:
        CacheError, DiskFull: the cache cannot take it. WeightsError: a file of it is broken.
    """
    return open_class_space(prepare_classes(words)) if has_class_space(words.name) else None


def label_classes_of(projection: Projection) -> LabelClasses | None:
    """The labels of a projection that was trained on some where words are answered by classes; else None."""
    if not isinstance(projection, BestProjection) or "label_classes" not in projection.tensors:
        return None
    header = projection.header
    agreement = [trust.agreement for trust in header.label_trusts()]
    return LabelClasses.build(header.label_phrases, agreement, projection.tensors["label_classes"], shipped_nouns())
