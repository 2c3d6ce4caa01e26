"""Which status and code an error has, wherever it is raised. It must not know requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from query.web.library import ChooseCollection
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
    ChooseCollection: "choose-collection",
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


def sentence_of(problems: Iterable[Any]) -> str:
    """What the validator complains of, each parameter once, with the value that it is about."""
    by_name: dict[str, list[Any]] = {}
    for problem in problems:
        by_name.setdefault(_name(problem), []).append(problem)
    return "; ".join(_sentence(name, complaints) for name, complaints in by_name.items())


def _name(problem: Any) -> str:
    """Of the parameter: what follows says which of the values it could have had is meant."""
    place = [part for part in problem["loc"] if part not in ("query", "path", "body")]
    return str(place[0]) if place else ""


def _sentence(name: str, problems: Sequence[Any]) -> str:
    problem = problems[0]
    said = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"there is no parameter {name!r}: /api/docs lists them"
        case "value_error":
            return str(said.get("error", problem["msg"]))
        case "too_long":
            return f"{name} has {said['actual_length']} values: at most {said['max_length']} are taken"
        case "too_short":
            return f"{name} has {said['actual_length']} values: at least {said['min_length']} is wanted"
        case "string_too_long":
            return f"{name} has {len(problem['input'])} characters: at most {said['max_length']} are taken"
    wanted = " or ".join(dict.fromkeys(map(_wanted, problems)))
    return f"{name} is {str(problem['input'])[:40]!r}: it should be {wanted}"


def _wanted(problem: Any) -> str:
    """`a valid number`, without how it was looked for."""
    return str(problem["msg"]).removeprefix("Input should be ").partition(", unable")[0]
