"""The command `query serve`: the web page and the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.errors import CollectionNotFound
from ingest.stores import Store, choose_collection, open_store
from model.errors import UsageError
from model.pictures import DEFAULT_MAX_MEGAPIXELS

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_MAX_UPLOAD_MB = 50


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for all.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = DEFAULT_PORT,
    token: Annotated[
        str,
        typer.Option("--token", envvar="WORDSIGHT_TOKEN", help="Clients must know this.", show_default=False),
    ] = "",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody who reaches the host see the pictures.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Another name this server is called by, as behind a proxy; repeatable."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    fetch_urls: Annotated[
        bool,
        typer.Option(
            "--fetch-urls", help="Fetch picture addresses for clients, who then reach what this machine reaches."
        ),
    ] = False,
    max_upload: Annotated[
        int, typer.Option("--max-upload", min=1, help="Refuse larger picture files, MB.")
    ] = DEFAULT_MAX_UPLOAD_MB,
    max_megapixels: Annotated[
        int, typer.Option("--max-megapixels", min=1, help="Refuse larger pictures.")
    ] = DEFAULT_MAX_MEGAPIXELS,
    collection: Annotated[
        str,
        typer.Option(
            "--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="Serve only this one.", show_default=False
        ),
    ] = "",
    store: Annotated[
        Path | None, typer.Option("--store", envvar="WORDSIGHT_STORE", help="Folder of the embedded store.")
    ] = None,
    url: Annotated[str, typer.Option("--url", envvar="QDRANT_URL", help="Serve from a Qdrant server.")] = "",
    api_key: Annotated[
        str, typer.Option("--api-key", envvar="QDRANT_API_KEY", help="The server's key.", show_default=False)
    ] = "",
    snapshot: Annotated[Path | None, typer.Option("--snapshot", help="Serve a snapshot.", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Take the checksums of the snapshot's files again.")] = False,
) -> None:
    """A web page to search on, and an HTTP API; Ctrl-C ends it."""
    try:
        from query.web.server import Settings, run
    except ImportError as error:
        raise UsageError(
            f"the web page needs two more packages ({error.name} is missing): pip install fastapi uvicorn"
        ) from error
    from query.web.security import Access

    access = Access.decide(host, token, no_token, allow_host or ())
    opened = open_store(store, url, api_key, snapshot, check=check)
    settings = Settings(host, port, open_page, fetch_urls, max_upload << 20, max_megapixels)
    run(opened, choose_served(opened, collection), bool(collection), access, settings)


def choose_served(store: Store, collection: str) -> str:
    """The collection that is shown first: as a query would choose, else the first by name."""
    try:
        return choose_collection(store, collection)
    except CollectionNotFound:
        there = store.collections()
        if collection or not there:
            raise
        return min(there)
