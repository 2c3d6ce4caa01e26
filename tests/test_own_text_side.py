"""An encoder that brings its own text side, as CLIP does: pictures and texts in one space, and no projection.

Made up of three numbers, so that all is known beforehand: a picture's vector is its mean colour, from -1 to 1 in
red, green and blue, and the text space embeds any sentence by the colours that it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores.embedded import EmbeddedStore
from model.encoders import EncoderSpec, register, unregister
from model.errors import UsageError, WordsError
from model.fetching import hand_over_weights, hand_over_words
from model.pictures import Framing
from model.projections import BestProjection, ConseProjection, DocumentProjection
from model.projections.training import recipe_of, train_folder
from model.system.atomic import new_dir
from model.system.download import RemoteFile
from model.words import NearWord, Phrase, TextSpace, TextSpaceSpec, open_words
from model.words import register as register_words
from model.words import unregister as unregister_words
from query import open_collection

NOWHERE = RemoteFile("http://127.0.0.1:9/nothing", 1, "0" * 64)
COLOURS = {"red": [1.0, -1.0, -1.0], "green": [-1.0, 1.0, -1.0], "blue": [-1.0, -1.0, 1.0], "white": [1.0, 1.0, 1.0]}

ENCODER = EncoderSpec(
    name="colour-tower",
    width=3,
    parameters=0,
    framing=Framing(32, 32, Image.Resampling.BILINEAR, (0.5,) * 3, (0.5,) * 3),
    weights=NOWHERE,
    licence="made up",
    gpu_batch=8,
    layer="mean colour",
    text_space="colour-words",
)


class MeanColour(nn.Module):
    """(n, 3, side, side) from -1 to 1, to (n, 3)."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean((2, 3))


class ColourWords(TextSpace):
    """Any sentence, embedded by the colours that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._colours = json.loads((folder / "colours.json").read_text())
        self.name, self.sha256, self.width = "colour-words", self._colours.pop("sha256"), 3

    def find(self, text: str) -> Phrase | None:
        named = [word for word in text.lower().split() if word in self._colours]
        if not named:
            return None
        total = np.sum([self._colours[word] for word in named], axis=0)
        return Phrase(text, np.asarray(total / np.linalg.norm(total), np.float32), (text,), ())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self.phrase(text).vector for text in texts])

    def iterate(self) -> Iterator[str]:
        yield from self._colours

    def nearest(self, vector: NDArray[np.float32], count: int, *, without: Sequence[str] = ()) -> list[NearWord]:
        found = [NearWord(word, float(self.phrase(word).vector @ vector)) for word in self._colours]
        return sorted(found, key=lambda near: -near.score)[:count]


@dataclass(frozen=True, slots=True)
class ColourWordsSpec(TextSpaceSpec):
    """Made from a JSON file of colours."""

    def prepare(self, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
        with new_dir(folder) as temporary:
            colours = json.loads(source.read_text())
            (temporary / "colours.json").write_text(json.dumps({**colours, "sha256": sha256}))
        advance(self.size(source))

    def open(self, folder: Path) -> ColourWords:
        return ColourWords(folder)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[None]:
    """Both sides registered, and in the cache."""
    register(ENCODER)(MeanColour)
    register_words(ColourWordsSpec("colour-words", 3, NOWHERE, "made up"))
    torch.save({}, tmp_path / "weights.pth")
    (tmp_path / "colours.json").write_text(json.dumps(COLOURS))
    hand_over_weights("colour-tower", tmp_path / "weights.pth", unverified=True)
    hand_over_words("colour-words", tmp_path / "colours.json", unverified=True)
    yield
    unregister("colour-tower")
    unregister_words("colour-words")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, colour in {"rose": (200, 10, 20), "leaf": (30, 180, 40), "sea": (0, 60, 220)}.items():
        path = tmp_path / f"pictures/{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (48, 40), colour).save(path)
    return tmp_path / "pictures"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Ten shades each of red and of blue."""
    for label, channel in (("red", 0), ("blue", 2)):
        (tmp_path / "labelled" / label).mkdir(parents=True)
        for shade in range(10):
            colour = [20, 20, 20]
            colour[channel] = 150 + 10 * shade
            Image.new("RGB", (48, 40), tuple(colour)).save(tmp_path / f"labelled/{label}/{shade}.png")
    return tmp_path / "labelled"


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store")


