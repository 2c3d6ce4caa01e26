"""Projections: from an encoder's features into word space.

`Conse` needs no training; `Devise` is the trained head. Both are numpy at inference, are kept as
safetensors with a JSON header, and give unit vectors.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model.cache import replace_file
from model.encoder import Classifier, EncoderSpec, Features
from model.errors import ProjectionError, WordsError
from model.words import Words

FORMAT = 1
HEADER_KEY = "wordsight"
HIDDEN = 2000
"""Width of the head's hidden layer, the document's."""

CONSE_TOP = 10
"""Classes that speak for a picture: T = 10 in Norouzi et al. 2013."""

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Header:
    """What a projection was made of and for, and how well it did.

    ``labels``: trained label to its number of training pictures. ``figures``: hit@k in percent by split.
    ``test``: the first 16 hex digits of the SHA-256 of each picture held back from training.
    """

    kind: str
    encoder: str
    encoder_sha256: str
    words: str
    words_sha256: str
    created: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    test: list[str] = field(default_factory=list)


class Projection(ABC):
    """Features (n, width) float32 to unit vectors in word space (n, words' width) float32."""

    kind: ClassVar[str]

    def __init__(self, header: Header, tensors: Tensors) -> None:
        self.header = header
        self.tensors = tensors

    @abstractmethod
    def project(self, features: Features) -> NDArray[np.float32]: ...

    def check(self, encoder: str, encoder_sha256: str, words: str, words_sha256: str) -> None:
        """Refuse to mix vectors of different models.

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

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        with replace_file(path) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        from safetensors.numpy import save

        header = {"format": FORMAT, **asdict(self.header)}
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.tensors.items()}
        return save(tensors, {HEADER_KEY: json.dumps(header, ensure_ascii=False)})


class Conse(Projection):
    """ConSE: the word vectors of the most probable ImageNet classes, weighted by their probabilities.

    Tensors: ``weight`` (1000, width) and ``bias`` (1000,), the encoder's last layer; ``classes``
    (1000, words' width), the class names' unit vectors, zero where no word of a name is known.
    """

    kind = "conse"

    def project(self, features: Features) -> NDArray[np.float32]:
        logits = features @ self.tensors["weight"].T + self.tensors["bias"]
        logits[:, ~self.tensors["classes"].any(axis=1)] = -np.inf
        top = np.argpartition(-logits, CONSE_TOP, axis=1)[:, :CONSE_TOP]
        chosen = np.take_along_axis(logits, top, axis=1)
        odds = np.exp(chosen - chosen.max(axis=1, keepdims=True))
        return unit(np.einsum("nk,nkd->nd", odds, self.tensors["classes"][top]))

    @classmethod
    def build(cls, classifier: Classifier, header: Header, words: Words) -> Conse:
        """Take the class names' vectors from ``words``."""
        classes = np.zeros((len(classifier.names), words.width), np.float32)
        for row, name in enumerate(classifier.names):
            try:
                classes[row] = words.phrase(name).vector
            except WordsError:
                continue  # some twenty breeds have no vector: these classes never speak
        tensors = {"weight": classifier.weight, "bias": classifier.bias, "classes": classes}
        return cls(replace(header, kind=cls.kind), tensors)


class Devise(Projection):
    """The DeViSE head (Frome et al. 2013): Linear, BatchNorm, ReLU, Dropout, Linear, BatchNorm.

    Tensors are those of `model.devise.Head`; at inference the BatchNorms are folded into the Linears.
    """

    kind = "devise"
    EPS = 1e-5

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        self._first = self._folded("first", "first_norm")
        self._second = self._folded("second", "second_norm")

    def _folded(self, linear: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        t = self.tensors
        scale = t[f"{norm}.weight"] / np.sqrt(t[f"{norm}.running_var"] + self.EPS)
        shift = (t[f"{linear}.bias"] - t[f"{norm}.running_mean"]) * scale + t[f"{norm}.bias"]
        return np.ascontiguousarray(t[f"{linear}.weight"].T * scale), shift

    def project(self, features: Features) -> NDArray[np.float32]:
        hidden = np.maximum(features @ self._first[0] + self._first[1], 0)
        return unit(hidden @ self._second[0] + self._second[1])


KINDS: dict[str, type[Projection]] = {Conse.kind: Conse, Devise.kind: Devise}


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def read_projection(data: bytes, name: str) -> Projection:
    """Read what `Projection.save` wrote.

    Args:
        name: where it came from, for messages.

    Raises:
        ProjectionError: broken, of another format, or with tensors that do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(data[:8], "little")
        header: Mapping[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER_KEY])
        if header["format"] != FORMAT:
            raise ProjectionError(f"{name} is of format {header['format']}, this version reads {FORMAT}: upgrade")
        fields = {key: value for key, value in header.items() if key != "format"}
        projection = KINDS[str(header["kind"])](Header(**fields), load(data))
        weight = projection.tensors["weight" if "weight" in projection.tensors else "first.weight"]
        if not np.isfinite(projection.project(np.zeros((1, weight.shape[1]), np.float32))).all():
            raise ValueError("numbers that are not finite")
    except (ValueError, LookupError, TypeError, SafetensorError) as error:
        raise ProjectionError(f"{name} is no projection, or a broken one: train it again") from error
    return projection


def load_projection(path: Path) -> Projection:
    """Read a projection from a file.

    Raises:
        ProjectionError: no such file, or broken.
    """
    try:
        return read_projection(path.read_bytes(), str(path))
    except OSError as error:
        raise ProjectionError(f"cannot read the projection {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class LayerParameters:
    """One row of the parameter table."""

    layer: str
    shape: str
    trainable: int
    fixed: int


def parameter_table(encoder: EncoderSpec, words_width: int) -> list[LayerParameters]:
    """The frozen encoder and the head on it; running means and variances count as not trainable."""
    width = encoder.width
    return [
        LayerParameters(encoder.name, f"up to the {encoder.layer}", 0, encoder.parameters),
        LayerParameters("Linear", f"{width} -> {HIDDEN}", width * HIDDEN + HIDDEN, 0),
        LayerParameters("BatchNorm", f"{HIDDEN}", 2 * HIDDEN, 2 * HIDDEN),
        LayerParameters("ReLU, Dropout", f"{HIDDEN}", 0, 0),
        LayerParameters("Linear", f"{HIDDEN} -> {words_width}", HIDDEN * words_width + words_width, 0),
        LayerParameters("BatchNorm", f"{words_width}", 2 * words_width, 2 * words_width),
    ]
