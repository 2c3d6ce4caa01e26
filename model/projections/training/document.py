"""The document recipe's fit: training the DeViSE head on features that were computed before. Imports torch.

It must not know words, pictures or what is held back: only features, labels by number, and target vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders import Features
from model.projections import HIDDEN, Tensors
from model.projections.training.hits import Project
from model.projections.training.recipes import DocumentRecipe


class Head(nn.Module):
    """Linear, BatchNorm, ReLU, Dropout, Linear, BatchNorm (Frome et al. 2013, as the document builds it)."""

    def __init__(self, width: int, words_width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(width, HIDDEN)
        self.first_norm = nn.BatchNorm1d(HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(HIDDEN, words_width)
        self.second_norm = nn.BatchNorm1d(words_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.dropout(torch.relu(self.first_norm(self.first(features))))
        projected: torch.Tensor = self.second_norm(self.second(hidden))
        return projected

    def project(self, features: Features) -> NDArray[np.float32]:
        """Unit vectors (n, words' width), by the parameters as they are now."""
        self.eval()
        with torch.no_grad():
            return np.asarray(nn.functional.normalize(self(torch.from_numpy(features))).numpy())


def train_head(
    features: Features,
    labels: NDArray[np.int64],
    targets: NDArray[np.float32],
    recipe: DocumentRecipe,
    on_step: Callable[[float, Project], None] = lambda _loss, _project: None,
) -> Tensors:
    """Teach a head to predict the word vector of each picture's label, by cosine.

    Args:
        features: (n, width). labels: (n,) rows of ``targets``. targets: (labels, words' width), unit.
        on_step: called after each epoch with the loss, and with the head as it is to project by.

    Returns:
        The head's parameters and running statistics; the same seed gives the same on the same machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        head = Head(features.shape[1], targets.shape[1], recipe.dropout)
        optimizer = torch.optim.SGD(
            head.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True, fused=True
        )
        pictures, wanted = torch.from_numpy(features), torch.from_numpy(targets[labels])
        watched = torch.randperm(len(pictures))[: len(pictures) // 10 if recipe.patience else 0]
        is_trained = torch.ones(len(pictures), dtype=torch.bool)
        is_trained[watched] = False
        best = BestEpoch(recipe.patience)
        for _ in range(recipe.epochs):
            head.train()
            loss = _epoch(head, optimizer, pictures[is_trained], wanted[is_trained], recipe.batch_size)
            on_step(loss, head.project)
            if recipe.patience and best.is_over(_loss_on(head, pictures[watched], wanted[watched]), head):
                break
    return best.tensors or _tensors(head)


class BestEpoch:
    """The head of the epoch with the lowest loss on pictures it is not trained on; counts the epochs since."""

    def __init__(self, patience: int) -> None:
        self.tensors: Tensors = {}
        self._patience = patience
        self._lowest = float("inf")
        self._since = 0

    def is_over(self, loss: float, head: Head) -> bool:
        """Whether the patience is at an end after an epoch with this loss."""
        self._since += 1
        if loss < self._lowest:
            self._lowest, self._since, self.tensors = loss, 0, _tensors(head)
        return self._since >= self._patience


def _tensors(head: Head) -> Tensors:
    return {
        name: np.array(tensor.detach().numpy(), np.float32)
        for name, tensor in head.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def _loss_on(head: Head, pictures: torch.Tensor, wanted: torch.Tensor) -> float:
    head.eval()
    with torch.no_grad():
        return float((1 - nn.functional.cosine_similarity(head(pictures), wanted)).mean())


def _epoch(
    head: Head, optimizer: torch.optim.SGD, pictures: torch.Tensor, wanted: torch.Tensor, batch_size: int
) -> float:
    total, seen = 0.0, 0
    for rows in torch.randperm(len(pictures)).split(batch_size):  # type: ignore[no-untyped-call]
        if len(rows) == 1 and seen:
            continue  # BatchNorm has no statistics of a single picture
        optimizer.zero_grad()
        loss = (1 - nn.functional.cosine_similarity(head(pictures[rows]), wanted[rows])).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, seen = total + loss.item() * len(rows), seen + len(rows)
    return total / seen
