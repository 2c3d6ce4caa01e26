"""The class space of a text space: what is shipped of it, made ready once, and mapped from the cache afterwards.

Shipped beside this file: ``nouns.npz``, facts of WordNet 3.0 (see ``LICENCE.wordnet``), and for each text space that
has one ``nouns-NAME.npz``: vectors that it gave to glosses, whose text is not here. `benchmarks/wordnet_table.py`
makes both.

A prepared folder holds each array as ``NAME.npy``; a question reads a few pages of them.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.class_space.nouns import NounTree, lines, lookup_tables
from model.class_space.question import QuestionWeights
from model.class_space.space import ClassSpace
from model.class_space.tag_building import build_tags
from model.class_space.tags import ARRAYS as TAG_ARRAYS
from model.system.cache import cache_errors
from model.system.disk import need_space
from model.system.events import note
from model.system.prepared import cannot_read, discard_damaged, new_prepared_dir, prepared_dir
from model.words import TextSpace, tag_vocabulary

VERSION = 2
"""Counts up when the arrays or how they are made change."""

SHIPPED = Path(__file__).parent
MOST_BYTES = 32 << 20
FREQUENT_WORDS = 2000
"""Words that tell how near any word is to a class."""

ARRAYS = (
    *("nodes", "classes", "usual", "members", "member_starts"),  # the space
    *("near", "node_synsets", "top_classes", "top_weights", "top_scale", "frame"),  # of senses
    *("lemma_keys", "lemma_starts", "lemma_ends", "lemma_is_rare", "senses", "plurals"),  # the nouns
)


def has_class_space(words: str) -> bool:
    """Whether a text space of that name has one."""
    return _vectors_file(words).is_file()


def class_space_dir(words: TextSpace) -> Path:
    return prepared_dir("class-space", words.name, words.sha256, VERSION)


def prepare_class_space(words: TextSpace, class_names: tuple[str, ...]) -> Path:
    """Make it ready where it is not yet, some 10 s of embedding; returns its folder.

    Args:
        class_names: of the encoder's 1,000 classes, as people say them.

    Raises:
        CacheError, DiskFull: the cache cannot take it.
    """
    folder = class_space_dir(words)
    discard_damaged(folder)
    if not folder.is_dir():
        note(f"preparing the class space of {words.name} (once)")
        with cache_errors(folder):
            need_space(folder, MOST_BYTES)
            with new_prepared_dir(folder) as temporary:
                for name, array in _arrays(words, class_names).items():
                    np.save(temporary / f"{name}.npy", array, allow_pickle=False)
    return folder


def open_class_space(folder: Path) -> QuestionWeights:
    """What `prepare_class_space` made.

    Raises:
        WeightsError: a file is missing or broken.
    """
    try:
        has_tags = (folder / f"{TAG_ARRAYS[0]}.npy").is_file()
        names = (*ARRAYS, *TAG_ARRAYS) if has_tags else ARRAYS
        return QuestionWeights.of_arrays(
            {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        )
    except (OSError, ValueError) as error:
        raise cannot_read(folder, error) from error


@cache
def shipped_nouns() -> NounTree:
    """The nouns that come with the program; the first call reads them, which takes a tenth of a second."""
    return NounTree.of_tables(_read(SHIPPED / "nouns.npz"))


def _vectors_file(words: str) -> Path:
    return SHIPPED / f"nouns-{words}.npz"


def _arrays(words: TextSpace, class_names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    tables = _read(SHIPPED / "nouns.npz")
    vectors = _read(_vectors_file(words.name))
    vectors["frame"] = vectors["frame"].astype(np.float32)
    frequent = list(islice((word for word in words.iterate() if len(word) > 2 and word.isalpha()), FREQUENT_WORDS))
    space = ClassSpace.build(tables, vectors.pop("node_glosses").astype(np.float32), class_names, frequent, words.embed)
    lookup, order = lookup_tables(tables)
    arrays = {
        **{name: getattr(space, name) for name in ClassSpace.__dataclass_fields__},
        **vectors,
        **{name: tables[name] for name in ("near", "node_synsets")},
        **lookup,
        "lemma_is_rare": np.array(words.in_pieces(lines(tables["lemmas"])), bool)[order],
    }
    tags = build_tags(tag_vocabulary(words, class_names), QuestionWeights.of_arrays(arrays), words.embed)
    return {**arrays, **tags}


def _read(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
