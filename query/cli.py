"""The command `query`: options in, answers out; no logic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ingest.connect import choose_collection, open_store
from ingest.store import Store
from model import terminal
from model.errors import UsageError
from model.picture import DEFAULT_MAX_MEGAPIXELS
from model.terminal import NothingFoundError, note
from model.words import Words
from query import render
from query.expression import Direction, Term, direction, parse
from query.search import Search, Space, collection_words
from query.source import Source

app = terminal.make_app("Ask a collection: pictures like a picture, pictures for words, words for a picture.")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many answers at most.")]
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
MinScore = Annotated[float, typer.Option("--min-score", help="Leave out lower scores.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
PathsOnly = Annotated[bool, typer.Option("--paths-only", help="Only the paths, one a line.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Only the paths, each ending in NUL, for xargs -0.")]
Megapixels = Annotated[int, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures; 0 lifts the limit.")]
Picture = Annotated[str, typer.Argument(help="A file, a URL, or - for standard input.", metavar="PICTURE")]
Text = Annotated[
    list[str], typer.Argument(help='Words: "ocean", "a red fire truck", "beach + sunset - people".', metavar="WORDS...")
]
ANY_SCORE = -math.inf


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
    min_score: MinScore = ANY_SCORE,
    collection: CollectionName = "",
    json: Json = False,
    paths_only: PathsOnly = False,
    null: Null = False,
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
    style = _style(json, paths_only, null)
    _check_score(min_score)
    with _search(
        open_store(store, url, api_key, snapshot, check=check), collection, source.path, max_megapixels
    ) as search:
        chosen = search.filter(label or (), under)
        asked = search.ask_about(source)
        if terms:
            _tell_unknown(direction(terms, search.words, asked.semantic), search.words)
        found = search.similar(asked, terms=terms, space=vector, limit=limit, filter=chosen, min_score=min_score)
        _need(found, lambda: search.why_nothing(chosen))
    render.write_found(found, style)


@app.command()
def text(
    words: Text,
    limit: Limit = 10,
    label: Label = None,
    under: Under = "",
    min_score: MinScore = ANY_SCORE,
    collection: CollectionName = "",
    json: Json = False,
    paths_only: PathsOnly = False,
    null: Null = False,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Pictures for words."""
    terms = parse(" ".join(words))
    style = _style(json, paths_only, null)
    _check_score(min_score)
    with _search(open_store(store, url, api_key, snapshot, check=check), collection) as search:
        asked = direction(terms, search.words)
        _tell_unknown(asked, search.words)
        chosen = search.filter(label or (), under)
        found = search.text(asked, limit=limit, filter=chosen, min_score=min_score)
        _need(found, lambda: search.why_nothing(chosen))
    render.write_found(found, style)


@app.command()
def tags(
    picture: Picture,
    limit: Limit = 10,
    labels: Annotated[str, typer.Option("--labels", help="Choose among these words only, between commas.")] = "",
    own_labels: Annotated[
        bool, typer.Option("--own-labels", help="Choose among the collection's own labels only.")
    ] = False,
    min_score: MinScore = ANY_SCORE,
    collection: CollectionName = "",
    json: Json = False,
    max_megapixels: Megapixels = DEFAULT_MAX_MEGAPIXELS,
    store: StoreDir = None,
    url: Url = "",
    api_key: ApiKey = "",
    snapshot: SnapshotDir = None,
    check: Check = False,
) -> None:
    """Words for a picture."""
    if labels and own_labels:
        raise UsageError("--labels and --own-labels exclude each other: choose one")
    source = Source(picture)
    with _search(
        open_store(store, url, api_key, snapshot, check=check), collection, source.path, max_megapixels
    ) as search:
        asked = search.ask_about(source)
        closed = [part.strip() for part in labels.split(",") if part.strip()] if labels else None
        found = search.tags(
            asked, limit=limit, min_score=min_score, labels=search.own_labels() if own_labels else closed
        )
    _need(found, lambda: "no word found")
    render.write_tags(found, _style(json))


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
    _need(found, lambda: "no word found")
    render.write_words(found, _style(json))


def _check_score(min_score: float) -> None:
    if math.isnan(min_score):
        raise UsageError("--min-score must be a number")


def _style(json: bool, paths_only: bool = False, null: bool = False) -> render.Style:
    if json and (paths_only or null):
        raise UsageError("--json and --paths-only exclude each other: choose one")
    return render.Style(json=json, paths_only=paths_only, null=null)


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


def _tell_unknown(asked: Direction, words: Words) -> None:
    if asked.unknown:
        note(f"{words.unknown_message(asked.unknown)}; searched without")


def _need(answers: Sequence[object], why: Callable[[], str]) -> None:
    if not answers:
        raise NothingFoundError(why())


def main() -> None:
    """Entry point of the console script."""
    terminal.run_cli(app)
