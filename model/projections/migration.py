"""The headers of projection files of older formats, brought up to date.

It must not know tensors or classes: a header is JSON here, and what an older format said is written down literally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED_KINDS = {"joint": "best", "devise": "document"}
"""What the kinds were called up to format 2: each now has the name of the recipe that trains it."""

READABLE = range(2, 5)
"""Formats that `migrate` takes; the last is the one that is written."""


def migrate(header: Mapping[str, Any]) -> dict[str, Any]:
    """A header of a readable format as the current format has it; the one given is left as it is.

    Format 3 renamed the kinds, and ``spoken`` to ``label_phrases``; it also says which version wrote the file. Format 4
    added ``trust`` and ``not_learnt``: without a record of trust labels are believed as they were, wholly.

    Raises:
        LookupError, TypeError: a header that is not whole.
    """
    migrated = dict(header)
    if migrated["format"] == 2:
        migrated["kind"] = RENAMED_KINDS.get(migrated["kind"], migrated["kind"])
        migrated["label_phrases"] = migrated.pop("spoken")
        migrated["format"] = 3
    if migrated["format"] == 3:
        migrated["format"] = 4
    return migrated
