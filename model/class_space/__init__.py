"""The space of classes: what a picture shows as probabilities of classes, what a question means as weights on them.

It must not know stores, nor how a text space embeds.
"""

from model.class_space.evidence import NEIGHBOURS, smoothed, sparse
from model.class_space.prepared import class_space_dir, has_class_space, open_class_space, prepare_class_space
from model.class_space.question import QuestionWeights, strongest

__all__ = [
    "NEIGHBOURS",
    "QuestionWeights",
    "class_space_dir",
    "has_class_space",
    "open_class_space",
    "prepare_class_space",
    "smoothed",
    "sparse",
    "strongest",
]
