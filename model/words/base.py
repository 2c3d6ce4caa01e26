"""What a text space is: texts as vectors, and what is known of a published one. It must not know any of them.

A text space is a table of words (`model.words.Words`), or a model that embeds whole sentences, also at query time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import WordsError
from model.system.download import RemoteFile
from model.system.packages import PackageFile

SHOWN_UNKNOWN = 3
"""Unknown words named in one message."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text made one direction.

    ``vector``: (width,) float32, unit length. ``known``: the words that it was read as; a space of sentences
    gives the whole text as one. ``unknown``: the words that were passed over.
    """

    text: str
    vector: NDArray[np.float32]
    known: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NearWord:
    """A word and its cosine to what was asked."""

    word: str
    score: float


class TextSpace(ABC):
    """Texts to unit vectors, opened from a folder of the cache or of a snapshot.

    ``name``: as registered. ``sha256``: of what it was made from. ``width``: numbers in a vector. ``folder``: its
    files, without sub-folders; a snapshot carries them. Opening must be quick: a model is loaded when the first
    text is embedded. Threads share one.
    """

    name: str
    sha256: str
    width: int
    folder: Path

    @abstractmethod
    def find(self, text: str) -> Phrase | None:
        """As `phrase`, None where no word is known: without looking for spellings, which takes a while.

        Raises:
            WordsError: the words cancel each other out.
        """

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, width) float32, of unit length; a row of zeros for a text of which no word is known."""

    @abstractmethod
    def iterate(self) -> Iterator[str]:
        """The single words to choose tags from, the most frequent first.

        A space without a list of its own takes that of another one.
        """

    @abstractmethod
    def nearest(self, vector: NDArray[np.float32], count: int, *, without: Sequence[str] = ()) -> list[NearWord]:
        """The words of highest cosine to a unit ``vector`` (width,), those in ``without`` left out."""

    def is_known(self, word: str) -> bool:
        """Whether a word is one that was known beforehand; a space of sentences has a vector for any other, too."""
        return self.find(word) is not None

    def in_pieces(self, texts: Sequence[str]) -> list[bool]:
        """Whether a word of a text has no vector or token of its own, and is put together from pieces of it."""
        return [False] * len(texts)

    def phrase(self, text: str) -> Phrase:
        """One or several words, or a sentence, as one direction.

        Raises:
            WordsError: no word of it is known, which names the closest spellings; or the words cancel out.
        """
        found = self.find(text)
        if found is None:
            raise WordsError(self.unknown_message(self.parts(text) or [text.strip()]))
        return found

    def name_of(self, text: str) -> str:
        """What of a text is known, as one: of what `find` gives the vector. Empty where nothing is."""
        found = self.find(text)
        return " ".join(found.known) if found else ""

    def parts(self, text: str) -> list[str]:
        """What a text is read as, to name what is unknown of it."""
        return [text.strip()]

    def spellings(self, word: str, count: int = 3) -> list[str]:  # noqa: ARG002 - most spaces know no spellings
        """At most ``count`` known words spelled most like ``word``."""
        return []

    def unknown_message(self, unknown: Sequence[str]) -> str:
        """``no vector for 'ocaen': did you mean ocean, ocan, octane?``"""
        messages = []
        for word in unknown[:SHOWN_UNKNOWN]:
            near = self.spellings(word)
            hint = f": did you mean {', '.join(near)}?" if near else ": try another word"
            messages.append(f"no vector for {word!r}{hint}")
        return "; ".join(messages)


@dataclass(frozen=True, slots=True)
class TextSpaceSpec(ABC):
    """What is known of a published text space, and how it is made ready and opened.

    Args:
        width: numbers in a vector.
        weights: where it comes from: an address, or a file in an installed package.
    """

    name: str
    width: int
    weights: RemoteFile | PackageFile
    licence: str

    @property
    def sha256(self) -> str:
        """Of what was published."""
        return self.weights.sha256

    @property
    def published(self) -> tuple[RemoteFile, ...]:
        """The files to download, the one that ``sha256`` is of first; none where it only comes in a package."""
        return (self.weights,) if isinstance(self.weights, RemoteFile) else ()

    @property
    def package(self) -> str:
        """The package that it comes in, or nothing."""
        return self.weights.package if isinstance(self.weights, PackageFile) else ""

    def size(self, source: Path) -> int:
        """Bytes that `prepare` counts while it reads ``source``."""
        return source.stat().st_size

    @abstractmethod
    def prepare(self, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
        """Make ``folder`` from what was published, whole or not at all (`model.system.atomic.new_dir`).

        Args:
            source: the file: downloaded, handed over by a user, or the package's. What else was published, or is in
                the package, lies beside it.
            sha256: of ``source``, which from now on names this set.
            advance: called with how many more bytes were read.

        Raises:
            WeightsError: ``source`` is broken or is something else.
        """

    @abstractmethod
    def open(self, folder: Path) -> TextSpace:
        """The text space in a folder that `prepare` made.

        Raises:
            WeightsError: the folder is damaged.
        """
