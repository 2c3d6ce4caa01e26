"""Training a projection on labelled features: recipes, what is held back, the figures.

The fits themselves (`best`, `document`) import torch, and are imported where they are called."""

from model.projections.training.folder import StoredVectors, check_held_out, encode, train_folder
from model.projections.training.held_back import duplicate_groups, split
from model.projections.training.lesson import (
    RECIPES,
    TRAINED,
    AnyRecipe,
    Labelled,
    learnable_labels,
    need_learnable,
    recipe_of,
    train,
)

__all__ = [
    "RECIPES",
    "TRAINED",
    "AnyRecipe",
    "Labelled",
    "StoredVectors",
    "check_held_out",
    "duplicate_groups",
    "encode",
    "learnable_labels",
    "need_learnable",
    "recipe_of",
    "split",
    "train",
    "train_folder",
]
