"""The two models behind the golden files: stand-ins that take little room, put where the product looks for its own.

* The encoder is mean colours through one matrix: sixteen of its features say something, the others are 0.
* The words are 58 of GloVe's, with their own vectors.

They go by the names and checksums of the pair that they stand for, so that every later version knows what the records
name, and can go on with them; the widths are real too. What is 0 takes next to no room in an archive.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from pyarrow import parquet
from safetensors.numpy import save_file
from torch import nn

from model.encoders import CLASSES, encoder_spec, export_dir
from model.encoders.onnx import CLASSIFIER_FILE, ONNX_FILE
from model.encoders.torch import Framed, export_onnx
from model.encoders.torchvision import imagenet_class_names
from model.system.packages import PackageFile
from model.system.prepared import seal
from model.words import words_dir, words_spec
from model.words.conversion import convert
from model.words.glove import PACKAGE_INDEX

ENCODER, TEXT_SPACE = "efficientnet-lite0", "glove-6b-50d"
"""What they stand for."""

CELLS = 2
ALIVE = list(range(0, 1280, 80))
"""Features that are not always 0."""

WORDS = """
    the of a red yellow blue lemon crab watch fruit orange banana lobster shrimp beach ocean clock time hand sand bird
    tree flower sunset sky boat ship chair lamp cup plate knife spoon hat shoe shirt camera piano guitar bridge church
    castle wheel bicycle train river cloud island storm kitchen juice market summer winter gold silver smile music
""".split()  # noqa: SIM905


def put_encoder() -> None:
    """Mean colours of four cells, through one matrix and a ReLU."""
    spec = encoder_spec(ENCODER)
    rng = np.random.default_rng(7)
    colours = 3 * CELLS * CELLS
    mixing = nn.Linear(colours, spec.width)
    with torch.no_grad():
        mixing.weight.zero_()
        mixing.weight[ALIVE] = torch.from_numpy(rng.integers(-3, 4, (len(ALIVE), colours)) / 2).float()
        mixing.bias.zero_()
        mixing.bias[ALIVE] = 0.25
    network = nn.Sequential(nn.AvgPool2d(spec.framing.crop // CELLS), nn.Flatten(), mixing, nn.ReLU())
    folder = export_dir(spec, spec.sha256)
    folder.mkdir(parents=True)
    export_onnx(Framed(spec, network).eval().requires_grad_(False), spec, folder / ONNX_FILE)
    rows = np.arange(CLASSES)
    weight = np.zeros((CLASSES, spec.width), np.float32)
    weight[rows, np.array(ALIVE)[rows % len(ALIVE)]] = 1 + (37 * rows % 64) / 32
    save_file(
        {"weight": weight, "bias": (rows * 611 % 1000 / 512 - 2).astype(np.float32)},
        folder / CLASSIFIER_FILE,
        {"classes": json.dumps(imagenet_class_names()), "encoder": spec.name, "sha256": spec.sha256},
    )
    seal(folder)


def put_words() -> None:
    """A few of GloVe's words, the most frequent first."""
    spec = words_spec(TEXT_SPACE)
    assert isinstance(spec.weights, PackageFile)
    source = spec.weights.path
    vectors = np.load(source, mmap_mode="r", allow_pickle=False)
    every = parquet.read_table(source.with_name(PACKAGE_INDEX)).column(0).to_pylist()
    rank = {word: row for row, word in enumerate(every)}
    rows = sorted(rank[word] for word in WORDS)
    block = ([every[row] for row in rows], np.array(vectors[rows], np.float32))
    convert([block], spec.name, spec.width, spec.sha256, words_dir(spec.name, spec.sha256))
