"""How much of a picture an encoder sees: what is alike, found by its words, and at one end of a wide picture.

    python benchmarks/framing.py FOLDER [PICTURES=800] [ENCODER=efficientnet-lite0]

FOLDER has a folder a label. Of each picture three wide ones are made, 16:9, 20:9 and 4:1: to its right its mirror
image, blurred. "Own label": the share of wide ones to which a picture of their label is nearest, their own original
aside. "Own picture": the share to which their original is. Text: every label as a question, through ConSE.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from model.encoders import Encoder, encode_views, open_encoder
from model.encoders.base import need_classifier
from model.pictures import LeftOut, open_picture, scan
from model.pictures.framing import RULES, frame
from model.projections import ConseProjection, Header
from model.words import open_words

RATIOS = {"16:9": 16 / 9, "20:9": 20 / 9, "4:1": 4.0}
BATCH = 16


def widened(image: Image.Image, ratio: float) -> Image.Image:
    width, height = image.size
    longer = max(width, round(ratio * height))
    if longer == width:
        return image
    wide = Image.new("RGB", (longer, height))
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((longer - width, height))
    wide.paste(image, (0, 0))
    wide.paste(mirrored.filter(ImageFilter.GaussianBlur(height / 10)), (width, 0))
    return wide


def vectors(encoder: Encoder, images: list[Image.Image]) -> np.ndarray:
    found = [
        encode_views(encoder, [frame(image, encoder.spec.framing) for image in images[start : start + BATCH]])
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(found)


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def mean_precision(relevant: np.ndarray) -> float:
    """``relevant``: (questions, pictures) in the order found."""
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return float(((precision * relevant).sum(axis=1) / relevant.sum(axis=1)).mean())


def main(folder: Path, count: int, name: str) -> None:
    files = [file for file in scan(folder, LeftOut()) if file.label]
    most = -(-count // len({file.label for file in files}))
    labels_of: dict[str, int] = {}
    chosen = []
    for file in files:
        labels_of[file.label or ""] = labels_of.get(file.label or "", 0) + 1
        if labels_of[file.label or ""] <= most:
            chosen.append(file)
    labels = np.array([file.label for file in chosen])
    images = [open_picture(file.path.read_bytes()) for file in chosen]
    wide = {ratio: [widened(image, value) for image in images] for ratio, value in RATIOS.items()}
    print(f"{len(images)} pictures of {len(set(labels))} labels")
    for rule in sorted(RULES):
        encoder = open_encoder(name, framing=rule)
        began = time.perf_counter()
        own = unit(plain := vectors(encoder, images))
        seconds = time.perf_counter() - began
        scores = own @ own.T
        np.fill_diagonal(scores, -2)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
        alike = labels[order] == labels[:, None]
        row = f"{rule:10} similar P@10 {alike[:, :10].mean():.3f}, mAP {mean_precision(alike):.3f};"
        row += f" text mAP {text_precision(encoder, plain, labels):.3f};"
        for ratio, pictures in wide.items():
            nearest = unit(vectors(encoder, pictures)) @ own.T
            first = (nearest.argmax(axis=1) == np.arange(len(own))).mean()
            np.fill_diagonal(nearest, -2)
            row += f" {ratio} own label {(labels[nearest.argmax(axis=1)] == labels).mean():.3f}, picture {first:.3f};"
        print(f"{row} {len(images) / seconds:.0f} framed and encoded/s", flush=True)


def text_precision(encoder: Encoder, features: np.ndarray, labels: np.ndarray) -> float:
    words = open_words("glove-6b-50d")
    header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
    seen = unit(ConseProjection.build(need_classifier(encoder), header, words).project(features))
    asked = sorted(set(labels))
    questions = unit(words.embed(asked))
    order = np.argsort(-questions @ seen.T, axis=1, kind="stable")
    return mean_precision(labels[order] == np.array(asked)[:, None])


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 800,
        sys.argv[3] if len(sys.argv) > 3 else "efficientnet-lite0",
    )
