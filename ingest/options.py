"""Options that several commands share, each declared once. It must not know any command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreDir = Annotated[
    Path | None, typer.Option("--store", envvar="WORDSIGHT_STORE", help="Folder of the embedded store.")
]
Url = Annotated[str, typer.Option("--url", envvar="QDRANT_URL", help="Use a Qdrant server instead.")]
ApiKey = Annotated[
    str, typer.Option("--api-key", envvar="QDRANT_API_KEY", help="The server's key.", show_default=False)
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
