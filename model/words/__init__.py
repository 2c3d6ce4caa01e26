"""Text spaces: words and phrases as vectors, and the vocabulary of tags.

A text space is one file, which registers itself when it is imported here. The room must not know pictures or
projections."""

from model.words import glove, minilm  # noqa: F401 - they register themselves
from model.words.base import NearWord, Phrase, TextSpace, TextSpaceSpec
from model.words.registry import (
    install_words,
    installed_words,
    is_prepared,
    open_carried_words,
    open_words,
    register,
    unregister,
    way_to,
    words_dir,
    words_names,
    words_spec,
    words_specs,
)
from model.words.vectors import Words
from model.words.vocabulary import CRUDE_WORDS, VERSION, TagWord, Vocabulary, forms, tag_vocabulary

__all__ = [
    "CRUDE_WORDS",
    "VERSION",
    "NearWord",
    "Phrase",
    "TagWord",
    "TextSpace",
    "TextSpaceSpec",
    "Vocabulary",
    "Words",
    "forms",
    "install_words",
    "installed_words",
    "is_prepared",
    "open_carried_words",
    "open_words",
    "register",
    "tag_vocabulary",
    "unregister",
    "way_to",
    "words_dir",
    "words_names",
    "words_spec",
    "words_specs",
]
