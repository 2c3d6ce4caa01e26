"""Memory given back to the system once it is freed, by a process that lives long and decodes large pictures."""

from __future__ import annotations

import ctypes
import sys

M_MMAP_THRESHOLD = -3
"""malloc.h of glibc."""

LARGE_BLOCK_BYTES = 4 << 20


def give_large_blocks_back() -> None:
    """Let large pictures leave nothing behind: glibc would keep their memory, 1 GB and more, for each thread apart.

    A fixed threshold (mallopt(3)) makes every larger block a mapping of its own, which ends when it is freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # musl has none
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
