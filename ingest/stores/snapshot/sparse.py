"""A sparse vector of every picture of a snapshot, in a Parquet file: row i is row i of ``pictures.parquet``.

Columns ``indices`` (list of uint16) and ``values`` (list of float32). Searching compares every picture. It must not
know payloads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import StoreDamaged
from ingest.stores import SparseVector
from ingest.stores.snapshot.checksums import unreadable
from ingest.stores.snapshot.tables import read_table

MOST_INDEX = 2**16 - 1


class SparseFile:
    """The vectors of a file, in memory: 6 bytes for each number that is not zero.

    Raises:
        StoreDamaged: it cannot be read, or holds other rows than ``items``.
    """

    def __init__(self, path: Path, items: int) -> None:
        from pyarrow import ArrowException

        try:
            table = read_table(path, items).combine_chunks()
            indices, values = (table.column(name).combine_chunks() for name in ("indices", "values"))
            self._starts = np.asarray(indices.offsets, np.int64)
            self._indices = np.asarray(indices.flatten(), np.uint16)
            self._values = np.asarray(values.flatten(), np.float32)
        except (ArrowException, OSError, MemoryError, KeyError, AttributeError) as error:
            raise unreadable(path, error) from error
        if len(self._indices) != len(self._values):
            raise StoreDamaged(f"{path} has other rows than its manifest says: export the snapshot again")

    def vector(self, row: int) -> SparseVector:
        own = slice(self._starts[row], self._starts[row + 1])
        return SparseVector(self._indices[own].astype(np.uint32), self._values[own])

    def scores(self, vector: SparseVector) -> NDArray[np.float32]:
        """(rows,): the dot product of each with ``vector``."""
        weights = np.zeros(MOST_INDEX + 1, np.float32)
        weights[vector.indices] = vector.values
        products = np.concatenate([[0.0], np.cumsum(weights[self._indices] * self._values, dtype=np.float64)])
        return np.asarray(products[self._starts[1:]] - products[self._starts[:-1]], np.float32)


def sparse_schema() -> Any:
    """Of the file, for whoever writes one."""
    import pyarrow as pa

    return pa.schema([("indices", pa.list_(pa.uint16())), ("values", pa.list_(pa.float32()))])


def sparse_rows(vectors: Iterable[SparseVector]) -> list[dict[str, Any]]:
    """Vectors as rows of the file."""
    return [{"indices": vector.indices.tolist(), "values": vector.values.tolist()} for vector in vectors]
