"""Words for a picture.

It must not know how pictures are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.stores import WORD, Filter
from model.class_space import USUAL_RANK, meant, probability, spaced
from model.errors import UsageError
from model.projections import (
    TAG_DEPTH,
    Tag,
    TagEvidence,
    best_first,
    known_vectors,
    label_vectors,
    ranked,
    read_vocabulary,
    unit,
    without_crude,
)
from model.words import NearWord
from query.asking.answer import TagsAnswer
from query.asking.class_query import weights_of
from query.asking.context import CollectionContext
from query.asking.image_query import ImageQuery, combine
from query.asking.picture_resolver import VECTORS, resolve_pictures, stored
from query.asking.question import ANY_SCORE, QueryPicture, check_min_score
from query.asking.settled import need_one_projection
from query.asking.shown import shown

SHOWN_UNKNOWN = 5
TAGGED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class TagsQuestion:
    """Which words are looked for: the best for a picture, or for several added up; without any, for each by itself.

    ``labels``, ``own_labels``, ``vocabulary``: choose among these words, the collection's own labels, or the words
    in a file, one a line; else among the tag vocabulary and what was trained.

    Raises:
        UsageError: more than one of these choices, or a limit or score that is none.
    """

    pictures: tuple[QueryPicture, ...] = ()
    limit: int = 10
    min_score: float = ANY_SCORE
    labels: tuple[str, ...] | None = None
    own_labels: bool = False
    vocabulary: Path | None = None

    def __post_init__(self) -> None:
        if (self.labels is not None) + self.own_labels + (self.vocabulary is not None) > 1:
            raise UsageError("--labels, --own-labels and --vocabulary exclude each other: choose one")
        if self.limit < 1:
            raise UsageError(f"a limit of {self.limit}: ask for at least 1 word")
        check_min_score(self.min_score)


def ask_tags(context: CollectionContext, question: TagsQuestion) -> TagsAnswer:
    """The answer of a collection.

    Raises:
        UsageError, PictureError, PictureGone: no picture, or one that cannot be read, or the file of words.
        WordsError: a label without a vector.
        StoreInUse: its projection is being changed.
    """
    if not question.pictures:
        raise UsageError("no picture to find words for")
    image = combine(resolve_pictures(context, question.pictures), [])
    labels, messages = _labels(context, question)
    tags = _tags(context, image, question, labels)
    need_one_projection(context)
    return TagsAnswer(context.name, tags, messages, context.asked(image))


def ask_all_tags(context: CollectionContext, question: TagsQuestion, filter: Filter = Filter()) -> Iterator[TagsAnswer]:
    """The answers for every picture of a collection that the filter lets through, by their stored vectors.

    ``messages`` are those of the first.

    Raises:
        UsageError: the file of words cannot be read. WordsError: a label without a vector.
        StoreInUse: its projection is being changed.
    """
    labels, messages = _labels(context, question)
    for points in context.collection.scroll(VECTORS, page=TAGGED_AT_ONCE, filter=filter):
        answers = []
        for image in map(stored, points):
            tags = _tags(context, image, question, labels)
            answers.append(TagsAnswer(context.name, tags, messages, context.asked(image)))
            messages = ()
        need_one_projection(context)
        yield from answers
        context.collection.yield_lock()


def _tags(
    context: CollectionContext, image: ImageQuery, question: TagsQuestion, labels: Sequence[str] | None
) -> tuple[Tag, ...]:
    tags = _open_tags(context, image, question.limit) if labels is None else _tags_among(context, image, labels)
    kept = [tag for tag in tags if tag.score >= question.min_score]
    return tuple(kept[: question.limit])


def split_labels(text: str) -> tuple[str, ...] | None:
    """Labels written between commas; None where nothing was written."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def own_labels(context: CollectionContext) -> list[str]:
    """The collection's labels that have a vector."""
    return [label for label in context.collection.labels() if known_vectors([label], context.words)]


def _labels(context: CollectionContext, question: TagsQuestion) -> tuple[Sequence[str] | None, tuple[str, ...]]:
    """The words to choose among, None for the tag vocabulary; and what to tell of them."""
    if question.own_labels:
        return own_labels(context), ()
    if question.vocabulary is None:
        return question.labels, ()
    known, unknown = read_vocabulary(question.vocabulary, context.words)
    if not unknown:
        return known, ()
    more = ", ..." if len(unknown) > SHOWN_UNKNOWN else ""
    some = ", ".join(unknown[:SHOWN_UNKNOWN])
    return known, (f"words in {question.vocabulary} without a vector, left out: {some}{more}",)


def _open_tags(context: CollectionContext, image: ImageQuery, limit: int) -> list[Tag]:
    """Of the tag vocabulary and what was trained, as the projection reads them off the picture."""
    if context.tag_table:
        named = _named(context, image)
        words = context.tag_table.rank(shown(context, image), named, context.class_space.nouns, context.label_classes)
        return best_first(words, context.trained)
    if image.summed:
        evidence = TagEvidence(unit(image.semantic[None])[0], _named(context, image))
    else:
        evidence = context.projection.tag_evidence(image.visual)
    with context.vocabulary() as vocabulary:
        hits = vocabulary.search(WORD, evidence.vector, max(limit, TAG_DEPTH))
    near = [NearWord(str(hit.payload["word"]), hit.score) for hit in hits]
    candidates = {**known_vectors(evidence.named, context.words), **context.trained}
    return ranked(evidence, candidates, near, context.trained)


def _tags_among(context: CollectionContext, image: ImageQuery, labels: Sequence[str]) -> list[Tag]:
    """Of these words, as a text query for each would rank this picture; without classes also with its scores."""
    if context.answers_by_classes:
        return _tags_by_classes(context, image, labels)
    vectors = label_vectors(labels, context.words)
    learnt = context.learnt(vectors)
    candidates = {word: learnt.get(word, vector) for word, vector in vectors.items()}
    place = unit(image.semantic[None])[0]
    return best_first({word: float(vector @ place) for word, vector in candidates.items()}, context.trained)


def _tags_by_classes(context: CollectionContext, image: ImageQuery, labels: Sequence[str]) -> list[Tag]:
    shows, named = shown(context, image), _named(context, image)
    scores = {}
    for label in known_vectors(labels, context.words):
        wanted = weights_of(label, context.words, context.class_space, context.label_classes)
        name = spaced(label)
        score = float(probability(named.get(name, 0.0), float(meant(wanted) @ shows), USUAL_RANK))
        scores[label] = max(score, named[name]) if name in context.trained and name in named else score
    return best_first(scores, context.trained)


def _named(context: CollectionContext, image: ImageQuery) -> dict[str, float]:
    """Words to the probability of the classes and labels that they name; of several pictures the mean."""
    images = image.summed or (image,)
    named: dict[str, float] = {}
    for one in images:
        for word, share in context.projection.tag_evidence(one.visual).named.items():
            named[word] = named.get(word, 0.0) + share / len(images)
    return without_crude(named)
