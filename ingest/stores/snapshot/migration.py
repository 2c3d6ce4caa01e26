"""The manifests of snapshots of older formats, brought up to date.

It must not know files: a manifest is JSON here. What a manifest says of its collection is migrated as the record that
it is (`ingest.records`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

READABLE = range(1, 3)
"""Formats that `migrate` takes; the last is the one that is written."""


def migrate(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of a readable format as the current format has it; the one given is left as it is.

    Format 2 renamed ``facts`` to ``metadata``.

    Raises:
        LookupError, TypeError: a manifest that is not whole.
    """
    migrated = dict(manifest)
    if migrated["format"] == 1:
        migrated["metadata"] = migrated.pop("facts")
        migrated["format"] = 2
    return migrated
