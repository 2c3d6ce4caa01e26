"""Training a projection on labelled features: recipes, what is held back, the figures.

It must not know stores, nor judge projections. The fits themselves (`best`, `document`) import torch, and are imported
where they are called."""

from model.projections.training.folder import StoredVectors, check_held_out, encode, train_folder
from model.projections.training.held_back import duplicate_groups, split
from model.projections.training.hits import HIT_AT, ranks
from model.projections.training.learnable import learnable_labels, need_learnable
from model.projections.training.recipes import RECIPES, BestRecipe, DocumentRecipe, Recipe, recipe_of
from model.projections.training.splitting import Labelled
from model.projections.training.trainer import train

__all__ = [
    "HIT_AT",
    "RECIPES",
    "BestRecipe",
    "DocumentRecipe",
    "Labelled",
    "Recipe",
    "StoredVectors",
    "check_held_out",
    "duplicate_groups",
    "encode",
    "learnable_labels",
    "need_learnable",
    "ranks",
    "recipe_of",
    "split",
    "train",
    "train_folder",
]
