"""Which pictures may be answers, as the user writes it: labels, and a folder in the dataset or of this machine.

It must not know the question.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ingest.stores import Filter
from model.errors import UsageError
from model.system.names import shown
from model.system.paths import absolute, expanded


def picture_filter(root: str, labels: Sequence[str] = (), under: str = "") -> Filter:
    """The filter meant.

    Args:
        root: the folder of the dataset.
        under: a folder relative to it, or an absolute path in it.

    Raises:
        UsageError: an absolute folder outside the dataset.
    """
    folder = expanded(Path(under))
    if folder.parts[:1] == ("..",):
        folder = absolute(folder)
    if folder.is_absolute():
        if not folder.is_relative_to(root):
            raise UsageError(f"{under} is not in the dataset {root}")
        folder = folder.relative_to(root)
    inside = shown(os.path.normpath(folder).replace(os.sep, "/")) if under else ""
    return Filter(labels=tuple(map(shown, labels)), under="" if inside == "." else inside)
