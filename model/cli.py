"""The command `model`: options in, tables out; no logic.

It knows no store: what finds stored vectors (`model.projections.training.StoredVectors`) is its context's object,
put there by whoever starts it (`ingest.__main__.model`); without one every picture is encoded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.encoders import encoder_names
from model.options import Device, EncoderName, FramingRule, Offline, WordsName, complete_encoder, complete_words
from model.pair import AUTO, STANDARD
from model.system import terminal
from model.words import words_names

app = terminal.make_app("Encoders, text spaces and projections: what is here, fetching more, training.")


@app.command()
def info() -> None:
    """What is installed or cached, and the parameter table of DeViSE."""
    from model import inventory

    inventory.write_info()


@app.command()
def verify() -> None:
    """Read every file in the cache and those that came with the installation, and make what is damaged again."""
    from model import verifying

    verifying.write_verified(verifying.verify())


@app.command()
def fetch(
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            help=f"Only this one: {', '.join(encoder_names())}.",
            autocompletion=complete_encoder,
            show_default=False,
        ),
    ] = "",
    words_space: Annotated[
        str,
        typer.Option(
            "--words-space",
            help=f"Only this one: {', '.join(words_names())}.",
            autocompletion=complete_words,
            show_default=False,
        ),
    ] = "",
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help=f"Take the weights of --encoder ({STANDARD.encoder}) from this file instead."),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(
            "--words",
            help=f"Take --words-space ({STANDARD.words}) from this file instead, such as glove.6B.zip or its text.",
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take files that are not the published ones.")
    ] = False,
) -> None:
    """Bring the standard pair into the cache, or what is named; a fetch that stopped early is resumed."""
    from model import fetching

    if weights:
        name = encoder or STANDARD.encoder
        sha256 = fetching.hand_over_weights(name, weights, unverified=unverified)
        terminal.note(f"{name} is ready, weights {sha256[:8]}")
    if words:
        name = words_space or STANDARD.words
        terminal.note(f"{name} is ready, {fetching.hand_over_words(name, words, unverified=unverified)[:8]}")
    if weights or words:
        return
    named = [name for name in (encoder, words_space) if name]
    if named:
        fetching.fetch_pair(encoder, words_space)
        terminal.note(f"ready: {', '.join(named)}")
    else:
        fetching.fetch_pair(STANDARD.encoder, STANDARD.words)
        terminal.note(f"the standard pair is ready: {STANDARD.encoder} with {STANDARD.words}")


@app.command()
def train(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="One sub-folder a label, ten pictures or more each.", metavar="FOLDER", parser=terminal.path
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the projection.")] = Path("head.safetensors"),
    encoder: EncoderName = AUTO,
    words: WordsName = AUTO,
    offline: Offline = False,
    recipe: Annotated[str, typer.Option(help="best, or document: the head of the DeViSE document.")] = "best",
    hold_out: Annotated[
        list[str] | None, typer.Option("--hold-out", help="Leave this label out of the training; repeatable.")
    ] = None,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.0, max=0.9, help="Share of each label held back to measure.")
    ] = 0.2,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="For --recipe document: 60 without it.", show_default=False)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            min=0,
            help="For --recipe document: stop after so many epochs without a gain.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="For the split and the training.")] = 0,
    device: Device = AUTO,
) -> None:
    """Train a projection on a labelled folder: `ingest run --projection FILE` uses it."""
    from model.projections.training import recipe_of, train_folder

    train_folder(
        folder,
        out,
        recipe=recipe_of(recipe, test_share=test_share, seed=seed, epochs=epochs, patience=patience),
        hold_out=hold_out or (),
        encoder=encoder,
        words=words,
        offline=offline,
        device=device,
        stored=context.obj,
    )


@app.command()
def evaluate(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="One sub-folder a label.", metavar="FOLDER", parser=terminal.path)],
    projection: Annotated[
        list[str] | None,
        typer.Option("--projection", help="A file, or conse, best, document; repeatable. Without it, these three."),
    ] = None,
    unseen: Annotated[
        Path | None, typer.Option("--unseen", help="A folder of labels that nothing is trained on.")
    ] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option("--hold-out", help="A label of FOLDER that nothing is trained on; repeatable.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write report.html, with curves, confusions and tags, into this folder."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a projection.")] = False,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.01, max=0.9, help="Share of each label held back to measure.")
    ] = 0.2,
    encoder: EncoderName = AUTO,
    words: WordsName = AUTO,
    framing: FramingRule = "",
    offline: Offline = False,
    seed: Annotated[int, typer.Option(help="For the split and the training.")] = 0,
    device: Device = AUTO,
) -> None:
    """Evaluate projections: hit@k, tags of unseen labels, text search for labels; beside the document's figures."""
    from model.judging import BUILT_KINDS, EvaluationSettings, write_figures
    from model.judging import evaluate as evaluate_projections

    if report:
        from model.judging import check_target

        check_target(report)
    settings = EvaluationSettings(folder, unseen, hold_out or (), test_share, seed)
    found = evaluate_projections(
        settings,
        projection or BUILT_KINDS,
        encoder=encoder,
        words=words,
        framing=framing,
        offline=offline,
        device=device,
        stored=context.obj,
    )
    try:
        if report:
            from model.judging import write_report

            terminal.note(f"written to {write_report(report, found)}")
    finally:  # what took minutes is written, whatever becomes of the page
        write_figures(found, as_json=json)
