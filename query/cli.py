"""The command `query`: options in, answers out; no logic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ingest.options import takes_records
from ingest.stores import PooledStore
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.system import terminal
from model.system.events import Progress, note, progress
from model.system.terminal import NothingFoundError
from query.asking import (
    ANY_SCORE,
    DEFAULT_THRESHOLD,
    CollectionContext,
    Question,
    SharedContexts,
    Source,
    Space,
    TagsAnswer,
    TagsQuestion,
    Term,
    ask,
    ask_all_tags,
    ask_duplicates,
    ask_existing,
    ask_several,
    ask_tags,
    ask_words,
    check_threshold,
    collection_words,
    in_order_of,
    parse,
    parse_min_score,
    picture_filter,
    split_labels,
)
from query.options import (
    AnswerOptions,
    BulkOptions,
    CollectionOptions,
    DuplicatesOptions,
    Json,
    Least,
    Limit,
    Megapixels,
    Null,
    ShowOptions,
    TagsShowOptions,
    style_of,
)
from query.output import Show, Style, TagFormat, write_all_tags, write_words
from query.serve import serve

app = terminal.make_app("Ask a collection: pictures like a picture, pictures for words, words for a picture.")

Picture = Annotated[str, typer.Argument(help="A file, a URL, or - for standard input.", metavar="PICTURE")]
Text = Annotated[
    list[str], typer.Argument(help='Words: "ocean", "a red fire truck", "beach + sunset - people".', metavar="WORDS...")
]


@app.command()
@takes_records
def similar(
    picture: Picture,
    *,
    plus: Annotated[list[str] | None, typer.Option("--plus", help="Words to move towards; repeatable.")] = None,
    minus: Annotated[list[str] | None, typer.Option("--minus", help="Words to move away from; repeatable.")] = None,
    vector: Annotated[
        Space | None,
        typer.Option("--vector", help="Compare by: visual, or semantic where words are added.", show_default=False),
    ] = None,
    wanted: AnswerOptions,
    shown: ShowOptions,
    max_megapixels: Megapixels = DEFAULT_MAX_MEGAPIXELS,
    where: CollectionOptions,
) -> None:
    """Pictures like a picture."""
    source = Source(picture)
    terms = [Term(text) for text in plus or ()] + [Term(text, -1.0) for text in minus or ()]
    question = Question(tuple(terms), pictures=(source,), space=vector)
    source.read_ahead()
    _show_answer(question, wanted, where, shown, source.path, max_megapixels)


@app.command()
@takes_records
def text(
    words: Text,
    *,
    names: Annotated[bool, typer.Option("--names/--no-names", help="Look in names of folders and files, too.")] = True,
    ocr: Annotated[
        bool, typer.Option("--ocr/--no-ocr", help="Look in text that was read in pictures, too: `ingest run --ocr`.")
    ] = True,
    wanted: AnswerOptions,
    shown: ShowOptions,
    where: CollectionOptions,
) -> None:
    """Pictures for words."""
    question = replace(Question.in_words(" ".join(words)), names=names, written=ocr)
    _show_answer(question, wanted, where, shown)


def _show_answer(
    question: Question,
    wanted: AnswerOptions,
    where: CollectionOptions,
    shown: ShowOptions,
    near: Path | None = None,
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
) -> None:
    """``near``: a file that may tell which collection is meant."""
    question = replace(question, limit=wanted.limit, min_score=parse_min_score(wanted.min_score))
    show = shown.show()
    ask_one = ask_existing if wanted.existing else ask

    def put_to(context: CollectionContext) -> Question:
        chosen = picture_filter(context.metadata.root, wanted.label or (), wanted.under, wanted.taken)
        return replace(question, filter=chosen)

    with where.open() as store:
        names = where.named(store)
        if len(names) > 1:
            with PooledStore(store) as pooled:
                contexts = SharedContexts(pooled, max_megapixels=max_megapixels)
                answer = ask_several(names, contexts, put_to, ask_one, wanted.limit)
        else:
            with where.asking(store, near, max_megapixels) as context:
                question = put_to(context)
                answer = ask_one(context, question)
        show.pictures(question, in_order_of(answer, wanted.sort), store)


@app.command()
@takes_records
def tags(
    picture: Annotated[str, typer.Argument(help="A file, a URL, or - for standard input.", metavar="PICTURE")] = "",
    *,
    limit: Limit = 10,
    labels: Annotated[str, typer.Option("--labels", help="Choose among these words only, between commas.")] = "",
    own_labels: Annotated[
        bool, typer.Option("--own-labels", help="Choose among the collection's own labels only.")
    ] = False,
    vocabulary: Annotated[
        Path | None, typer.Option("--vocabulary", help="Choose among the words in this file, one a line.")
    ] = None,
    min_score: Least = ANY_SCORE,
    shown: TagsShowOptions,
    every: BulkOptions,
    max_megapixels: Megapixels = DEFAULT_MAX_MEGAPIXELS,
    where: CollectionOptions,
) -> None:
    """Words for a picture, or for every picture of a collection."""
    question = TagsQuestion((), limit, min_score, split_labels(labels), own_labels, vocabulary)
    if format := every.format(picture, shown):
        _write_every(question, every, format, where)
        return
    source = Source(picture)
    question = replace(question, pictures=(source,))
    show = shown.show()
    source.read_ahead()
    with where.open() as store:
        with where.asking(store, source.path, max_megapixels) as context:
            answer = ask_tags(context, question)
        show.tags(question, answer, store)


def _write_every(question: TagsQuestion, every: BulkOptions, format: TagFormat, where: CollectionOptions) -> None:
    with where.open() as store, where.asking(store) as context:
        chosen = picture_filter(context.metadata.root, every.label or (), every.under)
        answers = ask_all_tags(context, question, chosen)
        with progress("finding words", context.collection.count(chosen), unit="pictures") as shown:
            written = write_all_tags(_told(answers, shown), format)
    for message in written.messages(format):
        note(message)
    if not written.pictures:
        raise NothingFoundError("no word found")


def _told(answers: Iterable[TagsAnswer], shown: Progress) -> Iterator[TagsAnswer]:
    for answer in answers:
        for message in answer.messages:
            note(message)
        yield answer
        shown.advance()


@app.command()
@takes_records
def duplicates(
    *,
    threshold: Annotated[
        float, typer.Option("--threshold", help="With --alike, how near to the first of its group, as a cosine.")
    ] = DEFAULT_THRESHOLD,
    alike: Annotated[
        bool, typer.Option("--alike", help="Also pictures that look alike and are not the same: bursts, letters.")
    ] = False,
    wanted: DuplicatesOptions,
    shown: TagsShowOptions,
    paths_only: Annotated[
        bool, typer.Option("--paths-only", help="Only the paths, without the first of each group.")
    ] = False,
    null: Null = False,
    where: CollectionOptions,
) -> None:
    """Groups of pictures that are one picture, by their pixels, the best first; nothing is changed."""
    show = Show(style_of(shown.json, paths_only, null), shown.html, shown.open_page)
    check_threshold(threshold)
    with where.open() as store:
        with where.comparing(store) as pictures:
            groups = ask_duplicates(
                pictures,
                threshold,
                alike=alike,
                prefer=wanted.prefer,
                labels=wanted.label or (),
                under=wanted.under,
                limit=wanted.limit,
            )
        if not groups:
            nothing = f"no picture looks like another: none reaches {threshold}"
            raise NothingFoundError(nothing if alike else "no picture is there twice")
        show.duplicates(groups, store)


@app.command()
@takes_records
def words(
    words: Text, *, limit: Limit = 10, min_score: Least = ANY_SCORE, json: Json = False, where: CollectionOptions
) -> None:
    """Words near a word, or near a sum of words."""
    terms = parse(" ".join(words))
    with where.open() as store:
        answer = ask_words(collection_words(store, where.one(store)), terms, limit, min_score)
    for message in answer.messages:
        note(message)
    if not answer.words:
        raise NothingFoundError("no word found")
    write_words(answer.words, Style(json=json))


app.command()(serve)
