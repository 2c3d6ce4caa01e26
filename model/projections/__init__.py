"""From an encoder's features into a text space, and words back out of it.

`ConseProjection` needs no training; `BestProjection` and `DocumentProjection` are trained, each by the recipe of its
name (`model.projections.training`); `IdentityProjection` is for an encoder with a text space of its own. All are numpy
at inference, and give unit vectors. It must not know where vectors are kept."""

from model.projections.base import HASH_DIGITS, Header, LabelTrust, Projection, TagEvidence, Tensors, softmax, unit
from model.projections.best import (
    FOLDS,
    BestProjection,
    beside_classes,
    decorrelate,
    fold_of,
    log_sum,
    sqrt_features,
)
from model.projections.classes import imagenet_classes
from model.projections.conse import ConseProjection
from model.projections.document import HIDDEN, DocumentProjection, parameter_table
from model.projections.identity import IdentityProjection
from model.projections.io import KINDS, is_projection_file, load_chosen, load_projection, read_projection
from model.projections.migration import RENAMED_KINDS
from model.projections.questions import label_classes_of, prepare_classes, prepared_questions
from model.projections.tagging import (
    TAG_DEPTH,
    Tag,
    best_first,
    known_vectors,
    label_vectors,
    ranked,
    read_vocabulary,
    without_crude,
)

__all__ = [
    "FOLDS",
    "HASH_DIGITS",
    "HIDDEN",
    "KINDS",
    "RENAMED_KINDS",
    "TAG_DEPTH",
    "BestProjection",
    "ConseProjection",
    "DocumentProjection",
    "Header",
    "IdentityProjection",
    "LabelTrust",
    "Projection",
    "Tag",
    "TagEvidence",
    "Tensors",
    "beside_classes",
    "best_first",
    "decorrelate",
    "fold_of",
    "imagenet_classes",
    "is_projection_file",
    "known_vectors",
    "label_classes_of",
    "label_vectors",
    "load_chosen",
    "load_projection",
    "log_sum",
    "parameter_table",
    "prepare_classes",
    "prepared_questions",
    "ranked",
    "read_projection",
    "read_vocabulary",
    "softmax",
    "sqrt_features",
    "unit",
    "without_crude",
]
