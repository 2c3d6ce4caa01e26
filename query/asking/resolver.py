"""From a question to what pictures are ranked by.

It must not know how they are ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ingest.stores import CLASSES, SEMANTIC, VISUAL
from model.projections import label_vectors
from query.asking.class_query import class_query
from query.asking.context import CollectionContext
from query.asking.expression import Term
from query.asking.image_query import ImageQuery, combine
from query.asking.picture_resolver import resolve_pictures
from query.asking.query_vector import QueryVector
from query.asking.question import Question, Space
from query.asking.text_query import TextQuery


@dataclass(frozen=True, slots=True)
class ResolvedQuestion:
    """``queries``: what pictures are ranked by, under the name of the vector compared: one, or two that are fused.

    ``image``, ``text``: what they were made from.
    """

    queries: Mapping[str, QueryVector]
    image: ImageQuery | None = None
    text: TextQuery | None = None

    @property
    def ids(self) -> tuple[UUID, ...]:
        """The pictures asked about, as far as they are in the collection: they are no answers."""
        return self.image.ids if self.image else ()


def resolve(context: CollectionContext, question: Question) -> ResolvedQuestion:
    """The question to this collection.

    Raises:
        UsageError, PictureError: a picture cannot be read, or only words to turn away from.
        PictureGone: a picture is not in the collection.
        WordsError: words that are not known, or that cancel each other out.
    """
    if not question.has_picture:
        text = resolve_words(context, question.terms)
        if context.answers_by_classes and question.space is None:
            return ResolvedQuestion(
                {CLASSES: class_query(question.terms, context.words, context.class_space, context.label_classes)},
                text=text,
            )
        return ResolvedQuestion({SEMANTIC: text.query}, text=text)
    images = resolve_pictures(context, [*question.pictures, *question.minus_pictures])
    count = len(question.pictures)
    image = combine(images[:count], images[count:])
    moved = resolve_words(context, question.terms, image.semantic_query) if question.terms else None
    semantic = moved.query if moved else image.semantic_query
    queries = {VISUAL: image.visual_query.with_positive(), SEMANTIC: semantic.with_positive()}
    if question.compared is not Space.BOTH:
        queries = {str(question.compared): queries[question.compared]}
    return ResolvedQuestion(queries, image, moved)


def resolve_words(context: CollectionContext, terms: Sequence[Term], start: QueryVector | None = None) -> TextQuery:
    """What words ask for in this collection: the one place where they become something to rank by.

    A trained label leads to where its pictures are, other words to their own vectors. ``start``: the picture they
    move.

    Raises:
        UsageError, WordsError: as `query.asking.text_query.TextQuery.of`.
    """
    phrases = label_vectors((term.text for term in terms), context.words)
    return TextQuery.of(terms, context.words, start, learnt=context.learnt(phrases))
