"""The command `model`: options in, tables out; no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model import terminal
from model.pair import AUTO

app = terminal.make_app("Encoders, word vectors and projections: what is here, fetching more, training.")


@app.command()
def info() -> None:
    """What is installed or cached, and the parameter table of DeViSE."""
    from model import inventory

    inventory.write_info()


@app.command()
def fetch(
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Take VGG16's weights from this file, without network.")
    ] = None,
    words: Annotated[
        Path | None, typer.Option("--words", help="Take GloVe from this glove.6B.zip or text file, without network.")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take files that are not the published ones.")
    ] = False,
) -> None:
    """Bring VGG16's weights and GloVe 300-d into the cache: 1.3 GB, resumed where a try stopped."""
    from model import pair

    if weights:
        terminal.note(f"vgg16 ready, weights {pair.hand_over_weights(weights, unverified=unverified)[:8]}")
    if words:
        terminal.note(f"glove-6b-300d ready, {pair.hand_over_words(words, unverified=unverified)[:8]}")
    if not weights and not words:
        pair.fetch_standard()
        terminal.note("the standard pair is ready: vgg16 with glove-6b-300d")


@app.command()
def train(
    folder: Annotated[
        Path, typer.Argument(help="One sub-folder a label, ten pictures or more each.", metavar="FOLDER")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the head.")] = Path("head.safetensors"),
    encoder: Annotated[str, typer.Option(help="vgg16, efficientnet-lite0, or auto.")] = AUTO,
    words: Annotated[str, typer.Option(help="glove-6b-300d, glove-6b-50d, or auto.")] = AUTO,
    offline: Annotated[
        bool, typer.Option("--offline", envvar="WORDSIGHT_OFFLINE", help="Do not try to fetch the standard pair.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the split and the training.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: for encoding.")] = AUTO,
) -> None:
    """Train a DeViSE head on a labelled folder: `ingest run --projection FILE` uses it."""
    from model.trainer import train_folder

    train_folder(folder, out, encoder=encoder, words=words, offline=offline, seed=seed, device=device)


def main() -> None:
    """Entry point of the console script."""
    terminal.run_cli(app)
