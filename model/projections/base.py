"""What every projection is: a header that says what made it, and a way from features into word space."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.errors import ProjectionError
from model.system.atomic import replace_file

FORMAT = 2
HEADER_KEY = "wordsight"
HASH_DIGITS = 16
"""Of a SHA-256 in hex, enough to know a picture again."""

Tensors = dict[str, NDArray[np.float32]]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Header:
    """What a projection was made of and for, and how well it did.

    ``labels``: trained label to its number of training pictures. ``spoken``: these labels, sorted, as their
    words are looked up. ``class_tags``: for each ImageNet class the words that name it. ``figures``: hit@k
    in percent by split. ``test``: the first 16 hex digits of the SHA-256 of each picture held back from
    training.
    """

    kind: str
    encoder: str
    encoder_sha256: str
    words: str
    words_sha256: str
    created: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    spoken: list[str] = field(default_factory=list)
    class_tags: list[list[str]] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    test: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def check_types(self) -> None:
        """Of a header that was read: a file may say anything. Raises ValueError."""
        texts = (self.kind, self.encoder, self.encoder_sha256, self.words, self.words_sha256, self.created)
        lists = (self.spoken, self.test, self.class_tags, self.history)
        dicts = (self.labels, self.recipe, self.figures, *self.history, *self.figures.values())
        words = [*texts, *self.labels, *self.spoken, *self.test, *(word for tags in self.class_tags for word in tags)]
        numbers = [
            *self.labels.values(),
            *(n for hits in (*self.figures.values(), *self.history) for n in hits.values()),
        ]
        right = (
            all(isinstance(one, list) for one in (*lists, *self.class_tags))
            and all(isinstance(one, dict) for one in dicts)
            and all(isinstance(one, str) for one in words)
            and all(isinstance(one, int | float) for one in numbers)
        )
        if not right:
            raise ValueError("a header of other types")


@dataclass(frozen=True, slots=True)
class TagEvidence:
    """What words are read off a picture by.

    ``vector``: (words' width,) unit, where in word space. ``named``: words to the probability of the classes
    and labels that they name.
    """

    vector: Vector
    named: Mapping[str, float]


class Projection(ABC):
    """Features (n, width) float32 to unit vectors in word space (n, words' width) float32."""

    kind: ClassVar[str]

    def __init__(self, header: Header, tensors: Tensors) -> None:
        self.header = header
        self.tensors = tensors

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in the features it takes."""

    @abstractmethod
    def project(self, features: Features) -> NDArray[np.float32]: ...

    def read(self, features: Features) -> TagEvidence:
        """How words are read off one picture, features (width,)."""
        return TagEvidence(self.project(features[None])[0], {})

    @property
    def learnt(self) -> Mapping[str, Vector]:
        """Where in word space the pictures of a trained label are, where that is not the label's own vector."""
        return {}

    def check(
        self, encoder: str, encoder_sha256: str, words: str, words_sha256: str, *, widths: tuple[int, int]
    ) -> None:
        """Refuse to mix vectors of different models.

        Args:
            widths: numbers in the features, and in a word's vector.

        Raises:
            ProjectionError: this projection was made for another encoder or other words.
        """
        made = (self.header.encoder, self.header.encoder_sha256, self.header.words, self.header.words_sha256)
        wanted = (encoder, encoder_sha256, words, words_sha256)
        if made != wanted:
            raise ProjectionError(
                f"the projection is for {made[0]} {made[1][:8]} with {made[2]} {made[3][:8]}, "
                f"the collection is of {wanted[0]} {wanted[1][:8]} with {wanted[2]} {wanted[3][:8]}: "
                "train one for it, or use --projection conse"
            )
        there = (self.width, self.project(np.zeros((1, self.width), np.float32)).shape[1])
        if there != widths:
            raise ProjectionError(
                f"the projection leads from {there[0]} numbers to {there[1]}, not from {widths[0]} to {widths[1]}: "
                "it is broken, train it again"
            )

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        with replace_file(path) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        from safetensors.numpy import save

        header = {"format": FORMAT, **asdict(self.header)}
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.tensors.items()}
        return save(tensors, {HEADER_KEY: json.dumps(header, ensure_ascii=False)})


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (n, classes) to probabilities."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
