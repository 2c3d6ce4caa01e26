"""What the questions mean: their parts, as vectors, and the answers in their order.

It must not know how answers are shown."""

from query.asking.cutoff import Cutoff
from query.asking.duplicates import DEFAULT_THRESHOLD, Group, Member, find_duplicates
from query.asking.expression import Direction, Term, direction, parse
from query.asking.query_vectors import ImageQuery, combine
from query.asking.ranking import DEPTH
from query.asking.search import Found, Search, Space, collection_words
from query.asking.source import STDIN, Source

__all__ = [
    "DEFAULT_THRESHOLD",
    "DEPTH",
    "STDIN",
    "Cutoff",
    "Direction",
    "Found",
    "Group",
    "ImageQuery",
    "Member",
    "Search",
    "Source",
    "Space",
    "Term",
    "collection_words",
    "combine",
    "direction",
    "find_duplicates",
    "parse",
]
