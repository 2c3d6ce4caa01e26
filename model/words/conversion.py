"""Writing the table of word vectors that `model.words.vectors` reads. It must not know any published format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import WeightsError
from model.system.prepared import new_prepared_dir
from model.words import vectors as layout

Block = tuple[list[str], NDArray[np.float32]]
"""Some words and their vectors (n, width), in the file's order."""


def convert(blocks: Iterable[Block], name: str, width: int, sha256: str, folder: Path) -> None:
    """Write the files that `model.words.Words` maps; vectors are brought to unit length, their norms kept beside.

    Raises:
        WeightsError: no words, or numbers that are not finite; nothing is written.
    """
    with new_prepared_dir(folder) as temporary:
        write_table(blocks, name, width, sha256, temporary)


def write_table(blocks: Iterable[Block], name: str, width: int, sha256: str, folder: Path) -> None:
    """As `convert`, into a folder that is there, beside other files.

    Raises:
        WeightsError: no words, or numbers that are not finite.
    """
    all_words: list[bytes] = []
    with (
        (folder / layout.VECTORS_FILE).open("wb") as vectors,
        (folder / layout.NORMS_FILE).open("wb") as norms,
    ):
        seen: set[bytes] = set()
        for block_words, block in blocks:
            encoded = [word.encode() for word in block_words]
            keep = [i for i, word in enumerate(encoded) if word not in seen and not seen.add(word)]  # type: ignore[func-returns-value]
            rows = np.asarray(block[keep], np.float32)
            lengths = np.linalg.norm(rows, axis=1)
            if not np.isfinite(lengths).all():
                raise WeightsError(f"the vectors of {name} hold numbers that are not finite: fetch them again")
            all_words += [encoded[i] for i in keep]
            vectors.write((rows / np.maximum(lengths, 1e-12)[:, None]).tobytes())
            norms.write(lengths.tobytes())
    if not all_words:
        raise WeightsError(f"no words in the file for {name}")
    _write_index(all_words, folder)
    metadata = {
        "format": layout.FORMAT,
        "name": name,
        "sha256": sha256,
        "width": width,
        "count": len(all_words),
    }
    (folder / layout.METADATA_FILE).write_text(json.dumps(metadata))


def _write_index(all_words: list[bytes], folder: Path) -> None:
    (folder / layout.TEXT_FILE).write_bytes(b"".join(all_words))
    offsets = np.zeros(len(all_words) + 1, np.int64)
    np.cumsum([len(word) for word in all_words], out=offsets[1:])
    offsets.tofile(folder / layout.OFFSETS_FILE)
    order = sorted(range(len(all_words)), key=all_words.__getitem__)
    np.array(order, np.int32).tofile(folder / layout.ORDER_FILE)
