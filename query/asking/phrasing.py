"""Questions as people write them: what is only said around the words, and what is said not to be wanted.

"Show me photos of crabs without lobsters, please" asks for ``crabs -lobsters``. A phrase in quotation marks is taken
as it stands. It reads English, and must not know the collection, nor what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from query.asking.expression import Term, parse, written

_QUOTED = re.compile(r'(?<!\w)"([^"]*\w[^"]*)"(?!\w)|“([^”]*\w[^”]*)”')
_FIRST_PLACE = 0xE000
"""While a question is read, a quoted phrase is one character of Unicode's private use area."""

_APOSTROPHE = "['\N{RIGHT SINGLE QUOTATION MARK}]"
_DETERMINER = r"(?:a|an|the|some|any|all|every|each|one|my|our|your|these|those|this|that)"
_KIND = r"(?:stock|colou?r|nice|good|great|beautiful|clear|single)"
_PICTURE = r"(?:photo(?:graph)?s?|pictures?|pics?|images?|snap(?:shot)?s?|shots?|close[- ]?ups?|views?)"
_SHOWING = (
    r"(?:(?:that|which) (?:shows?|depicts?|features?|contains?|includes?|ha[sv]e?|looks? like)"
    r"|(?:where|in which) (?:there (?:is|are)|(?:you|we|i) (?:can )?see)"
    r"|showing|depicting|featuring|containing|including|having|about|from|like|with|at|in|of)"
)

_START = re.compile(
    "(?:"
    + "|".join(
        (
            "please|hi|hello|hey|okay|ok",
            "(?:can|could|would|will) (?:you|we|i)",
            r"(?:i|we) (?:want|need|would like|am looking for|are looking for)(?: to (?:see|find|have))?",
            rf"(?:i|we){_APOSTROPHE}d (?:like|love)(?: to (?:see|find|have))?",
            rf"(?:i{_APOSTROPHE}m |we{_APOSTROPHE}re )?(?:looking|searching) for",
            rf"let(?:{_APOSTROPHE}s| me| us) (?:see|find|have)",
            "(?:show|find|get|give|fetch|send|bring)(?: me| us)",
            "show|find|(?:search|look) for",
            rf"(?:see|search|view|display|list|get|give)(?= (?:{_DETERMINER} )*(?:{_KIND} )*{_PICTURE}\b)",
            rf"(?:is|are) there|do (?:you|we|i) have|have you got|where(?:{_APOSTROPHE}s| is| are)",
            rf"(?:all|some|any|one|each|most|more) of(?= {_DETERMINER}\b)",
            rf"(?:{_DETERMINER} )*(?:\d+ |more )?(?:{_KIND} )*{_PICTURE} {_SHOWING}",
        )
    )
    + ")[ ,:]+",
    re.IGNORECASE,
)
"""What says that something is asked for, and that it is a picture."""

_PLAIN = (
    r"(?:plain|white|black|gr[ea]y|blue|green|clean|simple|blurr(?:ed|y)|neutral|dark|light|bright|transparent|solid)"
)
_END = re.compile(
    "(?:"
    + "|".join(
        (
            "[ ,]+(?:please|thanks|thank you)",
            rf"[ ,]+(?:isolated )?(?:on|against|in front of|over|with) (?:an? |the )?(?:{_PLAIN} )*"
            "back(?:ground|drop)s?",
            "[ ,]+isolated|[ ,]+(?:isolated )?on (?:white|black)",
            rf"[ ,]+in (?:the|a|an|this|that|my|these|those) {_PICTURE}|[ ,]+in (?:it|them)",
            r"(?<!motion)(?<!moving)(?<!mirror)(?<!x-ray)(?<!big)[ ,]+"
            r"(?:photo(?:graph)?|picture|pic|image|close-?up)s?",
            r"\s*[?!.,;:]+",
        )
    )
    + ")$",
    re.IGNORECASE,
)
"""What says no more than that, or what is behind the thing."""

_ARTICLE = re.compile(r"(?:an?|the|some|any|my|our|your|one)\s+(?=\S)", re.IGNORECASE)

