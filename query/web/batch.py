"""Several questions in one request: reading them, and answering each by itself.

It must not know how one is answered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ValidationError

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


AskAny = AskText | AskSimilar | AskTags | AskWords
ASKED: dict[str, type[AskAny]] = {"text": AskText, "similar": AskSimilar, "tags": AskTags, "words": AskWords}


EXAMPLES = {
    "two": {
        "summary": "Two searches at once",
        "value": {"questions": [{"ask": "text", "q": "ocean", "limit": 5}, {"ask": "words", "q": "ocean"}]},
    }
}


def _whole_schema(of: type[AskAny]) -> dict[str, Any]:
    """JSON schema of a question, all in one piece."""
    schema = of.model_json_schema()
    inside = schema.pop("$defs", {})

    def whole(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return whole(inside[part["$ref"].rpartition("/")[2]])
            return {key: whole(value) for key, value in part.items()}
        return [whole(one) for one in part] if isinstance(part, list) else part

    found: dict[str, Any] = whole(schema)
    return found


QUESTION_SCHEMAS = {ask: _whole_schema(of) for ask, of in ASKED.items()}
"""The questions, as they are described."""


def questions_schema() -> dict[str, Any]:
    """JSON schema of the body, all in one piece. One question of another form refuses itself, and not the others."""
    other = {"title": "Other", "description": "Refused by itself: the others are answered"}
    items = {"anyOf": [*QUESTION_SCHEMAS.values(), other]}
    questions = {"type": "array", "items": items, "minItems": 1, "maxItems": MOST_QUESTIONS}
    return {
        "type": "object",
        "description": "Each as its own route takes it; `ask` says which",
        "properties": {"questions": questions},
        "required": ["questions"],
        "additionalProperties": False,
    }


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


def _in_kind(ask: str, name: str, value: Any) -> Any:
    """A value, and one text as a list of one, as an address has it.

    Raises:
        UsageError: text for a number, a number for a yes or no, and so on.
    """
    schema = QUESTION_SCHEMAS[ask]["properties"].get(name, {})
    if schema.get("type") == "array" and isinstance(value, str):
        return [value]
    if not _fits(value, schema):
        kinds = [one.get("type", "") for one in schema.get("anyOf", [schema])]
        wanted = " or ".join(kind for kind in kinds if kind and kind != "null")
        raise UsageError(f"{name} is {str(value)[:40]!r}: {wanted} is wanted")
    return value


def read_questions(data: bytes) -> list[Any]:
    """Raises UsageError where the body is no list of questions, or of too many."""
    try:
        given = json.loads(data)
        asked = given.pop("questions")
        if given or not isinstance(asked, list) or not asked:
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UsageError('no questions in the body: send {"questions": [{"ask": "text", "q": "ocean"}]}') from None
    if len(asked) > MOST_QUESTIONS:
        raise UsageError(f"{len(asked)} questions: at most {MOST_QUESTIONS} are taken at once")
    return asked


def read_question(given: Any) -> AskAny:
    """Raises UsageError where it is none."""
    ask = given.get("ask") if isinstance(given, dict) else None
    if not isinstance(ask, str) or ask not in ASKED:
        raise UsageError(f"a question says what it asks: {', '.join(ASKED)} in `ask`, not {str(ask)[:40]!r}")
    try:
        return ASKED[ask].model_validate({name: _in_kind(ask, name, value) for name, value in given.items()})
    except ValidationError as error:
        raise UsageError(sentence_of(error.errors())) from None


def answer_all(service: Service, asked: Sequence[Any]) -> answers.Answers:
    return answers.Answers(answers=[_answered(service, one) for one in asked])


def _answered(service: Service, asked: Any) -> answers.Answered:
    try:
        return answers.Answered(answer=_answer(service, read_question(asked)), problem=None)
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
