"""Questions to a collection and their answers: `ask(context, question)` is the one way from the one to the other.

It must not know how answers are shown."""

from query.asking.answer import Answer, Match, PictureHit, TagsAnswer, WordsAnswer
from query.asking.answering import ask
from query.asking.browsing import browse, find_picture
from query.asking.context import CollectionContext, SharedContexts
from query.asking.duplicates import DEFAULT_THRESHOLD, Group, Kind, Member, find_duplicates
from query.asking.existing import ask_existing
from query.asking.expression import Term, parse
from query.asking.filter import Taken, picture_filter
from query.asking.grouping import ask_duplicates, check_threshold
from query.asking.image_query import ImageQuery, combine
from query.asking.joined import Compared, join_collections
from query.asking.nearby_words import ask_words, collection_words
from query.asking.phrasing import Reading, read
from query.asking.picture_like import PictureLike, query_picture
from query.asking.picture_resolver import encode
from query.asking.query_vector import QueryVector
from query.asking.question import (
    ANY_SCORE,
    AUTO,
    EncodedPicture,
    MinScore,
    QueryPicture,
    Question,
    Space,
    check_min_score,
    parse_min_score,
)
from query.asking.resolver import resolve, resolve_words
from query.asking.several import ask_several
from query.asking.sorting import Sort, in_order_of
from query.asking.source import STDIN, Source
from query.asking.tagging import TagsQuestion, ask_all_tags, ask_tags, own_labels, split_labels
from query.asking.text_query import TextQuery

__all__ = [
    "ANY_SCORE",
    "AUTO",
    "DEFAULT_THRESHOLD",
    "STDIN",
    "Answer",
    "CollectionContext",
    "Compared",
    "EncodedPicture",
    "Group",
    "ImageQuery",
    "Kind",
    "Match",
    "Member",
    "MinScore",
    "PictureHit",
    "PictureLike",
    "QueryPicture",
    "QueryVector",
    "Question",
    "Reading",
    "SharedContexts",
    "Sort",
    "Source",
    "Space",
    "TagsAnswer",
    "TagsQuestion",
    "Taken",
    "Term",
    "TextQuery",
    "WordsAnswer",
    "ask",
    "ask_all_tags",
    "ask_duplicates",
    "ask_existing",
    "ask_several",
    "ask_tags",
    "ask_words",
    "browse",
    "check_min_score",
    "check_threshold",
    "collection_words",
    "combine",
    "encode",
    "find_duplicates",
    "find_picture",
    "in_order_of",
    "join_collections",
    "own_labels",
    "parse",
    "parse_min_score",
    "picture_filter",
    "query_picture",
    "read",
    "resolve",
    "resolve_words",
    "split_labels",
]
