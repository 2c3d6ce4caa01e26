"""What stands above the answers on a page: the question, with the picture asked about, and a line on the answers.

It must not know how a page is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ingest.stores import Store
from model.errors import PictureError
from model.pictures import thumbnail
from query.asking import STDIN, Answer, PictureHit, QueryPicture, Question, Source, TagsAnswer, TagsQuestion
from query.output.gallery import THUMBNAIL_PIXELS, Heading
from query.output.message import count_message
from query.output.thumbnails import thumbnail_of


def heading_of(question: Question, answer: Answer, store: Store) -> Heading:
    """Above pictures."""
    heading = Heading(terms=question.terms, message=count_message(question, answer))
    return _with_picture(heading, question.pictures, answer.asked, store)


def tags_heading(question: TagsQuestion, answer: TagsAnswer, store: Store) -> Heading:
    """Above words."""
    heading = Heading(message=f"the words nearest to this picture, in collection {answer.collection}")
    return _with_picture(heading, question.pictures, answer.asked, store)


def _with_picture(
    heading: Heading, pictures: Sequence[QueryPicture], indexed: PictureHit | None, store: Store
) -> Heading:
    """The picture asked about is read once more for its thumbnail. ``indexed``: as the collection has it."""
    source = next((picture for picture in pictures if isinstance(picture, Source)), None)
    if source is None:
        return heading
    subject = "a picture from standard input" if source.text == STDIN else source.text
    if indexed is not None:
        small = thumbnail_of(indexed, store, THUMBNAIL_PIXELS)
        return replace(heading, subject=subject, file=indexed.file, thumbnail=small)
    small = None
    with suppress(PictureError):
        small = thumbnail(
            source.read(), name=source.text, longest=THUMBNAIL_PIXELS, max_megapixels=0
        )  # it was just looked at
    return replace(heading, subject=subject, file=str(source.path) if source.path else None, thumbnail=small)
