"""The space of classes: what a picture shows as probabilities of classes, what a question means as weights on them.

It must not know stores, nor how a text space embeds.
"""

from model.class_space.evidence import NEIGHBOURS, believed, neighbour_shares, smoothed, sparse
from model.class_space.labels import EXACT, LabelClasses, spaced
from model.class_space.nouns import Nouns, NounTree
from model.class_space.prepared import (
    class_space_dir,
    has_class_space,
    open_class_space,
    prepare_class_space,
    shipped_nouns,
)
from model.class_space.question import QuestionWeights, strongest
from model.class_space.tags import USUAL_RANK, TagTable, meant, probability

__all__ = [
    "EXACT",
    "NEIGHBOURS",
    "USUAL_RANK",
    "LabelClasses",
    "NounTree",
    "Nouns",
    "QuestionWeights",
    "TagTable",
    "believed",
    "class_space_dir",
    "has_class_space",
    "meant",
    "neighbour_shares",
    "open_class_space",
    "prepare_class_space",
    "probability",
    "shipped_nouns",
    "smoothed",
    "spaced",
    "sparse",
    "strongest",
]
