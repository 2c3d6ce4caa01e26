"""What can go wrong with a store: the branch of `model.errors` that only this layer knows.

StoreError
├── StoreInUse
├── StoreDamaged
├── StoreUnreachable
│   └── RightMissing
├── CollectionNotFound
└── CollectionMismatch
"""
# ruff: noqa: N818 - a name like StoreInUse says what is wrong; ending in Error it would say it twice

from model.errors import WordsightError


class StoreError(WordsightError):
    """The collections cannot be read or written."""


class StoreInUse(StoreError):
    """Another process held the collection for longer than the wait allowed."""


class StoreDamaged(StoreError):
    """Files of the store are missing or changed."""


class StoreUnreachable(StoreError):
    """The Qdrant server does not answer, or not to us."""


class RightMissing(StoreUnreachable):
    """The API key has no right to what was asked of the server."""


class CollectionNotFound(StoreError):
    """No collection has that name."""


class CollectionMismatch(StoreError):
    """The collection was made by another encoder, other words or from another folder."""