_NOT = re.compile(
    r"(?:^|(?<=\s)|(?<=,))(?:(?:but|and|or|with|that|which|who)\s+)?"
    r"(?:(?:(?:any|every)(?:thing|one|body)?|all) (?:but|except(?: for)?|other than)"
    rf"|(?:is|are|has|have) (?:not|no)|(?:is|are)n{_APOSTROPHE}t"
    r"|not|no|neither|without|except(?: for)?|excluding|minus|other than|rather than|instead of|nor)"
    r"(?:\s+(?:any|showing|containing|including|with))*\s+(?!\d|but\b|only\b|just\b)",
    re.IGNORECASE,
)
_HELPING = re.compile(r"\b(?:do|does|did|can|could|will|would|should|had|must|may|might|need)[\s,]*$", re.IGNORECASE)
"""Before a "not" that belongs to a verb: "a bird that can not fly" names no thing to leave out."""

_NEXT = re.compile(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:or|and|nor)\s+", re.IGNORECASE)
_INSTEAD = re.compile(r"[\s,]+but(?: only| just)?\s+", re.IGNORECASE)
_ANYTHING = re.compile(
    rf"(?:(?:{_DETERMINER}|{_KIND}) )*(?:{_PICTURE}|(?:any|every|some)(?:thing|one|body)|ones?|me|us)(?: {_SHOWING})?",
    re.IGNORECASE,
)
"""What leaves open what is wanted."""

_NOBODY = frozenset({"one", "body", "anyone", "anybody", "person", "persons"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was understood. ``terms``: phrases with their weights. ``message``: a sentence where that is not obvious."""

    terms: tuple[Term, ...]
    message: str = ""


def read(text: str) -> Reading:
    """A question in words, as `query.asking.expression.parse` takes it and as people write.

    Raises:
        UsageError: as `parse`.
    """
    phrases: list[str] = []

    def hide(found: re.Match[str]) -> str:
        phrases.append(found[1] or found[2])
        return chr(_FIRST_PLACE + len(phrases) - 1)

    parsed = parse(_QUOTED.sub(hide, text))
    understood = [one for term in parsed for one in _understood(term)]
    terms = tuple(replace(term, text=_shown(term.text, phrases)) for term in understood)
    is_obvious = [term.weight > 0 for term in understood] == [term.weight > 0 for term in parsed]
    return Reading(terms, "" if is_obvious else f"read as: {written(terms)}")


def _shown(text: str, phrases: Sequence[str]) -> str:
    """With the quoted phrases in their places."""
    return "".join(
        phrases[ord(one) - _FIRST_PLACE] if 0 <= ord(one) - _FIRST_PLACE < len(phrases) else one for one in text
    )


def _understood(term: Term) -> Iterator[Term]:
    """A phrase, and what it says is not wanted; one that is subtracted is not read for more of that."""
    if term.weight < 0:
        yield replace(term, text=bare(term.text))
        return
    wanted, unwanted = _divided(bare(term.text))
    for text in wanted:
        yield replace(term, text=bare(text))
    for text in unwanted:
        thing = bare(text)
        yield Term("people" if thing.lower() in _NOBODY else thing, -term.weight)


def _divided(text: str) -> tuple[list[str], list[str]]:
    """What is wanted and what is not, each as the words that stand there."""
    ends = [found for found in _NOT.finditer(text) if not _HELPING.search(text[: found.start()])]
    if not ends:
        return [text], []
    wanted, unwanted = [text[: ends[0].start()]], []
    starts = [*(found.start() for found in ends[1:]), len(text)]
    for found, end in zip(ends, starts, strict=True):
        without, *instead = _INSTEAD.split(text[found.end() : end])
        unwanted += _NEXT.split(without)
        wanted += instead
    return [part for part in wanted if not _is_open(part)], [part for part in unwanted if part.strip(" ,;")]


def _is_open(wanted: str) -> bool:
    asked = bare(wanted.strip(" ,;"))
    return not asked or _ANYTHING.fullmatch(asked) is not None


def bare(phrase: str) -> str:
    """Without what is only said around it; the phrase itself where nothing else would be left."""
    text = " ".join(phrase.split())
    while True:
        shorter = _END.sub("", _START.sub("", text, count=1) if _START.match(text) else text)
        shorter = _ARTICLE.sub("", shorter, count=1) if _ARTICLE.match(shorter) else shorter
        if shorter == text or not shorter.strip(" ,;") or shorter in ("me", "us"):
            return text
        text = shorter.strip(" ,;")
