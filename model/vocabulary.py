"""The tag vocabulary: the words a picture may be tagged with."""

from __future__ import annotations

from collections.abc import Iterable

from model.words import Words

VERSION = 1
"""Counts up when the choice of words changes, so that a store knows an older vocabulary."""

MIN_LETTERS = 3

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


def tag_vocabulary(words: Words, class_names: Iterable[str]) -> list[int]:
    """Rows of ``words`` that make good tags: nouns in the singular, and the head nouns of ImageNet's classes.

    Chosen by dictionary alone (lemminflect's, from the NIH's SPECIALIST lexicon), the most frequent first.
    A word that is an adverb too, a function word, or shorter than three letters is left out; of a noun's
    singular and plural, the singular is kept. Names of people and places are in no such dictionary.
    """
    heads = {name.lower().split()[-1] for name in class_names if name.split()}
    chosen = {row for head in heads if (row := words.row(head)) is not None}
    chosen.update(row for row, word in enumerate(words.iterate()) if _is_taggable_noun(word))
    return sorted(chosen)


def _is_taggable_noun(word: str) -> bool:
    if len(word) < MIN_LETTERS or not (word.isascii() and word.isalpha()) or word in FUNCTION_WORDS:
        return False
    from lemminflect import getAllLemmas

    readings = getAllLemmas(word)
    return word in readings.get("NOUN", ()) and not readings.keys() & {"ADV", "AUX"}
