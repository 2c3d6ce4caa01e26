"""Several questions in one request: reading them, and answering each by itself.

It must not know how one is answered.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.errors import UsageError, WordsightError
from query.web import answers
from query.web.problems import details
from query.web.questions import StoredParameters, StoredTagsParameters, TextParameters, WordsParameters
from query.web.service import Service
from query.web.statuses import code_of, sentence_of, status_of

MOST_QUESTIONS = 50


class AskText(TextParameters):
    ask: Literal["text"]


class AskSimilar(StoredParameters):
    ask: Literal["similar"]


class AskTags(StoredTagsParameters):
    ask: Literal["tags"]


class AskWords(WordsParameters):
    ask: Literal["words"]


AskAny = Annotated[AskText | AskSimilar | AskTags | AskWords, Field(discriminator="ask")]


class Questions(BaseModel):
    """Each as its own route takes it; `ask` says which."""

    model_config = ConfigDict(extra="forbid")

    questions: list[AskAny] = Field(min_length=1, max_length=MOST_QUESTIONS)


EXAMPLES = {
    "two": {
        "summary": "Two searches at once",
        "value": {"questions": [{"ask": "text", "q": "ocean", "limit": 5}, {"ask": "words", "q": "ocean"}]},
    }
}


def questions_schema() -> dict[str, Any]:
    """JSON schema of the body, all in one piece."""
    schema = Questions.model_json_schema()
    inside = schema.pop("$defs")

    def whole(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return whole(inside[part["$ref"].rpartition("/")[2]])
            return {key: whole(value) for key, value in part.items() if key != "discriminator"}
        return [whole(one) for one in part] if isinstance(part, list) else part

    found: dict[str, Any] = whole(schema)
    return found


KINDS: dict[str, Any] = {"string": str, "array": list, "object": dict, "null": type(None), "boolean": bool}


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of the kind that is described: of parameters, which are text, others are made of it."""
    if "anyOf" in schema:
        return any(_fits(value, one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind in ("number", "integer"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (kind == "number" or float(value).is_integer())
    return kind is None or isinstance(value, KINDS[kind])


def _check_kinds(data: Any) -> None:
    """Raises UsageError where a question has text for a number, a number for a yes or no, and so on."""
    asked = data.get("questions") if isinstance(data, dict) else None
    for place, one in enumerate(asked if isinstance(asked, list) else ()):
        schema = next((kind for kind in KNOWN if isinstance(one, dict) and kind["ask"] == one.get("ask")), None)
        for name, value in one.items() if schema else ():
            if schema and not _fits(value, schema["properties"].get(name, {})):
                raise UsageError(f"questions.{place}.{name} is {str(value)[:40]!r}: {_kind(schema, name)} is wanted")


def _kind(schema: dict[str, Any], name: str) -> str:
    described = schema["properties"][name]
    kinds = [one.get("type", "") for one in described.get("anyOf", [described])]
    return " or ".join(kind for kind in kinds if kind and kind != "null")


KNOWN = [
    {"ask": kind["properties"]["ask"]["const"], "properties": kind["properties"]}
    for kind in questions_schema()["properties"]["questions"]["items"]["oneOf"]
]
"""The questions, as they are described."""


def read_questions(data: bytes) -> list[AskAny]:
    """Raises UsageError where they are none."""
    try:
        given = json.loads(data)
        _check_kinds(given)
        return list(Questions.model_validate(given).questions)
    except ValidationError as error:
        raise UsageError("; ".join(sentence_of(problem) for problem in error.errors()[:3])) from None
    except (ValueError, RecursionError):
        raise UsageError('no questions in the body: send {"questions": [{"ask": "text", "q": "ocean"}]}') from None


def answer_all(service: Service, asked: list[AskAny]) -> answers.Answers:
    return answers.Answers(answers=[_answered(service, one) for one in asked])


def _answered(service: Service, asked: AskAny) -> answers.Answered:
    try:
        return answers.Answered(answer=_answer(service, asked), problem=None)
    except WordsightError as error:
        status = status_of(error)
        told = details(status, str(error), code_of(error)) if status < 500 else details(status, "it failed just now")
        return answers.Answered(answer=None, problem=answers.Problem.model_validate(told))


def _answer(service: Service, asked: AskAny) -> answers.Answer | answers.Tags | answers.NearWords:
    match asked:
        case AskText():
            return service.text(asked)
        case AskSimilar():
            return service.similar(asked)
        case AskTags():
            return service.tags(asked)
        case AskWords():
            return service.words(asked)
