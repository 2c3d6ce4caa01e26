"""Annoy indexes: random projection trees over the vectors of one name, in a file.

The file format is Annoy's (github.com/spotify/annoy): nodes of ``12 + 4 * width`` bytes, the items first. It
says neither its width nor its metric, and read with the wrong ones it can crash the process, so an `AnnoyIndexFile`
is opened only with what a manifest says, after its size was checked. The metric is ``angular``: distances are
``sqrt(2 - 2 cos)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ingest.errors import StoreDamaged, StoreError
from ingest.stores import run_in_child_process
from ingest.stores.snapshot.checksums import unreadable

METRIC: Literal["angular"] = "angular"
NODE_HEAD_BYTES = 12
ON_DISK_BYTES = 256 << 20
"""From this size on an index is built in its file instead of in memory."""

RECALL_AT = 10
DEFAULT_TARGET = 0.98
RECALL_SAMPLE = 200
EXACT_NUMBERS = 1 << 25
"""Up to so many numbers in all (8,000 vectors of 4096, 26,000 of 1280) one tree is searched whole, in some
10 ms: the answers are then exact."""

FIRST_TREES = 20
MOST_TREES = 160
"""A tree adds about 2% of the vectors' size at most: more of them cost less than a wider search."""

SEARCH_SHARE = 0.5
"""More trees are tried before a search looks at more than this share of all items."""

USUAL_COUNT = 32
"""`search_k` is for ten answers and what is asked beyond them for ties; for more it grows with their number."""

MOST_SEARCH = 2**31 - 1
"""Annoy takes `search_k` as a C int."""

BLOCK_ROWS = 4096
TIE = 1e-6
"""Cosines this near are equal: as precise as float32 vectors of thousands of numbers are."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What must be known to read one index file, and how good it is.

    ``search_k``: nodes to inspect for ten answers. ``recall``: share of the ten nearest it then finds, the
    mean over ``sample`` stored vectors, each left out of its own answer.
    """

    file: str
    width: int
    items: int
    trees: int
    search_k: int
    seed: int
    recall: float
    sample: int
    metric: str = METRIC

    @property
    def is_exact(self) -> bool:
        """Whether every search looks at all items."""
        return self.search_k >= self.trees * self.items

    @property
    def node_bytes(self) -> int:
        return NODE_HEAD_BYTES + 4 * self.width


