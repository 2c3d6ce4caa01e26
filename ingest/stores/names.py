"""Names of collections: which are fit for every store. It must not know stores."""

from __future__ import annotations

import hashlib
import re

from model.errors import UsageError

_NOT_IN_NAMES = re.compile(r"[^\w .()-]+")
MAX_NAME = 100
"""Characters."""

MAX_BYTES = 180
"""Of a name in UTF-8. A server makes folders of it, with suffixes: one of 255 bytes ended a cluster for good."""

DERIVED_BYTES = 80
"""Of a name that a folder's is cut to, with a hash at its end."""

HASH_DIGITS = 8


def collection_name(folder: str) -> str:
    """A folder's name, fit for a collection: what a store might refuse becomes a hyphen, and a long one is cut.

    Folders whose long names differ at the end alone get different names.
    """
    name = _fit(folder) or "pictures"
    data = name.encode()
    if len(data) <= DERIVED_BYTES:
        return name
    cut = data[: DERIVED_BYTES - HASH_DIGITS - 1].decode(errors="ignore").rstrip(" .-")
    return f"{cut}-{hashlib.sha256(data).hexdigest()[:HASH_DIGITS]}"


def check_name(name: str) -> str:
    """Raises UsageError where a name given by the user is not fit for a collection."""
    if _fit(name) != name or not name:
        raise UsageError(f"{name!r} cannot name a collection: use letters, digits, spaces and . ( ) - _")
    return check_length(name)


def check_length(name: str) -> str:
    """Raises UsageError where a name is too long for a collection."""
    size = len(name.encode())
    if len(name) > MAX_NAME or size > MAX_BYTES:
        raise UsageError(
            f"the name {name[:20]!r}... of a collection has {len(name)} characters, {size} bytes: up to {MAX_NAME} "
            f"characters and {MAX_BYTES} bytes are taken, so choose a shorter one with --collection"
        )
    return name


def _fit(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name).strip(" .-")
