"""The command `query serve`: the web page and the HTTP API.

It must not know how requests are answered.
"""

from __future__ import annotations

import os
import re
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
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="Clients must know what is in this file, or in the variable WORDSIGHT_TOKEN.",
            show_default=False,
        ),
    ] = None
    token: Annotated[str, typer.Option("--token", hidden=True)] = ""
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
    cors: Annotated[
        list[str] | None,
        typer.Option("--cors", help="Another page that may ask, as https://photos.example; repeatable."),
    ] = None
    root_path: Annotated[
        str, typer.Option("--root-path", help="The path below which a proxy serves this, as /pictures.")
    ] = ""
    log: Annotated[str, typer.Option("--log", help="Write an access log to this file; - for standard error.")] = ""
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
    from query.web.access import Access
    from query.web.server import Settings
    from query.web.service import Limits

    if options.fetch_private and not options.fetch_urls:
        raise UsageError("--fetch-private says which addresses --fetch-urls fetches: give both")
    access = Access.decide(
        options.host, token_of(options), options.no_token, options.allow_host or (), options.cors or ()
    )
    settings = Settings(
        options.host,
        options.port,
        options.open_page,
        Limits(options.max_upload << 20, options.fetch_urls, options.fetch_private, bool(access.token)),
        options.max_megapixels,
        options.decode_memory << 20,
        options.log,
        checked_root(options.root_path),
    )
    with where.open() as store:
        run(store, choose_served(store, where.collection), bool(where.collection), access, settings)


def token_of(options: ServerOptions) -> str:
    """What clients have to know; empty where nothing was said.

    Raises:
        UsageError: it stands on the command line, or the file cannot be read or is empty.
    """
    if options.token:
        raise UsageError(
            "a token on the command line is seen by every user of this machine: put it into a file and name that by "
            "--token-file, or into the variable WORDSIGHT_TOKEN"
        )
    if options.token_file is None:
        return os.environ.get("WORDSIGHT_TOKEN", "")
    try:
        token = options.token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {options.token_file}: {error}") from error
    if not token:
        raise UsageError(f"no token in {options.token_file}")
    return token


def checked_root(path: str) -> str:
    """Raises UsageError where it is no path that a proxy could serve below."""
    if path and not re.fullmatch(r"(/[\w.~-]+)+/?", path):
        raise UsageError(f"--root-path takes a path, such as /pictures, not {path!r}")
    return path.rstrip("/")


def choose_served(store: Store, collection: str) -> str:
    """The collection that is shown first: as a query would choose, else the first by name; empty where there is none.

    The page then says how to make one, and shows it once it is there.
    """
    try:
        return choose_collection(store, collection)
    except CollectionNotFound:
        if collection:
            raise
        return min(store.collections(), default="")
