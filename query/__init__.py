"""Asks the collections, and renders the answers.

What a Python program may use is named here; all else is private and may change. Nothing is imported before it is used.

    from query import open_collection

    with open_collection() as photos:
        for hit in photos.text("beach + sunset - people", limit=5):
            print(hit.score, hit.file)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.errors import WordsightError
    from query.asking import Answer, PictureHit, TagsAnswer
    from query.picture_collection import PictureCollection, open_collection
    from query.served_collection import ServedCollection

__all__ = [
    "Answer",
    "PictureCollection",
    "PictureHit",
    "ServedCollection",
    "TagsAnswer",
    "WordsightError",
    "open_collection",
]

_PLACES = {
    "Answer": "query.asking",
    "PictureCollection": "query.picture_collection",
    "PictureHit": "query.asking",
    "ServedCollection": "query.served_collection",
    "TagsAnswer": "query.asking",
    "WordsightError": "model.errors",
    "open_collection": "query.picture_collection",
}


if not TYPE_CHECKING:  # a type checker is to see the names above, and no others

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_PLACES[name]), name)
