"""Whether an Annoy file can be searched at all: Annoy believes every number in it, and a forged one makes it read
beyond the file, or go in a circle.

A node is an int32 count of the items below it, then two int32 children, or the items themselves where they are few
enough for a node, or its vector. Items come first and count 1. Annoy writes children before their parents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import StoreDamaged
from ingest.stores.snapshot.annoy import AnnoyIndexFile, IndexInfo

INT_BYTES = 4
BLOCK_NODES = 1 << 16

Ints = NDArray[np.int32]


def check_nodes(path: Path, info: IndexInfo) -> None:
    """Look at every node of an index whose size is right.

    Raises:
        StoreDamaged: a node counts or names what there is not.
    """
    AnnoyIndexFile.check_size(path, info)
    words = np.memmap(path, np.int32, mode="r").reshape(-1, info.node_bytes // INT_BYTES)
    items, trees = words[: info.items], words[info.items :]
    sound = _are_ones(items) and all(
        _are_sound(trees[start : start + BLOCK_NODES], info.items + start, info.items)
        for start in range(0, len(trees), BLOCK_NODES)
    )
    if not sound:
        raise StoreDamaged(f"{path} is no index that Annoy wrote: export the snapshot again")


def _are_ones(items: Any) -> bool:
    return all((items[start : start + BLOCK_NODES, 0] == 1).all() for start in range(0, len(items), BLOCK_NODES))


def _are_sound(nodes: Ints, first: int, items: int) -> bool:
    """Whether inner nodes name children before themselves, and leaves name items. ``first``: the place of the first."""
    room = nodes.shape[1] - 1
    counts = np.asarray(nodes[:, 0])
    if (counts < 1).any() or (counts > items).any():
        return False
    is_inner = counts > room
    places = first + np.flatnonzero(is_inner)[:, None]
    children = np.asarray(nodes[:, 1:3])[is_inner]
    if (children < 0).any() or (children >= places).any():
        return False
    return all(
        bool((node[1 : 1 + count] >= 0).all() and (node[1 : 1 + count] < items).all())
        for node, count in zip(nodes[~is_inner], counts[~is_inner].tolist(), strict=True)
    )