@pytest.mark.usefixtures("installed")
def test_a_folder_is_embedded_and_answers_sentences_without_a_projection(store: EmbeddedStore, pictures: Path) -> None:
    report = run_folder(store, pictures, "colours", Options(encoder="colour-tower"))
    assert (report.added, report.failed, report.total) == (3, 0, 3)
    metadata = store.metadata("colours")
    assert (metadata.encoder, metadata.words, metadata.projection) == ("colour-tower", "colour-words", "identity")
    assert dict(metadata.vectors) == {"visual": 3, "semantic": 3}
    with open_collection(store.root) as colours:
        answers = {
            text: [(hit.picture.path, round(hit.score, 3)) for hit in colours.text(text, limit=3)]
            for text in ("a red thing", "green", "the blue deep")
        }
    # rose is (200, 10, 20) / 127.5 - 1 = (0.569, -0.922, -0.843), of length 1.372: its cosine to red is 0.982
    assert answers["a red thing"] == [("rose.png", 0.982), ("leaf.png", -0.256), ("sea.png", -0.514)]
    assert answers["green"][0][0] == "leaf.png"
    assert answers["the blue deep"][0][0] == "sea.png"


@pytest.mark.usefixtures("installed")
def test_a_second_run_changes_nothing_and_its_projection_is_kept(store: EmbeddedStore, pictures: Path) -> None:
    run_folder(store, pictures, "colours", Options(encoder="colour-tower"))
    report = run_folder(store, pictures, "colours", Options())
    assert (report.added, report.unchanged) == (0, 3)
    assert store.metadata("colours").projection == "identity"


@pytest.mark.usefixtures("installed")
def test_labels_do_not_make_it_train_what_it_does_not_need(store: EmbeddedStore, labelled: Path) -> None:
    run_folder(store, labelled, "colours", Options(encoder="colour-tower"))
    metadata = store.metadata("colours")
    assert (metadata.projection, metadata.pending, tuple(metadata.trained)) == ("identity", "", ())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("projection", [ConseProjection.kind, BestProjection.kind])
def test_a_projection_that_reads_classes_is_refused_before_anything_is_embedded(
    store: EmbeddedStore, labelled: Path, projection: str
) -> None:
    with pytest.raises(UsageError, match=r"colour-tower has no classes of its own, .* --projection, or choose another"):
        run_folder(store, labelled, "colours", Options(encoder="colour-tower", projection=projection))
    assert store.names() == []


@pytest.mark.usefixtures("installed")
def test_the_documents_head_can_be_trained_in_its_own_text_space(store: EmbeddedStore, labelled: Path) -> None:
    run_folder(store, labelled, "colours", Options(encoder="colour-tower", projection=DocumentProjection.kind))
    metadata = store.metadata("colours")
    assert (metadata.projection, metadata.trained) == (DocumentProjection.kind, ("blue", "red"))


@pytest.mark.usefixtures("installed")
def test_with_other_words_it_needs_a_head_trained_before(store: EmbeddedStore, labelled: Path, tmp_path: Path) -> None:
    made_of = {"encoder": "colour-tower", "words": "glove-6b-50d"}
    with pytest.raises(UsageError, match="train the document's head with `model train FOLDER --recipe document`"):
        run_folder(store, labelled, "colours", Options(**made_of))
    assert store.names() == []
    head, choices = tmp_path / "head.safetensors", {"offline": True, "device": "cpu", **made_of}
    with pytest.raises(UsageError, match="has no classes of its own"):
        train_folder(labelled, head, recipe=recipe_of("best"), **choices)
    train_folder(labelled, head, recipe=recipe_of("document", epochs=3), **choices)
    run_folder(store, labelled, "colours", Options(**made_of, projection=str(head)))
    metadata = store.metadata("colours")
    assert (metadata.projection, metadata.vectors["semantic"]) == (DocumentProjection.kind, 50)


@pytest.mark.usefixtures("installed")
def test_an_unknown_text_is_refused_without_spellings() -> None:
    space = open_words("colour-words")
    assert space.phrase("a red thing").known == ("a red thing",)
    with pytest.raises(WordsError, match=r"^no vector for 'a thing': try another word$"):
        space.phrase("a thing")
