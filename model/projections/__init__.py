"""From an encoder's features into a text space, and words back out of it.

It must not know where vectors are kept. What trains a projection is `model.projections.training`."""

from model.projections.base import HASH_DIGITS, Header, Projection, TagEvidence, Tensors, unit
from model.projections.best import Joint, decorrelate, margin, sqrt_features
from model.projections.conse import Conse
from model.projections.document import HIDDEN, Devise, parameter_table
from model.projections.identity import Identity
from model.projections.io import KINDS, is_projection_file, load_projection, read_projection
from model.projections.tagging import TAG_DEPTH, Tag, known_vectors, label_vectors, ranked, read_vocabulary

__all__ = [
    "HASH_DIGITS",
    "HIDDEN",
    "KINDS",
    "TAG_DEPTH",
    "Conse",
    "Devise",
    "Header",
    "Identity",
    "Joint",
    "Projection",
    "Tag",
    "TagEvidence",
    "Tensors",
    "decorrelate",
    "is_projection_file",
    "known_vectors",
    "label_vectors",
    "load_projection",
    "margin",
    "parameter_table",
    "ranked",
    "read_projection",
    "read_vocabulary",
    "sqrt_features",
    "unit",
]
