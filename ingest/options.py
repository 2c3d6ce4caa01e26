"""Options that several commands share, each declared once: as records that a command takes whole.

It must not know what any command does with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ingest.stores import Layout, Store, open_store

StoreDir = Annotated[
    Path | None, typer.Option("--store", envvar="WORDSIGHT_STORE", help="Folder of the embedded store.")
]
Url = Annotated[
    str,
    typer.Option("--url", envvar="QDRANT_URL", help="Use a Qdrant server: its address, or those of its nodes."),
]
ApiKey = Annotated[
    str, typer.Option("--api-key", envvar="QDRANT_API_KEY", help="The server's key.", show_default=False)
]
GrpcPort = Annotated[
    str,
    typer.Option(
        "--grpc-port",
        envvar="QDRANT_GRPC_PORT",
        help="The server's, if not the one after that of --url; 0: REST alone.",
        show_default=False,
    ),
]
CollectionName = Annotated[
    str, typer.Option("--collection", "-c", envvar="WORDSIGHT_COLLECTION", help="Which collection.")
]
MaxMegapixels = Annotated[
    int, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures; 0 lifts the limit.")
]
MaxSeconds = Annotated[
    int,
    typer.Option("--max-seconds", min=0, help="Give a file up after this, plus 1 for each MB; 0 lifts the limit."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def takes_records(command: Callable[..., None]) -> Callable[..., None]:
    """A command for Typer; a parameter that is a dataclass stands for the options that are its fields.

    So that ``def status(place: StoreOptions)`` has the options ``--store``, ``--url`` and ``--api-key``. A field is
    written as the parameter would be: ``Annotated[type, typer.Option(...)] = default``.
    """
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    records: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    def options() -> Iterator[Parameter]:
        for name, parameter in signature(command).parameters.items():
            if name in records:
                yield from _options_of(records[name])
            else:
                yield parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)

    def run(**given: Any) -> None:
        made = {
            name: record(**{field.name: given.pop(field.name) for field in fields(record)})
            for name, record in records.items()
        }
        command(**made, **given)

    flat = list(options())
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    run.__signature__ = Signature(flat)  # type: ignore[attr-defined]  # what `inspect.signature` reads first
    return run


def _options_of(record: Any) -> Iterator[Parameter]:
    hints = get_type_hints(record, include_extras=True)
    for field in fields(record):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """The store a command talks to: a Qdrant server, or else a folder."""

    store: StoreDir = None
    url: Url = ""
    api_key: ApiKey = ""
    grpc_port: GrpcPort = ""

    def open(self) -> Store:
        """The store, to be closed. Raises StoreError where the server does not answer or the folder is a file."""
        return self.open_to_make(Layout())

    def open_to_make(self, layout: Layout) -> Store:
        """As `open`, where collections may be made."""
        return open_store(self.store, self.url, self.api_key, grpc_port=self.grpc_port, layout=layout)


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """How a collection that is made lies over the nodes of a server."""

    shards: Annotated[
        int | None,
        typer.Option("--shards", min=1, help="Of a new collection on a server: its parts.", show_default=False),
    ] = None
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, help="Copies of each part.", show_default=False)
    ] = None
    write_consistency: Annotated[
        int | None,
        typer.Option("--write-consistency", min=1, help="Copies that must have a write.", show_default=False),
    ] = None

    @property
    def layout(self) -> Layout:
        return Layout(self.shards, self.replicas, self.write_consistency)
