"""Where the class space that a collection's words are answered through lies, made ready on first need.

It must not know how a question is weighed.
"""

from __future__ import annotations

from pathlib import Path

from model.class_space import prepare_class_space
from model.projections import imagenet_classes
from model.words import TextSpace


def prepare_classes(words: TextSpace) -> Path:
    """Make the class space of a text space ready where it is not; returns its folder.

    Raises:
        CacheError, DiskFull: the cache cannot take it.
    """
    return prepare_class_space(words, tuple(named.name for named in imagenet_classes()))
