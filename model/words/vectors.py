"""A table of word vectors on disk: looking words up, phrases, nearest words, closest spellings.

It must not know where the vectors came from.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import WeightsError, WordsError
from model.system.prepared import cannot_read
from model.words.base import NearWord, Phrase, TextSpace

FORMAT = 1
METADATA_FILE = "words.json"
VECTORS_FILE = "vectors.f32"
NORMS_FILE = "norms.f32"
TEXT_FILE = "words.utf8"
OFFSETS_FILE = "offsets.i64"
ORDER_FILE = "order.i32"

SIF_A = 1e-3
"""Arora, Liang and Ma 2017, "A simple but tough-to-beat baseline for sentence embeddings": a / (a + p)."""

SPELLING_CANDIDATES = 200

SCAN_ROWS = 50_000
"""Rows compared at a time when all words are ranked: 60 MB of 300-number vectors."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SEPARATOR = re.compile(r"[^\w'\u2019.-]+|_+")
_INNER = re.compile(r"[^\w]+|_+")
_EDGES = "'\u2019.-"


class Words(TextSpace):
    """Unit word vectors, memory-mapped, the most frequent word first.

    Opening costs a few milliseconds whatever the size: a word is found by binary search in the file.

    Args:
        folder: written by `model.words.conversion`.

    Raises:
        WeightsError: the folder is missing, of another format, or its files have the wrong size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            metadata = json.loads((folder / METADATA_FILE).read_text())
            if metadata["format"] != FORMAT:
                raise WeightsError(f"{folder} is of format {metadata['format']}, {FORMAT} expected: remove it")
            self.name = str(metadata["name"])
            self.sha256 = str(metadata["sha256"])
            self.width = int(metadata["width"])
            self.count = int(metadata["count"])
            self.vectors: NDArray[np.float32] = self._map(VECTORS_FILE, np.float32, (self.count, self.width))
            self._norms = self._map(NORMS_FILE, np.float32, (self.count,))
            # Views: an item of an array takes thirty times as long to get, and a search gets sixty.
            self._offsets = self._map(OFFSETS_FILE, np.int64, (self.count + 1,)).data
            self._order = self._map(ORDER_FILE, np.int32, (self.count,)).data
            self._text = self._map(TEXT_FILE, np.uint8, (self._offsets[-1],)).data
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise cannot_read(folder, error) from error

    def _map(self, name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
        path = self.folder / name
        expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if path.stat().st_size != expected:
            raise ValueError(f"{path} has {path.stat().st_size} bytes, {expected} expected")
        return np.memmap(path, dtype=dtype, mode="r", shape=shape)

    def __len__(self) -> int:
        return self.count

    def word(self, row: int) -> str:
        return self._bytes(row).decode()

    def _bytes(self, row: int) -> bytes:
        return bytes(self._text[self._offsets[row] : self._offsets[row + 1]])

    def row(self, word: str) -> int | None:
        """The word's row, which is its rank by frequency from 0, or None."""
        wanted = word.encode("utf-8", "surrogatepass")
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self._bytes(self._order[middle]) < wanted:
                low = middle + 1
            else:
                high = middle
        if low == self.count:
            return None
        found: int = self._order[low]
        return found if self._bytes(found) == wanted else None

    def __contains__(self, word: str) -> bool:
        return self.row(word) is not None

    def frequency(self, row: int) -> float:
        """The share of running text that is this word, by Zipf's law from its rank."""
        return 1 / ((row + 1) * (math.log(self.count) + np.euler_gamma))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.width), np.float32)
        for i, text in enumerate(texts):
            row = self.row(text)
            if row is not None:
                vectors[i] = self.vectors[row]
            elif phrase := self.find(text):
                vectors[i] = phrase.vector
        return vectors

    def parts(self, text: str) -> list[str]:
        return _chunks(text)

    def find(self, text: str) -> Phrase | None:
        """Several words are the sum of their unit vectors, frequent words weighing less (SIF).

        ``dining_table``, ``GrandPiano`` and ``t-shirt`` are taken apart where they are no words themselves.
        """
        rows: list[int] = []
        unknown: list[str] = []
        for chunk in _chunks(text):
            found = self._rows_of(chunk)
            if found:
                rows += found
            else:
                unknown.append(chunk)
        if not rows:
            return None
        weights = np.array([SIF_A / (SIF_A + self.frequency(row)) for row in rows], np.float32)
        total = weights @ self.vectors[rows]
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise WordsError(f"the words of {text!r} cancel each other out: ask for fewer")
        return Phrase(
            text=text.strip(),
            vector=np.asarray(total / norm, np.float32),
            known=tuple(self.word(row) for row in rows),
            unknown=tuple(unknown),
        )

    def _rows_of(self, chunk: str) -> list[int]:
        for words in _readings(chunk):
            rows = [row for word in words if (row := self.row(word)) is not None]
            if rows and len(rows) == len(words):
                return rows
        return []

    def spellings(self, word: str, count: int = 3) -> list[str]:
        """Known words spelled most like ``word``: one edit less weighs as much as being ten times as frequent."""
        from rapidfuzz import process
        from rapidfuzz.distance import DamerauLevenshtein

        wanted = word.lower()
        if len(wanted) < 3 or not any(letter.isalpha() for letter in wanted):
            return []  # every short word is one edit from every other
        found = process.extract(
            wanted,
            self._all_words,
            scorer=DamerauLevenshtein.distance,
            score_cutoff=len(wanted) // 3,
            limit=SPELLING_CANDIDATES,
        )
        found.sort(key=lambda match: match[1] + math.log10(match[2] + 1))
        return [match for match, _, _ in found[:count]]

    @cached_property
    def _all_words(self) -> list[str]:
        return list(self.iterate())

    def iterate(self) -> Iterator[str]:
        text = bytes(self._text)
        offsets = self._offsets.tolist()
        for start, end in pairwise(offsets):
            yield text[start:end].decode()

    def nearest(self, vector: NDArray[np.float32], count: int, *, without: Sequence[str] = ()) -> list[NearWord]:
        wanted = count + len(without)
        scores = np.empty(self.count, np.float32)
        for start in range(0, self.count, SCAN_ROWS):
            scores[start : start + SCAN_ROWS] = self.vectors[start : start + SCAN_ROWS] @ vector
        top = np.argpartition(-scores, min(wanted, self.count - 1))[:wanted]
        ranked = sorted(top.tolist(), key=lambda row: (-float(scores[row]), row))
        left_out = set(without)
        near = (NearWord(self.word(row), float(scores[row])) for row in ranked)
        return [found for found in near if found.word not in left_out][:count]


def _chunks(text: str) -> list[str]:
    normal = unicodedata.normalize("NFKC", text)
    return [chunk for chunk in _SEPARATOR.split(normal) if chunk.strip(_EDGES)]


def _readings(chunk: str) -> Iterator[list[str]]:
    """Ways to take a chunk as words, the most literal first."""
    lower = chunk.lower()
    yield [lower]
    bare = lower.strip(_EDGES).removesuffix("'s").removesuffix("\u2019s")
    yield [bare]
    yield [part for part in _INNER.split(bare) if part]
    pieces = [piece.lower() for part in _INNER.split(chunk) for piece in _CAMEL.split(part) if piece]
    yield pieces
    yield [piece for piece in pieces if not piece.isdecimal()]
    folded = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    yield [folded] if folded else []
