"""A word that may be misspelt, in a text space that has a vector for any text. It must not know the collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.class_space import Nouns
from model.words import TextSpace
from query.asking.expression import Term


def spelling_message(terms: Sequence[Term], words: TextSpace, nouns: Nouns) -> str:
    """``'lobstre' is no known word: did you mean lobster?``, or nothing. It has been searched for all the same."""
    doubtful = (word for term in terms for word in _doubtful(term.text, words, nouns))
    found = [f"{word!r} is no known word: did you mean {near}?" for word in doubtful if (near := _near(word, words))]
    return f"{'; '.join(found)} It was searched as it is written" if found else ""


def _doubtful(text: str, words: TextSpace, nouns: Nouns) -> Iterator[str]:
    """Words that are put together from pieces, and are neither in the table of known words nor nouns."""
    for word in dict.fromkeys(text.lower().split()):
        if word.isalpha() and not words.is_known(word) and not nouns.find(word) and words.in_pieces([word])[0]:
            yield word


def _near(word: str, words: TextSpace) -> str:
    """The known word that is one edit away, of several the most frequent; empty for none."""
    from rapidfuzz.distance import DamerauLevenshtein

    near = words.spellings(word, 1)
    return near[0] if near and DamerauLevenshtein.distance(word, near[0]) == 1 else ""
