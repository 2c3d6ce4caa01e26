"""The command `query`: options in, answers out; no logic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ingest.stores import SEMANTIC, Filter, Store, choose_collection, open_store
from model.errors import UsageError
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.projections import read_vocabulary
from model.system import terminal
from model.system.events import note, progress
from model.system.terminal import NothingFoundError
from model.words import TextSpace
from query.asking import (
    DEFAULT_THRESHOLD,
    Cutoff,
    Direction,
    Found,
    Search,
    Source,
    Space,
    Term,
    collection_words,
    direction,
    find_duplicates,
    parse,
)
from query.output import Show, Style, ask_in_words, ask_with_picture, write_duplicates, write_words
from query.serve import serve

app = terminal.make_app("Ask a collection: pictures like a picture, pictures for words, words for a picture.")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000_000, help="How many answers at most.")]
CollectionName = Annotated[
    str, typer.Option("--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="Which collection to ask.")
]
StoreDir = Annotated[
    Path | None, typer.Option("--store", envvar="WORDSIGHT_STORE", help="Folder of the embedded store.")
]
Url = Annotated[str, typer.Option("--url", envvar="QDRANT_URL", help="Ask a Qdrant server instead.")]
ApiKey = Annotated[
    str, typer.Option("--api-key", envvar="QDRANT_API_KEY", help="The server's key.", show_default=False)
]
SnapshotDir = Annotated[Path | None, typer.Option("--snapshot", help="Ask a snapshot, offline.", show_default=False)]
Check = Annotated[bool, typer.Option("--check", help="Take the checksums of the snapshot's files again.")]
Label = Annotated[list[str] | None, typer.Option("--label", help="Only pictures with this label; repeatable.")]
Under = Annotated[str, typer.Option("--under", help="Only pictures below this folder of the dataset.")]
AutoScore = Annotated[
    str,
    typer.Option("--min-score", help="Leave out lower scores; auto: all that do not stand out.", metavar="S|auto"),
]
MinScore = Annotated[
    float,
    typer.Option("--min-score", help="Leave out lower scores.", show_default=False, callback=lambda s: _number(s)),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
PathsOnly = Annotated[bool, typer.Option("--paths-only", help="Only the paths, one a line.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Only the paths, each ending in NUL, for xargs -0.")]
Html = Annotated[
    str,
    typer.Option("--html", help="Write the answers as a page too; - for standard output.", metavar="FILE"),
]
Open = Annotated[bool, typer.Option("--open", help="Show that page in a browser.")]
Preview = Annotated[bool, typer.Option("--preview", help="Draw thumbnails in the terminal, where it can.")]
Megapixels = Annotated[int, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures; 0 lifts the limit.")]
Picture = Annotated[str, typer.Argument(help="A file, a URL, or - for standard input.", metavar="PICTURE")]
Text = Annotated[
    list[str], typer.Argument(help='Words: "ocean", "a red fire truck", "beach + sunset - people".', metavar="WORDS...")
]
ANY_SCORE = -math.inf
AUTO = "auto"


@app.command()
def similar(
    picture: Picture,
    plus: Annotated[list[str] | None, typer.Option("--plus", help="Words to move towards; repeatable.")] = None,
    minus: Annotated[list[str] | None, typer.Option("--minus", help="Words to move away from; repeatable.")] = None,
    vector: Annotated[
        Space | None,
        typer.Option("--vector", help="Compare by: visual, or semantic where words are added.", show_default=False),
    ] = None,
    limit: Limit = 10,
    label: Label = None,
    under: Under = "",
    min_score: AutoScore = "",
    collection: CollectionName = "",
    json: Json = False,
    paths_only: PathsOnly = False,
    null: Null = False,
    html: Html = "",
    open_page: Open = False,
    preview: Preview = False,
    max_megapixels: Megapixels = DEFAULT_MAX_MEGAPIXELS,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Pictures like a picture."""
    source = Source(picture)
    terms = [Term(text) for text in plus or ()] + [Term(text, -1.0) for text in minus or ()]
    show = Show(_style(json, paths_only, null), html, open_page, preview)
    least = _least(min_score)
    place = open_store(store, url, api_key, snapshot, check=check)
    with _search(place, collection, source.path, max_megapixels) as search:
        chosen = search.filter(label or (), under)
        asked = search.ask_about(source)
        if terms:
            _tell_unknown(search.towards(terms, asked.semantic_aim), search.words)
        cutoff = search.cutoff(search.aims(asked, terms, vector), asked.ids) if min_score == AUTO else None

        def ask(limit: int, least: float, cutoff: Cutoff | None) -> list[Found]:
            return search.similar(
                asked, terms=terms, space=vector, limit=limit, filter=chosen, min_score=least, cutoff=cutoff
            )

        found, told = _answers(ask, limit, least, cutoff)
        nothing = "" if found else told or search.why_nothing(chosen)
        question = None
        if show.page:
            question = ask_with_picture(search, place, source, asked, terms, _told(search, chosen, found, told))
    show.found(found, question, place)
    _need(found, nothing)


