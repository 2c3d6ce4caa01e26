"""Teaching trained labels to stand beside the encoder's own classes. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders import Classifier, Features
from model.projections import Tensors, margin, sqrt_features
from model.projections.training.lesson import BestRecipe

HELD_PICTURES = 0.25
"""Of the labels that stay, this share of pictures shows how sure to be of a label that was trained."""

NEWTON_STEPS = 30
PRIOR = 1e-3


@dataclass(frozen=True)
class Rows:
    """``weight`` (labels, width) and ``bias`` (labels,) on the square roots of the features; the last loss."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    loss: float

    def logits(self, features: Features) -> NDArray[np.float32]:
        return np.asarray(sqrt_features(features) @ self.weight.T + self.bias, np.float32)

    def hit(self, features: Features, labels: NDArray[np.int64], k: int) -> float:
        """The share of pictures, in percent, with their label among the ``k`` most probable ones."""
        logits = self.logits(features)
        own = np.take_along_axis(logits, labels[:, None], axis=1)
        return round(float(((logits > own).sum(axis=1) < k).mean()) * 100, 1)


Watch = Callable[[float, Rows], None]


def fit_labels(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    classifier: Classifier,
    recipe: BestRecipe,
    told: Callable[[float], None] = lambda _loss: None,
    watch: Watch = lambda _loss, _rows: None,
) -> Tensors:
    """Rows for ``count`` labels, and the gate that says when they speak.

    The gate is calibrated on what it is for: the labels are put into groups, and with each group left out of
    the training in turn, its pictures are the ones that show no trained label.

    Args:
        features: (n, width), not normalised. labels: (n,) below ``count``.
        told: called after each of ``recipe.steps(count)`` fits with the loss.
        watch: called at each evaluation of the first of them with the loss and the rows as they are.

    Returns:
        ``rows``, ``row_bias`` and ``gate`` of `model.projections.best.Joint`; the same on the same machine each time.
    """
    logits = classifier.logits(features)
    whole = _fit(features, labels, count, logits, recipe, watch)
    told(whole.loss)
    rng = np.random.default_rng(recipe.seed)
    group = rng.permutation(count) % recipe.groups(count)
    held = rng.random(len(labels)) < HELD_PICTURES
    margins: list[NDArray[np.float32]] = []
    trained: list[NDArray[np.float64]] = []
    for left_out in range(recipe.groups(count)):
        is_kept = group[labels] != left_out
        kept = np.flatnonzero(group != left_out)
        rows = is_kept & ~held
        fitted = _fit(features[rows], np.searchsorted(kept, labels[rows]), len(kept), logits[rows], recipe)
        told(fitted.loss)
        for of, known in ((is_kept & held, 1.0), (~is_kept, 0.0)):
            margins.append(margin(fitted.logits(features[of]), logits[of]))
            trained.append(np.full(int(of.sum()), known))
    gate = _calibrate(np.concatenate(margins), np.concatenate(trained))
    return {"rows": whole.weight, "row_bias": whole.bias, "gate": gate}


def _fit(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    logits: NDArray[np.float32],
    recipe: BestRecipe,
    watch: Watch = lambda _loss, _rows: None,
) -> Rows:
    """Softmax regression over the labels and the classes; the classes' logits stay as they are (convex)."""
    pictures, others = torch.from_numpy(sqrt_features(features)), torch.from_numpy(logits)
    wanted = torch.from_numpy(labels.astype(np.int64))
    weight = torch.zeros(count, features.shape[1], requires_grad=True)
    bias = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=recipe.iterations, history_size=10, line_search_fn="strong_wolfe"
    )

    def fitting() -> torch.Tensor:
        return nn.functional.cross_entropy(torch.cat([pictures @ weight.T + bias, others], dim=1), wanted)

    def rows(loss: float) -> Rows:
        return Rows(weight.detach().numpy(), bias.detach().numpy(), loss)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = fitting()
        watch(loss.item(), rows(loss.item()))
        loss = loss + recipe.decay * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return rows(float(fitting()))


def _calibrate(margins: NDArray[np.float32], trained: NDArray[np.float64]) -> NDArray[np.float32]:
    """Slope and offset of a logistic regression, both sides weighing the same, by Newton's method (Platt 1999)."""
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
