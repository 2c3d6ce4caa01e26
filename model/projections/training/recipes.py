"""The recipes that train a projection: their settings, and choosing one by name.

A recipe has the name of the kind of projection that it trains. It must not know how the training goes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from model.errors import UsageError
from model.projections import FOLDS, BestProjection, DocumentProjection


@dataclass(frozen=True, slots=True)
class DocumentRecipe:
    """The document's: a head of 2000 hidden units, cosine loss, SGD; and a batch size at which 60 epochs take seconds.

    ``patience``: epochs without a lower loss on a tenth of the training pictures after which to stop early, and
    keep the best epoch; 0 runs all epochs on all pictures.
    """

    name: ClassVar[str] = DocumentProjection.kind
    unit: ClassVar[str] = "epochs"
    epochs: int = 60
    learning_rate: float = 0.01
    momentum: float = 0.9
    dropout: float = 0.5
    batch_size: int = 64
    patience: int = 0
    test_share: float = 0.2
    seed: int = 0

    def steps(self, labels: int) -> int:  # noqa: ARG002 - as many for any number of labels
        """How many ``unit`` a training on so many labels takes at most."""
        return self.epochs


@dataclass(frozen=True, slots=True)
class BestRecipe:
    """Softmax regression of the labels beside the encoder's classes, by L-BFGS until it converges."""

    name: ClassVar[str] = BestProjection.kind
    unit: ClassVar[str] = "fits"
    iterations: int = 60
    decay: float = 1e-5
    most_groups: int = 4
    test_share: float = 0.2
    seed: int = 0

    def groups(self, labels: int) -> int:
        """How many groups of labels are left out in turn to calibrate the gate."""
        return min(self.most_groups, labels)

    def steps(self, labels: int) -> int:
        """How many ``unit`` a training on so many labels takes at most: each fold once, and again without the labels
        that are not worth it."""
        return 2 * FOLDS + 1 + self.groups(labels)


Recipe = BestRecipe | DocumentRecipe

RECIPES: dict[str, type[BestRecipe] | type[DocumentRecipe]] = {
    recipe.name: recipe for recipe in (BestRecipe, DocumentRecipe)
}
"""By name, which is the kind of projection that it trains."""


def recipe_of(name: str, **chosen: Any) -> Recipe:
    """The recipe of that name; ``chosen`` fields that are None keep their defaults.

    Raises:
        UsageError: there is none of that name, or it has no such field.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}: there are {', '.join(RECIPES)}")
    given = {field: value for field, value in chosen.items() if value is not None}
    unknown = given.keys() - {field.name for field in fields(RECIPES[name])}
    if unknown:
        raise UsageError(f"the recipe {name!r} has no {', '.join(sorted(unknown))}: add --recipe document")
    return RECIPES[name](**given)
