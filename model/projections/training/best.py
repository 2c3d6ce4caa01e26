"""The best recipe's fit: the trained labels beside the encoder's own classes. Imports torch.

It must not know words, pictures or what is held back: only features, labels by number, and logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders import Classifier, Features
from model.projections import FOLDS, Tensors, beside_classes, log_sum, sqrt_features
from model.projections.training.hits import hit_percent, ranks
from model.projections.training.recipes import BestRecipe

CALIBRATION_SHARE = 0.25
"""Of the pictures of the labels that are not left out: not trained on, to show the margins of trained labels."""

NEWTON_STEPS = 30
PRIOR = 1e-3
"""Added to the diagonal of the calibration's curvature: the gate stays finite where the margins separate perfectly."""


@dataclass(frozen=True)
class LabelClassifier:
    """Softmax regression on the square roots of the features, and its last loss.

    ``weight`` (labels, width), ``bias`` (labels,).
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    loss: float

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(n, labels)."""
        return np.asarray(sqrt_features(features) @ self.weight.T + self.bias, np.float32)

    def hit_percent(self, features: Features, labels: NDArray[np.int64], k: int) -> float:
        """The share of pictures, in percent, with their label among the ``k`` most probable ones."""
        return hit_percent(ranks(self.logits(features), labels), k)


OnEvaluation = Callable[[float, LabelClassifier], None]


def fit_labels(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    classifier: Classifier,
    recipe: BestRecipe,
    *,
    on_step: Callable[[float], None] = lambda _loss: None,
    on_evaluation: OnEvaluation = lambda _loss, _fitted: None,
) -> Tensors:
    """A classifier of ``count`` labels, and the gate that says when a picture shows one of them.

    Args:
        features: (n, width), not normalised. labels: (n,) below ``count``.
        on_step: called after each of ``recipe.steps(count)`` fits with the loss.
        on_evaluation: called at each evaluation of the first fit with the loss and the classifier as it is.

    Returns:
        ``rows``, ``row_bias`` and ``gate`` of `model.projections.BestProjection`; the same on the same machine each
        time.
    """
    others = log_sum(classifier.logits(features))
    whole = _fit(features, labels, count, others, recipe, on_evaluation)
    on_step(whole.loss)
    margins, is_trained = _left_out_margins(features, labels, count, others, recipe, on_step)
    return {"rows": whole.weight, "row_bias": whole.bias, "gate": _calibrate(margins, is_trained)}


@dataclass(frozen=True)
class CrossValidated:
    """``said`` (n, labels): probabilities by rows that never saw the picture. ``fold_rows`` (folds, labels, width) and
    ``fold_bias`` (folds, labels): these rows."""

    said: NDArray[np.float32]
    fold_rows: NDArray[np.float32]
    fold_bias: NDArray[np.float32]


def cross_validate(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    folds: NDArray[np.int64],
    classifier: Classifier,
    recipe: BestRecipe,
    *,
    on_step: Callable[[float], None] = lambda _loss: None,
) -> CrossValidated:
    """Fit without each fold in turn, and ask the fit about that fold.

    Args:
        features, labels, count: as of `fit_labels`. folds: (n,) below `FOLDS`.
        on_step: called after each fit with the loss.
    """
    others = log_sum(classifier.logits(features))
    said = np.zeros((len(labels), count), np.float32)
    fits = []
    for fold in range(FOLDS):
        is_left_out = folds == fold
        rows = ~is_left_out
        fitted = _fit(features[rows], labels[rows], count, others[rows], recipe)
        on_step(fitted.loss)
        said[is_left_out] = beside_classes(fitted.logits(features[is_left_out]), others[is_left_out])
        fits.append(fitted)
    return CrossValidated(said, np.stack([fit.weight for fit in fits]), np.stack([fit.bias for fit in fits]))


def _left_out_margins(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    others: NDArray[np.float32],
    recipe: BestRecipe,
    on_step: Callable[[float], None],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Margins of pictures that no fit has seen, and whether their label was trained (1) or left out (0).

    The gate is calibrated on what it is for: the labels are put into groups, and with each group left out of the
    training in turn, its pictures are the ones that show no trained label.
    """
    rng = np.random.default_rng(recipe.seed)
    group = rng.permutation(count) % recipe.groups(count)
    is_spared = rng.random(len(labels)) < CALIBRATION_SHARE
    margins: list[NDArray[np.float32]] = []
    trained: list[NDArray[np.float64]] = []
    for left_out in range(recipe.groups(count)):
        is_kept = group[labels] != left_out
        kept = np.flatnonzero(group != left_out)
        rows = is_kept & ~is_spared
        fitted = _fit(features[rows], np.searchsorted(kept, labels[rows]), len(kept), others[rows], recipe)
        on_step(fitted.loss)
        for of, is_trained in ((is_kept & is_spared, 1.0), (~is_kept, 0.0)):
            margins.append(log_sum(fitted.logits(features[of])) - others[of])
            trained.append(np.full(int(of.sum()), is_trained))
    return np.concatenate(margins), np.concatenate(trained)


def _fit(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    others: NDArray[np.float32],
    recipe: BestRecipe,
    on_evaluation: OnEvaluation = lambda _loss, _fitted: None,
) -> LabelClassifier:
    """Softmax regression over the labels beside the classes, whose logits stay as they are: it is convex.

    Args:
        others: (n,) `log_sum` of the classes' logits: all of them that a softmax sees.
    """
    pictures, classes = torch.from_numpy(sqrt_features(features)), torch.from_numpy(others)[:, None]
    wanted = torch.from_numpy(labels.astype(np.int64))
    weight = torch.zeros(count, features.shape[1], requires_grad=True)
    bias = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=recipe.iterations, history_size=10, line_search_fn="strong_wolfe"
    )

    def cross_entropy() -> torch.Tensor:
        return nn.functional.cross_entropy(torch.cat([pictures @ weight.T + bias, classes], dim=1), wanted)

    def as_it_is(loss: float) -> LabelClassifier:
        return LabelClassifier(weight.detach().numpy(), bias.detach().numpy(), loss)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = cross_entropy()
        on_evaluation(loss.item(), as_it_is(loss.item()))
        loss = loss + recipe.decay * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return as_it_is(float(cross_entropy()))


def _calibrate(margins: NDArray[np.float32], trained: NDArray[np.float64]) -> NDArray[np.float32]:
    """Slope and offset (2,) of a logistic regression, both sides weighing the same, by Newton's method (Platt 1999)."""
    inputs = np.stack([margins.astype(np.float64), np.ones(len(margins))], axis=1)
    share = max(float(trained.mean()), PRIOR)
    weights = np.where(trained > 0, 0.5 / share, 0.5 / max(1 - share, PRIOR))
    gate = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        odds = 0.5 * (1 + np.tanh(inputs @ gate / 2))
        slope = inputs.T @ (weights * (odds - trained)) + PRIOR * gate
        curve = (inputs * (weights * odds * (1 - odds))[:, None]).T @ inputs + PRIOR * np.eye(2)
        gate -= np.linalg.solve(curve, slope)
    return gate.astype(np.float32)
