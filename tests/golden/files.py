"""Reading the golden files: their folders, what is expected of them, and their archives. No product code is used."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDERS = sorted(Path(__file__).parent.glob("formats-*"))
"""One for each set of formats that was ever written."""


def expectations(folder: Path) -> dict[str, Any]:
    """What was told of these files when they were made."""
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))
    return expected


def unpack(archive: Path, target: Path) -> Path:
    """Unpack an archive, which holds one folder of its own name, into ``target``; returns that folder.

    Empty parts of sparse files stay holes: the store takes 6 MB on the disk, not the 330 that it seems to.
    """
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")
    return target / archive.name.partition(".")[0]


def vector_of(numbers: Mapping[str, float], width: int) -> NDArray[np.float32]:
    """A vector (width,) written down by those of its numbers that are not 0."""
    vector = np.zeros(width, np.float32)
    for place, number in numbers.items():
        vector[int(place)] = number
    return vector


def close(numbers: NDArray[np.float32], expected: Mapping[str, float]) -> bool:
    """Whether a vector is the one written down, to six digits."""
    return bool(np.allclose(numbers, vector_of(expected, len(numbers)), rtol=0, atol=2e-6))
