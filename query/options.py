"""The options that questions share, each declared once: what is asked, among which pictures, and how it is shown.

It must not know how a question is answered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ingest.errors import CollectionNotFound
from ingest.options import StoreOptions
from ingest.stores import Store, choose_collection, none_yet, open_store
from model.errors import UsageError
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from query.asking import AUTO, CollectionContext, Compared, Sort, Taken, check_min_score, join_collections
from query.output import Show, Style, TagFormat

COLLECTION_VARIABLE = "WORDSIGHT_COLLECTION"
ALL = "all"
"""Stands for all collections of a store, unless one of them is called so."""

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000_000, help="How many answers at most.")]
Least = Annotated[
    float, typer.Option("--min-score", help="Leave out lower scores.", show_default=False, callback=check_min_score)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Only the paths, each ending in NUL, for xargs -0.")]
Megapixels = Annotated[int, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures; 0 lifts the limit.")]


@dataclass(frozen=True, slots=True)
class PlaceOptions(StoreOptions):
    """Where collections are: in a store, on a server, or in a snapshot."""

    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="Ask a snapshot, offline.", show_default=False)
    ] = None
    check: Annotated[bool, typer.Option("--check", help="Take the checksums of the snapshot's files again.")] = False

    def open(self) -> Store:
        """The store, to be closed. Raises UsageError and StoreError as `ingest.stores.open_store`."""
        return open_store(self.store, self.url, self.api_key, self.snapshot, check=self.check, grpc_port=self.grpc_port)


@dataclass(frozen=True, slots=True)
class CollectionOptions(PlaceOptions):
    """The collections asked."""

    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", "-c", help="Which collection to ask; repeatable, or all.  [env var: WORDSIGHT_COLLECTION]"
        ),
    ] = None

    @contextmanager
    def asking(
        self, store: Store, near: Path | None = None, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS
    ) -> Iterator[CollectionContext]:
        """The collection in ``store``, opened. ``near``: a file that may tell which one is meant.

        Raises:
            UsageError: several were named.
        """
        with store.open(choose_collection(store, self.one(store), near)) as collection:
            yield CollectionContext(store, collection, max_megapixels=max_megapixels)

    @contextmanager
    def comparing(self, store: Store) -> Iterator[Compared]:
        """The collections named, as one; the one there is where none was named."""
        names = self.named(store) or [choose_collection(store, "")]
        with ExitStack() as opened:  # in one order: two that compare must not wait for each other
            collections = [opened.enter_context(store.open(name)) for name in sorted(names)]
            yield join_collections(collections)

    def named(self, store: Store) -> list[str]:
        """The collections that were named, each once; none where it is left open which one is meant.

        Raises:
            CollectionNotFound: one is not there, or ``all`` of a store that has none.
        """
        names = list(dict.fromkeys(self.collection or filter(None, [os.environ.get(COLLECTION_VARIABLE, "")])))
        if ALL not in names or ALL in store.names():
            return [choose_collection(store, name) for name in names]
        if not (there := sorted(store.collections())):
            raise CollectionNotFound(none_yet(store))
        return there

    def one(self, store: Store) -> str:
        """The collection that was named, empty where none was. Raises UsageError where several were."""
        names = self.named(store)
        if len(names) > 1:
            raise UsageError(f"this asks one collection: choose with -c {' | '.join(names)}")
        return names[0] if names else ""


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """Which pictures may be answers, and how many are wanted."""

    limit: Limit = 10
    label: Annotated[list[str] | None, typer.Option("--label", help="Only pictures with this label; repeatable.")] = (
        None
    )
    under: Annotated[str, typer.Option("--under", help="Only pictures below this folder of the dataset.")] = ""
    after: Annotated[
        str, typer.Option("--after", help="Only pictures taken on this day or later: 2019, 2019-07, 2019-07-03.")
    ] = ""
    before: Annotated[str, typer.Option("--before", help="Only pictures taken before this day.")] = ""
    camera: Annotated[str, typer.Option("--camera", help='Only by a camera with these words in its name: "d90".')] = ""
    near: Annotated[
        str,
        typer.Option("--near", help="Only taken so near to a place, in degrees and kilometres.", metavar="LAT,LON,KM"),
    ] = ""
    sort: Annotated[
        Sort, typer.Option("--sort", help="The answers by score, by date (the oldest first) or by name.")
    ] = Sort.SCORE
    existing: Annotated[bool, typer.Option("--existing", help="Only pictures whose files are there.")] = False
    min_score: Annotated[
        str,
        typer.Option(
            "--min-score",
            help="Leave out lower scores; auto: what stands out first, then the nearest.",
            metavar=f"S|{AUTO}",
        ),
    ] = ""

    @property
    def taken(self) -> Taken:
        """When, where and by which camera."""
        return Taken(self.after, self.before, self.camera, self.near)


@dataclass(frozen=True, slots=True)
class DuplicatesOptions:
    """Which of a group is kept, and which of the others are listed."""

    prefer: Annotated[
        str,
        typer.Option(
            "--prefer",
            help="Which is first: oldest, newest or largest of the files, or those below a folder; else the best.",
            metavar="WHICH",
        ),
    ] = ""
    label: Annotated[
        list[str] | None, typer.Option("--label", help="List only pictures with this label; repeatable.")
    ] = None
    under: Annotated[str, typer.Option("--under", help="List only pictures below this folder of the dataset.")] = ""
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="So many groups at most.", show_default=False)
    ] = None


@dataclass(frozen=True, slots=True)
class TagsShowOptions:
    """How words for a picture are shown."""

    json: Json = False
    html: Annotated[
        str,
        typer.Option("--html", help="Write the answers as a page too; - for standard output.", metavar="FILE"),
    ] = ""
    open_page: Annotated[bool, typer.Option("--open", help="Show that page in a browser.")] = False

    def show(self) -> Show:
        """Raises UsageError where options exclude each other, or the page cannot be written."""
        return Show(Style(json=self.json), self.html, self.open_page)


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """Words for every picture, and how they are written."""

    every: Annotated[bool, typer.Option("--all", help="Words for every picture of the collection.")] = False
    csv: Annotated[bool, typer.Option("--csv", help="With --all: file, word and score, between commas.")] = False
    xmp: Annotated[
        bool, typer.Option("--xmp", help="With --all: an XMP sidecar beside each picture; no picture is changed.")
    ] = False
    label: Annotated[
        list[str] | None, typer.Option("--label", help="With --all: only pictures with this label; repeatable.")
    ] = None
    under: Annotated[str, typer.Option("--under", help="With --all: only pictures below this folder.")] = ""

    def format(self, picture: str, shown: TagsShowOptions) -> TagFormat | None:
        """How words are written for every picture; None where they are wanted for one.

        Raises:
            UsageError: options that exclude or need each other.
        """
        if not self.every:
            if self.csv or self.xmp or self.label or self.under:
                raise UsageError("--csv, --xmp, --label and --under go with --all")
            return None
        if picture or shown.html or shown.open_page:
            raise UsageError(
                "--all takes every picture of the collection, as lines: leave out PICTURE, --html and --open"
            )
        chosen = [format for format, wanted in self._wanted(shown) if wanted]
        if len(chosen) > 1:
            raise UsageError("--csv, --json and --xmp exclude each other: choose one")
        return chosen[0] if chosen else TagFormat.LINES

    def _wanted(self, shown: TagsShowOptions) -> tuple[tuple[TagFormat, bool], ...]:
        return (TagFormat.CSV, self.csv), (TagFormat.JSON, shown.json), (TagFormat.XMP, self.xmp)


@dataclass(frozen=True, slots=True)
class ShowOptions(TagsShowOptions):
    """How pictures are shown."""

    paths_only: Annotated[bool, typer.Option("--paths-only", help="Only the paths, one a line.")] = False
    null: Null = False
    preview: Annotated[bool, typer.Option("--preview", help="Draw thumbnails in the terminal, where it can.")] = False

    def show(self) -> Show:
        """As for words."""
        return Show(style_of(self.json, self.paths_only, self.null), self.html, self.open_page, self.preview)


def style_of(json: bool, paths_only: bool, null: bool) -> Style:
    """How lines are written. Raises UsageError where the options exclude each other."""
    if json and (paths_only or null):
        raise UsageError("--json excludes --paths-only and -0: choose one")
    return Style(json=json, paths_only=paths_only, null=null)
