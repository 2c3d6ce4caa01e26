"""What every projection is: a header that says what made it, and a way from features into word space.

It must not know any kind of projection, nor where features come from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model import __version__
from model.encoders import Features
from model.errors import ProjectionError
from model.projections.migration import READABLE
from model.system.atomic import replace_file

FORMAT = READABLE[-1]
HEADER_KEY = "wordsight"
NOUN_SHARE = 0.5
HASH_DIGITS = 16
"""Of a SHA-256 in hex, enough to recognise a picture."""

Tensors = dict[str, NDArray[np.float32]]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelTrust:
    """How far a label is believed, by its pictures and by its words.

    ``learnt``: Youden's J of telling its pictures from the others in cross-validation, 0 where that may be chance.
    ``agreement``: 0 to 1, how far the encoder sees in them what the label's words say. ``is_noun``: whether the label
    names something that can be seen; else the two agree in nothing.
    """

    learnt: float
    agreement: float
    is_noun: bool

    @property
    def of_words(self) -> float:
        """How far the label's words may say what its pictures show: of a noun at least half, for what the encoder was
        never shown."""
        return self.learnt * max(self.agreement, NOUN_SHARE) if self.is_noun else 0.0

    @property
    def of_tag(self) -> float:
        """How far the label itself is a word for its pictures, as a name is: "Anna", "Garden"."""
        return self.learnt * max(self.agreement, NOUN_SHARE)


@dataclass(frozen=True, slots=True)
class Header:
    """What a projection was made of and for, and how well it did.

    ``labels``: trained label to its number of training pictures. ``trust``: how far each of these is believed, in the
    order of their names; empty where that was not judged. ``not_learnt``: labels that were not worth it.
    ``label_phrases``: the known words of each label in ``labels``, in that order. ``class_tags``: for each ImageNet
    class the words that name it. ``figures``: hit@k in percent by part (train, test). ``test``: the
    first 16 hex digits of the SHA-256 of each picture held back from training. ``history``: the loss, and hit@2 in
    percent, of each step of the training.
    """

    kind: str
    encoder: str
    encoder_sha256: str
    words: str
    words_sha256: str
    created: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    label_phrases: list[str] = field(default_factory=list)
    trust: list[dict[str, float]] = field(default_factory=list)
    not_learnt: list[str] = field(default_factory=list)
    class_tags: list[list[str]] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    test: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def check_types(self) -> None:
        """Of a header that was read: a file may say anything. Raises ValueError."""
        texts = (self.kind, self.encoder, self.encoder_sha256, self.words, self.words_sha256, self.created)
        lists = (self.label_phrases, self.not_learnt, self.test, self.class_tags, self.history, self.trust)
        dicts = (self.labels, self.recipe, self.figures, *self.history, *self.figures.values(), *self.trust)
        tags = (word for names in self.class_tags for word in names)
        words = [*texts, *self.labels, *self.label_phrases, *self.not_learnt, *self.test, *tags]
        figures = (*self.figures.values(), *self.history, *self.trust)
        numbers = [*self.labels.values(), *(number for figure in figures for number in figure.values())]
        right = (
            all(isinstance(one, list) for one in (*lists, *self.class_tags))
            and all(isinstance(one, dict) for one in dicts)
            and all(isinstance(one, str) for one in words)
            and all(isinstance(one, int | float) for one in numbers)
        )
        if not right:
            raise ValueError("the header has values of other types")
        self.label_trusts()

    def label_trusts(self) -> list[LabelTrust]:
        """Of each label, in the order of their names; without a record they are believed wholly.

        Raises:
            ValueError, KeyError: a record of other labels.
        """
        if not self.trust:
            return [LabelTrust(1.0, 1.0, True)] * len(self.labels)
        if len(self.trust) != len(self.labels):
            raise ValueError("as many records of trust as labels are wanted")
        return [LabelTrust(one["learnt"], one["agreement"], bool(one["is_noun"])) for one in self.trust]


@dataclass(frozen=True, slots=True)
class TagEvidence:
    """What the tags of one picture are ranked by.

    ``vector``: (words' width,) unit, the picture in word space. ``named``: words to the probability of the classes
    and labels that they name.
    """

    vector: Vector
    named: Mapping[str, float]


class Projection(ABC):
    """Features (n, width) float32 to unit vectors in word space (n, words' width) float32.

    ``kind``: its one name, in headers, in a collection's metadata and as ``--projection``.
    """

    kind: ClassVar[str]

    def __init__(self, header: Header, tensors: Tensors) -> None:
        self.header = header
        self.tensors = tensors

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in the features it takes."""

    @abstractmethod
    def project(self, features: Features) -> NDArray[np.float32]:
        """Unit vectors (n, words' width) float32 of features (n, width)."""

    def tag_evidence(self, features: Features) -> TagEvidence:
        """What the tags of one picture, features (width,), are ranked by."""
        return TagEvidence(self.project(features[None])[0], {})

    @property
    def learnt(self) -> Mapping[str, Vector]:
        """Trained labels to where in word space their pictures are, (words' width,) unit: only where that is not the
        label's own vector."""
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
                f"the pictures are encoded by {wanted[0]} {wanted[1][:8]} with {wanted[2]} {wanted[3][:8]}: "
                "train one for these, or use --projection conse"
            )
        found = (self.width, self.project(np.zeros((1, self.width), np.float32)).shape[1])
        if found != widths:
            raise ProjectionError(
                f"the projection leads from {found[0]} numbers to {found[1]}, not from {widths[0]} to {widths[1]}: "
                "the file is broken, train it again"
            )

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        with replace_file(path) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The safetensors file, with the header as JSON in its metadata."""
        from safetensors.numpy import save

        header = {"format": FORMAT, "program": __version__, **asdict(self.header)}
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