@app.command()
def text(
    words: Text,
    limit: Limit = 10,
    label: Label = None,
    under: Under = "",
    min_score: AutoScore = "",
    collection: CollectionName = "",
    json: Json = False,
    paths_only: PathsOnly = False,
    null: Null = False,
    html: Html = "",
    open_page: Open = False,
    preview: Preview = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Pictures for words."""
    terms = parse(" ".join(words))
    show = Show(_style(json, paths_only, null), html, open_page, preview)
    least = _least(min_score)
    place = open_store(store, url, api_key, snapshot, check=check)
    with _search(place, collection) as search:
        asked = search.towards(terms)
        _tell_unknown(asked, search.words)
        chosen = search.filter(label or (), under)
        cutoff = search.cutoff({SEMANTIC: asked.aim}) if min_score == AUTO else None

        def ask(limit: int, least: float, cutoff: Cutoff | None) -> list[Found]:
            return search.text(asked, limit=limit, filter=chosen, min_score=least, cutoff=cutoff)

        found, told = _answers(ask, limit, least, cutoff)
        nothing = "" if found else told or search.why_nothing(chosen)
        question = ask_in_words(terms, _told(search, chosen, found, told)) if show.page else None
    show.found(found, question, place)
    _need(found, nothing)


@app.command()
def tags(
    picture: Picture,
    limit: Limit = 10,
    labels: Annotated[str, typer.Option("--labels", help="Choose among these words only, between commas.")] = "",
    own_labels: Annotated[
        bool, typer.Option("--own-labels", help="Choose among the collection's own labels only.")
    ] = False,
    vocabulary: Annotated[
        Path | None, typer.Option("--vocabulary", help="Choose among the words in this file, one a line.")
    ] = None,
    min_score: MinScore = ANY_SCORE,
    collection: CollectionName = "",
    json: Json = False,
    html: Html = "",
    open_page: Open = False,
    max_megapixels: Megapixels = DEFAULT_MAX_MEGAPIXELS,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Words for a picture."""
    if bool(labels) + own_labels + bool(vocabulary) > 1:
        raise UsageError("--labels, --own-labels and --vocabulary exclude each other: choose one")
    source = Source(picture)
    show = Show(_style(json), html, open_page)
    place = open_store(store, url, api_key, snapshot, check=check)
    with _search(place, collection, source.path, max_megapixels) as search:
        asked = search.ask_about(source)
        closed = _closed(search, labels, own_labels, vocabulary)
        found = search.tags(asked, limit=limit, min_score=min_score, labels=closed)
        told = f"the words nearest to this picture, in collection {search.name}"
        question = ask_with_picture(search, place, source, asked, (), told) if show.page else None
    show.tags(found, question)
    _need(found, "no word found")


@app.command()
def duplicates(
    threshold: Annotated[
        float, typer.Option("--threshold", help="How near to the first of its group, as a cosine.")
    ] = DEFAULT_THRESHOLD,
    collection: CollectionName = "",
    json: Json = False,
    paths_only: Annotated[
        bool, typer.Option("--paths-only", help="Only the paths, without the first of each group.")
    ] = False,
    null: Null = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Groups of pictures that look the same, the best first; nothing is changed."""
    style = _style(json, paths_only, null)
    if not 0 < threshold <= 1:  # which NaN is not either
        raise UsageError(f"--threshold {threshold}: a cosine above 0, up to 1, is wanted")
    opened = open_store(store, url, api_key, snapshot, check=check)
    try:
        with (
            opened.open(choose_collection(opened, collection)) as pictures,
            progress("comparing", pictures.count(), unit="pictures") as shown,
        ):
            groups = find_duplicates(pictures, threshold, shown.advance)
    finally:
        opened.close()
    _need(groups, f"no picture looks like another: none reaches {threshold}")
    write_duplicates(groups, style)


@app.command()
def words(
    words: Text,
    limit: Limit = 10,
    min_score: MinScore = ANY_SCORE,
    collection: CollectionName = "",
    json: Json = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Words near a word, or near a sum of words."""
    terms = parse(" ".join(words))
    vectors = collection_words(open_store(store, url, api_key, snapshot, check=check), collection)
    asked = direction(terms, vectors)
    _tell_unknown(asked, vectors)
    near = vectors.nearest(asked.vector, limit, without=asked.known)
    found = [word for word in near if word.score >= min_score]
    _need(found, "no word found")
    write_words(found, _style(json))


app.command()(serve)


def _closed(search: Search, labels: str, own_labels: bool, vocabulary: Path | None) -> list[str] | None:
    """The words to choose among, None for the tag vocabulary."""
    if own_labels:
        return search.own_labels()
    if vocabulary:
        known, unknown = read_vocabulary(vocabulary, search.words)
        if unknown:
            more = ", ..." if len(unknown) > 5 else ""
            note(f"words in {vocabulary} without a vector, left out: {', '.join(unknown[:5])}{more}")
        return known
    return [part.strip() for part in labels.split(",") if part.strip()] if labels else None


def _least(min_score: str) -> float:
    """The score that the user typed, if any."""
    if min_score in ("", AUTO):
        return ANY_SCORE
    try:
        return _number(float(min_score))
    except ValueError:
        raise UsageError(f"--min-score takes a number or {AUTO!r}, not {min_score!r}") from None


def _number(score: float) -> float:
    if math.isnan(score):
        raise UsageError("--min-score takes a number, and 'nan' is none")
    return score


def _answers(
    ask: Callable[[int, float, Cutoff | None], list[Found]], limit: int, least: float, cutoff: Cutoff | None
) -> tuple[list[Found], str]:
    """What is found, and what was told of the rest; where nothing is, why, as far as scores are the reason."""
    found, told = ask(limit, least, cutoff), ""
    if len(found) == limit or (found and not cutoff):
        return found, told
    nearest = ask(len(found) + 1, ANY_SCORE, None)
    if cutoff:
        told = cutoff.told(len(found), len(nearest), nearest[0].score if nearest else None)
        if told and not found:
            told = f"{told}; without --min-score {AUTO} the nearest are shown"
        elif told:
            note(told)
    elif nearest:
        told = f"no picture scores {least:g} or more: the nearest scores {nearest[0].score:.4f}"
    return found, told


def _told(search: Search, chosen: Filter, found: Sequence[Found], cut: str) -> str:
    """For the head of a page: how much of what was found, and what was cut off."""
    kind = f" labelled {' or '.join(chosen.labels)}" if chosen.labels else ""
    under = f" under {chosen.under}" if chosen.under else ""
    searched = f"{search.count(chosen)} pictures{kind}{under} in collection {search.name}"
    return f"{cut} ({searched})" if cut else f"{len(found)} of {searched}"


def _style(json: bool, paths_only: bool = False, null: bool = False) -> Style:
    if json and (paths_only or null):
        raise UsageError("--json excludes --paths-only and -0: choose one")
    return Style(json=json, paths_only=paths_only, null=null)


@contextmanager
def _search(
    store: Store,
    collection: str,
    near: Path | None = None,
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
) -> Iterator[Search]:
    try:
        with store.open(choose_collection(store, collection, near)) as opened:
            yield Search(store, opened, max_megapixels=max_megapixels)
    finally:
        store.close()


def _tell_unknown(asked: Direction, words: TextSpace) -> None:
    if asked.unknown:
        note(f"{words.unknown_message(asked.unknown)}; searched without")


def _need(answers: Sequence[object], why: str) -> None:
    if not answers:
        raise NothingFoundError(why)
