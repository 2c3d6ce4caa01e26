"""Pictures whose files are missing and that are kept all the same: how many, in which folders, since when.

A disk that is not there looks like files that were deleted, and a run that finds too many of them gone asks first. What
is recorded here is how the next one knows that it has asked. It must not know how they are found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ingest.errors import StoreDamaged
from ingest.stores import Collection
from model.system.clock import now

MISSING_FILE = "missing.json"


@dataclass(frozen=True, slots=True)
class Missing:
    """``folder``: of the dataset, all of it gone or empty; ``""`` for files here and there. ``pictures``: how many.
    ``since``: ISO 8601, UTC: when a run first found it so."""

    folder: str
    pictures: int
    since: str


def read_missing(collection: Collection) -> dict[str, Missing]:
    """By folder; empty where nothing is missing.

    Raises:
        StoreDamaged: the record cannot be read.
    """
    data = collection.read_file(MISSING_FILE)
    try:
        rows = json.loads(data) if data else []
        return {row["folder"]: Missing(**row) for row in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise StoreDamaged(
            f"the {MISSING_FILE} of collection {collection.name!r} is broken: `ingest check --repair` removes it"
        ) from error


def record_missing(collection: Collection, folders: Mapping[str, int]) -> bool:
    """Record the folders with the number of pictures missing in each; returns whether all of them were known before."""
    before = read_missing(collection)
    rows = {
        folder: Missing(folder, count, before[folder].since if folder in before else now())
        for folder, count in folders.items()
    }
    if not rows:
        collection.remove_file(MISSING_FILE)
    elif rows != before:
        data = json.dumps([asdict(row) for row in rows.values()], indent=1)
        collection.write_file(MISSING_FILE, data.encode())
    return rows.keys() <= before.keys()
