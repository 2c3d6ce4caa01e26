"""What is said of an answer on the command line, as sentences.

It must not know where they are shown.
"""

from __future__ import annotations

from query.asking import Answer, Question


def cut_message(answer: Answer) -> str:
    """Where what stands out ends, or why there is nothing; empty where all that is shown stands out."""
    if answer.standing == 0 and answer.hits:
        return f"{answer.ends}; what is shown is only the nearest"
    return answer.ends if answer.hits else answer.why_nothing


def count_message(question: Question, answer: Answer) -> str:
    """For the head of a page: how many of how many are shown, and what was left out."""
    filter = question.filter
    labelled = f" labelled {' or '.join(filter.labels)}" if filter.labels else ""
    under = f" under {filter.under}" if filter.under else ""
    pictures = "picture" if answer.total == 1 else "pictures"
    searched = f"{answer.total} {pictures}{labelled}{under} in collection {answer.collection}"
    cut = cut_message(answer)
    return f"{cut} ({searched})" if cut else f"{len(answer.hits)} of {searched}"
