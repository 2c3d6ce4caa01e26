"""Options that commands of several layers share, and what a shell completes them with. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from model.encoders import DEVICES, encoder_names
from model.pair import AUTO
from model.pictures import framing_names
from model.words import words_names


def _completing(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def complete_encoder(incomplete: str) -> list[str]:
    """Names of encoders that begin so, and auto."""
    return _completing([*encoder_names(), AUTO], incomplete)


def complete_words(incomplete: str) -> list[str]:
    """Names of text spaces that begin so, and auto."""
    return _completing([*words_names(), AUTO], incomplete)


def complete_framing(incomplete: str) -> list[str]:
    """Names of framings that begin so."""
    return _completing(framing_names(), incomplete)


def complete_device(incomplete: str) -> list[str]:
    """Devices that begin so."""
    return _completing(list(DEVICES), incomplete)


EncoderName = Annotated[
    str,
    typer.Option(
        "--encoder",
        help=f"{', '.join(encoder_names())}; auto: the standard pair's where it is available.",
        autocompletion=complete_encoder,
    ),
]
WordsName = Annotated[
    str,
    typer.Option(
        "--words",
        help=f"Text space: {', '.join(words_names())}; auto: what goes with the encoder.",
        autocompletion=complete_words,
    ),
]
FramingRule = Annotated[
    str,
    typer.Option(
        "--framing",
        help="How the encoder sees a picture: whole, or published, the centre square; else as it is made for.",
        autocompletion=complete_framing,
        show_default=False,
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, or auto: what encodes.", autocompletion=complete_device)
]
Offline = Annotated[
    bool, typer.Option("--offline", envvar="WORDSIGHT_OFFLINE", help="Do not try to fetch the standard pair.")
]
