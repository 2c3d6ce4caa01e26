"""The description of the API for programs (OpenAPI): how one is let in, what errors look like, what an operation is
called. It must not know how anything is answered."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from model.errors import UsageError
from query.web.problems import MEDIA_TYPE
from query.web.security import OPEN_TO_ALL, route_path

ADDRESS = "/api/v1/openapi.json"
SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token that the server was started with"},
    "session": {"type": "apiKey", "in": "cookie", "name": "wordsight", "description": "Of who logged in on the page"},
}
EXAMPLES: dict[str, Any] = {
    "q": "beach + sunset - people",
    "limit": 5,
    "min_score": "auto",
    "under": "2019/summer",
    "after": "2019-07",
    "camera": "iphone",
    "near": "48.21,16.37,5",
}
PROBLEM = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "limit is '999': it should be less than or equal to 200",
    "code": "invalid",
}


def operation_name(route: APIRoute) -> str:
    """As its function is called: clients are generated with these names."""
    return route.name


def describe(app: FastAPI, *, has_token: bool) -> None:
    """Make ``app`` describe itself so."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
            )
            _finish(made, has_token=has_token)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def allowed(app: FastAPI, path: str) -> list[str]:
    """The methods of all routes of a path: a router names those of the first alone."""
    names = [method.upper() for method in _operations(app, path)]
    return [*names, *(["HEAD"] if "GET" in names else [])]


def _operations(app: FastAPI, path: str) -> dict[str, Any]:
    """Of a path, by method."""
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            found: dict[str, Any] = methods
            return found
    return {}


async def each_once(request: Request) -> None:
    """Raises UsageError where a parameter that takes one value has several: all but the last would be passed over."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := [name for name, count in counted.items() if count > 1]:
        operation = _operations(request.app, route_path(request.scope)).get(request.method.lower(), {})
        lists = {one["name"] for one in operation.get("parameters", []) if one["schema"].get("type") == "array"}
        for name in repeated:
            if name not in lists:
                raise UsageError(f"{name} is given {counted[name]} times: it takes one value")


TAGS = [
    {"name": "ask", "description": "Questions: the same as the command line's"},
    {"name": "look", "description": "What there is, and its files"},
    {"name": "watch", "description": "For whatever watches over the server"},
]


def _finish(made: dict[str, Any], *, has_token: bool) -> None:
    if has_token:
        made["components"]["securitySchemes"] = SCHEMES
        made["security"] = [{"token": []}, {"session": []}]
    for path, methods in made["paths"].items():
        for operation in methods.values():
            if has_token and path in OPEN_TO_ALL:
                operation["security"] = []
            for parameter in operation.get("parameters", []):
                if parameter["name"] in EXAMPLES and parameter["in"] == "query":
                    parameter["example"] = EXAMPLES[parameter["name"]]
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    schema = response.get("content", {}).get("application/json", {})
                    response["content"] = {MEDIA_TYPE: {**schema, "example": PROBLEM}}
