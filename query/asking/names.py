"""Words in the names of folders and files: which a question asks for, and which of its words a picture's path has.

A name that a camera gave, such as IMG_1234, says nothing: it answers only who asks for it whole. It must not know
how pictures are ranked, nor where they are kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence, Set
from enum import IntEnum
from pathlib import PurePosixPath

from ingest.stores import words_of

Spellings = tuple[tuple[str, ...], ...]
"""Of each word asked for, the ways in which it may be written (`ingest.stores.Filter.named`)."""

_SAYS_NOTHING = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "my", "of", "on", "or", "our", "the", "to", "with"]
)

_BY_A_DEVICE = re.compile(
    r"(?:img|dsc[fn]?|dscn|p|pxl|mvi|mov|vid|gopr|gp|dji|sam|cimg|imgp|fb|wa|mg|kif|hpim|pict|sdc|bild)?\d*"
    r"|\d+(?:apple|canon|nikon|media|gopro|msdcf|olymp|_?pana)|[0-9a-f]{12,}"
    r"|dcim|camera|image|picture|photo|pic|scan|screenshot|untitled|unnamed|file|signal|whatsapp|received|hdr|pano"
    r"|burst|cover|edited|edit|copy|portrait|night|mp|at|am|pm|jpeg|jpg|png|heic|webp|tiff?|gif|bmp|avif"
)
"""A word of which nothing is learnt about a picture."""


class NameMatch(IntEnum):
    """How far a path answers: with all words asked for, or by having a folder or file of exactly that name."""

    NONE = 0
    WORDS = 1
    WHOLE = 2


def asked_words(phrases: Sequence[str]) -> Spellings:
    """What must stand in a path that answers all the ``phrases``; nothing where no word of theirs says anything."""
    words = [word for phrase in phrases for word in words_of(_composed(phrase))]
    kept = [word for word in words if word not in _SAYS_NOTHING]
    return tuple(spellings(word) for word in dict.fromkeys(kept or words))


def spellings(word: str) -> tuple[str, ...]:
    """A word, its plural or singular as English makes them, and each as some systems write its accents."""
    forms = [word]
    if word.isascii() and word.isalpha() and len(word) > 2:
        forms += _numbers(word)
    return tuple(dict.fromkeys(form for one in forms for form in (one, unicodedata.normalize("NFD", one))))


def _numbers(word: str) -> list[str]:
    if word.endswith("ies") and len(word) > 4:
        return [word[:-3] + "y"]
    if re.search(r"(?:ch|sh|ss|x|z)es$", word):
        return [word[:-2]]
    if word.endswith("s"):
        return [f"{word}es"] if word.endswith(("ss", "us", "is")) else [word[:-1]]
    if re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ies"]
    return [word + ("es" if re.search(r"(?:ch|sh|x|z)$", word) else "s")]


def name_match(path: str, phrases: Sequence[str], asked: Spellings) -> NameMatch:
    """Whether the folders and the file of a ``path`` are named by what is asked for.

    Args:
        path: relative to the dataset. asked: `asked_words` of ``phrases``.
    """
    if not asked:
        return NameMatch.NONE
    *folders, file = path.split("/")
    names = [words_of(_composed(name)) for name in (*folders, PurePosixPath(file).stem)]
    wanted = [words_of(_composed(phrase)) for phrase in phrases]
    if any(words in names for words in wanted) and len(wanted) == 1:
        return NameMatch.WHOLE
    there = {word for words in names if not _is_by_a_device(words) for word in words}
    return NameMatch.WORDS if holds_all(there, asked) else NameMatch.NONE


def holds_all(words: Set[str], asked: Spellings) -> bool:
    """Whether each word that is asked for is among these, in one of its spellings."""
    return all(words & set(map(_composed, forms)) for forms in asked)


def _is_by_a_device(words: Sequence[str]) -> bool:
    """A number alone is a year perhaps, or a day, and says something of a folder."""
    is_year = len(words) == 1 and re.fullmatch(r"(?:19|20)\d\d", words[0])
    return not is_year and all(_BY_A_DEVICE.fullmatch(word) for word in words)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
