"""Which status and code an error has, wherever it is raised. It must not know requests."""

from __future__ import annotations

from typing import Any

from ingest.errors import CollectionNotFound, StoreInUse, StoreUnreachable
from model.errors import (
    PictureError,
    PictureGone,
    PictureOutside,
    PictureTooLarge,
    PictureTooSlow,
    UsageError,
    WordsError,
    WordsightError,
)
from query.web.decoding import Busy
from query.web.fetching import NotFetched
from query.web.places import Full

FAILED = 500
STATUSES: dict[type[WordsightError], int] = {
    UsageError: 400,
    WordsError: 400,
    PictureError: 415,
    PictureTooLarge: 413,
    PictureTooSlow: 422,
    PictureOutside: 403,
    PictureGone: 404,
    NotFetched: 422,
    CollectionNotFound: 404,
    Busy: 503,
    Full: 503,
    StoreInUse: 503,
    StoreUnreachable: 503,
}
"""The nearest class up the tree counts; what is not named is a failure of the server."""

CODES: dict[type[WordsightError], str] = {
    WordsError: "unknown-word",
    PictureTooSlow: "picture-too-slow",
    PictureOutside: "outside",
    NotFetched: "not-fetched",
    CollectionNotFound: "no-collection",
    StoreInUse: "store-in-use",
    StoreUnreachable: "store-unreachable",
}
"""What programs tell an error by, where its status says too little."""


def status_of(error: Exception) -> int:
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), FAILED)


def code_of(error: Exception) -> str:
    """Empty where it has the code of its status."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "")


def sentence_of(problem: Any) -> str:
    """A complaint of the validator with the value that it is about."""
    name = ".".join(str(part) for part in problem["loc"] if part not in ("query", "path", "body"))
    if problem["type"] == "missing":
        return f"{name} is missing"
    if problem["type"] == "extra_forbidden":
        return f"there is no parameter {name!r}: /api/docs lists them"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"]) if "ctx" in problem else str(problem["msg"])
    message = problem["msg"].replace("Input should", "it should")
    return f"{name} is {str(problem['input'])[:40]!r}: {message[0].lower()}{message[1:]}"
