"""Names of collections: which are fit for every store. It must not know stores."""

from __future__ import annotations

import re

from model.errors import UsageError

_NOT_IN_NAMES = re.compile(r"[^\w .()-]+")
MAX_NAME = 100


def collection_name(folder: str) -> str:
    """A folder's name, fit for a collection: what a store might refuse becomes a hyphen."""
    return _NOT_IN_NAMES.sub("-", folder).strip(" .-")[:MAX_NAME] or "pictures"


def check_name(name: str) -> str:
    """Raises UsageError where a name given by the user is not fit for a collection."""
    if collection_name(name) != name:
        raise UsageError(f"{name!r} cannot name a collection: use letters, digits, spaces and . ( ) - _")
    return name
