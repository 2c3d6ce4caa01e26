"""Which encoder goes with which text space. It must not know how either gets into the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass

from model.encoders import encoder_spec, installed_sha256
from model.errors import CacheError, WeightsError
from model.system.events import note
from model.words import installed_words, way_to, words_spec


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of an encoder and of a text space."""

    encoder: str
    words: str

    @property
    def is_here(self) -> bool:
        """Whether both can be used at once, without network."""
        return bool(installed_sha256(encoder_spec(self.encoder)) and installed_words(words_spec(self.words)))


STANDARD = Pair("vgg16", "glove-6b-300d")
"""The document's; fetched once."""

BUNDLED = Pair("efficientnet-lite0", "minilm")
"""Comes with the installation."""

AUTO = "auto"

WORDS_VARIABLE = "WORDSIGHT_WORDS"
"""The environment variable that names the text space of new collections where nothing else does."""


def choose_pair(encoder: str = AUTO, words: str = AUTO, *, offline: bool = False) -> Pair:
    """The pair that a new collection gets.

    ``auto`` is the standard pair where it is in the cache or can be fetched, else the bundled one, which one line
    says; a name is taken as it is, and an encoder with a text space of its own gets that one. Where no text space is
    named, ``WORDSIGHT_WORDS`` in the environment names it.

    Raises:
        UsageError: no such name.
        WeightsError: the one named is not here.
    """
    if words == AUTO and not (encoder != AUTO and encoder_spec(encoder).text_space):
        words = os.environ.get(WORDS_VARIABLE) or AUTO
    if encoder == AUTO and words == AUTO:
        return _standard_or_bundled(offline)
    if encoder == AUTO:
        encoder = STANDARD.encoder if installed_sha256(encoder_spec(STANDARD.encoder)) else BUNDLED.encoder
    if words == AUTO:
        words = _words_for(encoder)
    if not installed_sha256(encoder_spec(encoder)):
        raise WeightsError(f"the weights of {encoder} are not here: `model fetch --encoder {encoder}` brings them")
    if not installed_words(words_spec(words)):
        raise WeightsError(f"the text space {words} is not here: {way_to(words_spec(words))}")
    return Pair(encoder, words)


def _words_for(encoder: str) -> str:
    if own := encoder_spec(encoder).text_space:
        return own
    standard = encoder == STANDARD.encoder and installed_words(words_spec(STANDARD.words))
    return STANDARD.words if standard else BUNDLED.words


def _standard_or_bundled(offline: bool) -> Pair:
    if STANDARD.is_here:
        return STANDARD
    if offline:
        return BUNDLED
    from model.fetching import fetch_pair

    try:
        fetch_pair(STANDARD.encoder, STANDARD.words)
    except (WeightsError, CacheError) as error:
        note(
            f"the standard pair is not available ({error}); using the bundled {BUNDLED.encoder} and {BUNDLED.words} "
            "instead (--offline skips this attempt)"
        )
        return BUNDLED
    return STANDARD
