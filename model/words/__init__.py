"""Text spaces: words and phrases as vectors, and the vocabulary of tags.

A text space is one file, which registers itself. It must not know pictures or projections."""

from model.words.glove import (
    BUNDLED_WORDS,
    STANDARD_WORDS,
    WORDS,
    WordsSpec,
    install_words,
    installed_words,
    open_words,
    text_size,
    words_dir,
    words_spec,
)
from model.words.vectors import METADATA_FILE, NearWord, Words
from model.words.vocabulary import VERSION, Vocabulary, forms, tag_vocabulary

__all__ = [
    "BUNDLED_WORDS",
    "METADATA_FILE",
    "STANDARD_WORDS",
    "VERSION",
    "WORDS",
    "NearWord",
    "Vocabulary",
    "Words",
    "WordsSpec",
    "forms",
    "install_words",
    "installed_words",
    "open_words",
    "tag_vocabulary",
    "text_size",
    "words_dir",
    "words_spec",
]