class AnnoyIndexFile:
    """An index opened for searching.

    Raises:
        StoreDamaged: the file has not the size or the number of items that ``info`` says.
    """

    def __init__(self, path: Path, info: IndexInfo) -> None:
        from annoy import AnnoyIndex

        self.info = info
        self._path = path
        self.check_size(path, info)
        self._index = AnnoyIndex(info.width, METRIC)
        try:
            self._index.load(str(path))
        except OSError as error:  # its size is right, so that it is the system
            raise StoreError(f"cannot open {path}: {error}; try again") from error
        # Of trees that are one leaf each, Annoy counts some twice (its load takes their copies for roots too).
        if self._index.get_n_items() != info.items or self._index.get_n_trees() < info.trees:
            raise StoreDamaged(f"{path} holds other items than its manifest says: export the snapshot again")

    @staticmethod
    def check_size(path: Path, info: IndexInfo) -> None:
        """Raises StoreDamaged where a file cannot be an index of that width with so many items."""
        try:
            size = path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from error
        if info.metric != METRIC or size % info.node_bytes or size <= info.items * info.node_bytes:
            raise StoreDamaged(f"{path} is no {METRIC} index {info.width} wide: export the snapshot again")

    def nearest(self, vector: NDArray[np.float32], count: int) -> tuple[list[int], list[float]]:
        """Rows and cosines of up to ``count`` items, the nearest first; all items where ``count`` is that many."""
        count = min(count, self.info.items)
        trees, items = self.info.trees, self.info.items
        wide = trees * items if count == items else max(trees * count, self.info.search_k * count // USUAL_COUNT)
        search_k = min(max(self.info.search_k, wide), MOST_SEARCH)
        rows, distances = self._index.get_nns_by_vector(vector.tolist(), count, search_k, include_distances=True)
        return rows, [1 - distance * distance / 2 for distance in distances]

    @cached_property
    def vectors(self) -> Matrix:
        """All items, (n, width), read from the file as they are used."""
        node = np.dtype([("head", f"V{NODE_HEAD_BYTES}"), ("vector", np.float32, (self.info.width,))])
        nodes: Any = np.memmap(self._path, node, mode="r", shape=(self.info.items,))
        return np.asarray(nodes["vector"])

    def close(self) -> None:
        self._index.unload()


def build_index(
    matrix: Matrix,
    path: Path,
    *,
    seed: int,
    target: float,
    trees: int | None = None,
    in_file: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> IndexInfo:
    """Index the rows of ``matrix`` (n, width), unit vectors, adding trees until ``target`` recall is met.

    The same rows and seed give the same file. One thread builds: with several, trees end in any order.

    Args:
        trees: exactly so many instead.
        in_file: build in the mapped file, not in memory.
        on_progress: called with how many more rows were added.
    """
    from annoy import AnnoyIndex

    items, width = matrix.shape
    index = AnnoyIndex(width, METRIC)
    index.set_seed(seed)
    if in_file:
        index.on_disk_build(str(path))
    for start in range(0, items, BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS]
        for row, vector in enumerate(block, start):
            index.add_item(row, vector.tolist())
        on_progress(len(block))
    sample = sample_rows(items, seed)
    truth = exact_neighbours(matrix, sample)
    exact = matrix.size <= EXACT_NUMBERS
    count = trees or (1 if exact else FIRST_TREES)
    while True:
        index.build(count, 1)
        first = count * items if exact else RECALL_AT * count
        search_k, recall = _least_search(index, matrix, sample, truth, first, count * items, target)
        narrow = search_k <= max(SEARCH_SHARE * items, 2 * RECALL_AT * count)
        enough = exact or (recall >= target and narrow)
        if trees or enough or 2 * count > MOST_TREES:
            break
        count *= 2
        index.unbuild()
    if not in_file:
        index.save(str(path))
    index.unload()
    return IndexInfo(path.name, width, items, count, search_k, seed, round(recall, 4), len(sample))


def build_index_in_child_process(
    spool: Path,
    path: Path,
    width: int,
    *,
    seed: int,
    target: float,
    trees: int | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> IndexInfo:
    """`build_index` over a file of float32 rows; a large index in a process of its own.

    Annoy builds those in a mapped file, and a disk that gets full then kills the process (SIGBUS), which
    cannot be caught.

    Raises:
        StoreError: it was killed.
    """
    options: dict[str, Any] = {"seed": seed, "target": target, "trees": trees}
    if spool.stat().st_size <= ON_DISK_BYTES:
        return build_index(_mapped(spool, width), path, **options, on_progress=on_progress)
    return run_in_child_process(path.name, _build_in_file, spool, path, width, options, on_progress=on_progress)


def _build_in_file(
    spool: Path, path: Path, width: int, options: dict[str, Any], *, on_progress: Callable[[int], None]
) -> IndexInfo:
    return build_index(_mapped(spool, width), path, **options, in_file=True, on_progress=on_progress)


def _mapped(spool: Path, width: int) -> Matrix:
    return np.memmap(spool, np.float32, mode="r").reshape(-1, width)


def sample_rows(items: int, seed: int) -> NDArray[np.int64]:
    """Rows to measure with: seeded, ascending, each once."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(items, min(items, RECALL_SAMPLE), replace=False))


def exact_neighbours(matrix: Matrix, sample: NDArray[np.int64]) -> Matrix:
    """The cosine of each sampled row's tenth nearest other row, by full comparison in blocks.

    Returns:
        (sample,) float32; minus one where there are fewer than ten others.
    """
    queries = np.asarray(matrix[sample])
    best = np.full((len(sample), RECALL_AT), -1.0, np.float32)
    for start in range(0, len(matrix), BLOCK_ROWS):
        scores = queries @ np.asarray(matrix[start : start + BLOCK_ROWS]).T
        own = (sample >= start) & (sample < start + scores.shape[1])
        scores[own, sample[own] - start] = -1.0
        both = np.concatenate([best, scores], axis=1)
        best = -np.partition(-both, RECALL_AT - 1, axis=1)[:, :RECALL_AT]
    return np.asarray(best.min(axis=1))


def recall(
    nearest: Callable[[NDArray[np.float32], int], list[int]],
    matrix: Matrix,
    sample: NDArray[np.int64],
    truth: Matrix,
) -> float:
    """Share of the ten nearest that ``nearest`` finds; any of several equally near ones counts."""
    found = 0
    wanted = min(RECALL_AT, len(matrix) - 1)
    for row, tenth in zip(sample, truth, strict=True):
        query = np.asarray(matrix[row])
        rows = [other for other in nearest(query, RECALL_AT + 1) if other != row][:RECALL_AT]
        found += int((np.asarray(matrix[rows]) @ query >= tenth - TIE).sum()) if rows else 0
    return found / (wanted * len(sample)) if wanted * len(sample) else 1.0


def _least_search(
    index: object,
    matrix: Matrix,
    sample: NDArray[np.int64],
    truth: Matrix,
    search_k: int,
    everything: int,
    target: float,
) -> tuple[int, float]:
    """The smallest ``search_k``, doubled from the one given, that meets the target or looks at everything."""
    while True:
        reached = recall(
            lambda vector, count: index.get_nns_by_vector(vector.tolist(), count, search_k),  # type: ignore[attr-defined]  # noqa: B023
            matrix,
            sample,
            truth,
        )
        if reached >= target or search_k >= everything:
            return search_k, reached
        search_k = min(2 * search_k, everything)
