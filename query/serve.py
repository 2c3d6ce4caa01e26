"""The command `query serve`: the web page and the HTTP API.

It must not know how requests are answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ingest.errors import CollectionNotFound
from ingest.options import takes_records
from ingest.stores import Store, choose_collection
from model.errors import UsageError
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from query.options import PlaceOptions

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_MAX_UPLOAD_MB = 50
DEFAULT_DECODE_MEMORY_MB = 512


@dataclass(frozen=True, slots=True)
class ServedOptions(PlaceOptions):
    """The collections served."""

    url: Annotated[str, typer.Option("--url", envvar="QDRANT_URL", help="Serve from a Qdrant server.")] = ""
    snapshot: Annotated[Path | None, typer.Option("--snapshot", help="Serve a snapshot.", show_default=False)] = None
    collection: Annotated[
        str,
        typer.Option(
            "--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="Serve only this one.", show_default=False
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where it listens, to whom, and what it takes."""

    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for all.")] = DEFAULT_HOST
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = DEFAULT_PORT
    token: Annotated[
        str,
        typer.Option("--token", envvar="WORDSIGHT_TOKEN", help="Clients must know this.", show_default=False),
    ] = ""
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody who reaches the host see the pictures.")
    ] = False
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Another name this server is called by, as behind a proxy; repeatable."),
    ] = None
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False
    fetch_urls: Annotated[
        bool,
        typer.Option("--fetch-urls", help="Fetch picture addresses for clients, public ones only."),
    ] = False
    fetch_private: Annotated[
        bool,
        typer.Option("--fetch-private", help="With --fetch-urls: those of this machine and its networks, too."),
    ] = False
    max_upload: Annotated[int, typer.Option("--max-upload", min=1, help="Refuse larger picture files, MB.")] = (
        DEFAULT_MAX_UPLOAD_MB
    )
    max_megapixels: Annotated[int, typer.Option("--max-megapixels", min=1, help="Refuse larger pictures.")] = (
        DEFAULT_MAX_MEGAPIXELS
    )
    decode_memory: Annotated[int, typer.Option("--decode-memory", min=64, help="Memory to decode pictures in, MB.")] = (
        DEFAULT_DECODE_MEMORY_MB
    )


@takes_records
def serve(options: ServerOptions, where: ServedOptions) -> None:
    """A web page to search on, and an HTTP API; Ctrl-C ends it."""
    try:
        from query.web.server import run
    except ImportError as error:
        raise UsageError(
            f"the web page needs two more packages ({error.name} is missing): pip install fastapi uvicorn"
        ) from error
    from query.web.security import Access
    from query.web.server import Settings
    from query.web.service import Limits

    if options.fetch_private and not options.fetch_urls:
        raise UsageError("--fetch-private says which addresses --fetch-urls fetches: give both")
    access = Access.decide(options.host, options.token, options.no_token, options.allow_host or ())
    settings = Settings(
        options.host,
        options.port,
        options.open_page,
        Limits(options.max_upload << 20, options.fetch_urls, options.fetch_private),
        options.max_megapixels,
        options.decode_memory << 20,
    )
    with where.open() as store:
        run(store, choose_served(store, where.collection), bool(where.collection), access, settings)


def choose_served(store: Store, collection: str) -> str:
    """The collection that is shown first: as a query would choose, else the first by name."""
    try:
        return choose_collection(store, collection)
    except CollectionNotFound:
        there = store.collections()
        if collection or not there:
            raise
        return min(there)
