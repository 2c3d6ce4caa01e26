"""What older formats recorded of a collection, brought up to date.

It must not know where a record is kept: a record is JSON here, and what an older format said is written down
literally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

READABLE = range(1, 3)
"""Formats that `migrate` takes; the last is the one that is written."""

_RENAMED_IN_2 = {"joint": "best", "devise": "document"}


def migrate(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a readable format as the current format has it; the one given is left as it is.

    Format 2 renamed the kinds of projections; it also says which version wrote the record.

    Raises:
        LookupError, TypeError: a record that is not whole.
    """
    migrated = dict(record)
    if migrated["format"] == 1:
        kind = migrated.get("projection", "")
        migrated["projection"] = _RENAMED_IN_2.get(kind, kind)
        migrated["format"] = 2
    return migrated
