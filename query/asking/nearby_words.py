"""Words near words, in a collection's text space.

It must not know pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.stores import Store, choose_collection
from model.pair import choose_pair
from model.words import TextSpace, open_words
from query.asking.answer import WordsAnswer
from query.asking.expression import Term
from query.asking.question import ANY_SCORE
from query.asking.text_query import TextQuery


def ask_words(words: TextSpace, terms: Sequence[Term], limit: int, min_score: float = ANY_SCORE) -> WordsAnswer:
    """The words nearest to a sum of words, these themselves left out.

    Raises:
        UsageError, WordsError: as `query.asking.text_query.TextQuery.of`.
    """
    asked = TextQuery.of(terms, words)
    near = words.nearest(asked.vector, limit, without=asked.known)
    return WordsAnswer(tuple(word for word in near if word.score >= min_score), asked.messages(words))


def collection_words(store: Store, name: str) -> TextSpace:
    """The word vectors of a collection; where there is no collection yet, those a new one would get offline."""
    there = store.collections()
    if not name and not there:
        return open_words(choose_pair(offline=True).words)
    if not name and len({(metadata.words, metadata.words_sha256) for metadata in there.values()}) == 1:
        return store.words(next(iter(there.values())))
    return store.words(store.metadata(choose_collection(store, name)))
