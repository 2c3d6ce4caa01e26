"""Where paths lead."""

from __future__ import annotations

import os
from pathlib import Path


def real_path(path: Path, *, strict: bool = False) -> Path:
    """`Path.resolve`, but a loop of links is no RuntimeError, which that raises before Python 3.13.

    Raises:
        OSError: with ``strict``, a loop of links, or nothing there.
    """
    return Path(os.path.realpath(path, strict=strict))
