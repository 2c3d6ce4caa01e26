"""What people write around a word: mean average precision of each label in 20 frames beside that of the bare label.

    python benchmarks/frames.py FOLDER [WORDS] [PROJECTION]

Ingests the folder, whose sub-folders are the labels, with the bundled encoder into a store that is thrown away,
untrained or with ``best``, and asks for each label bare, in each frame and in the plural, without the names of folders.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from lemminflect import getInflection
from questions import precision as average_precision

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores.embedded import EmbeddedStore
from model.pair import BUNDLED
from query.asking import CollectionContext, Question, ask

FRAMES = (
    "a {}",
    "the {}",
    "photo of a {}",
    "a photo of the {}",
    "a picture of a {}",
    "pictures of my {}",
    "an image of one {}",
    "images with a {}",
    "show me a {}",
    "Show me all photos of a {}, please",
    "find {}",
    "find me pictures that show a {}",
    "I'm looking for a {}",
    "can you find a {}?",
    "is there a {} in this picture?",
    "{} photos",
    "{} on a white background",
    "a close-up of a {}",
    "photos in which there is a {}",
    "a {} isolated on a plain black background",
)

ADJECTIVES = ("a photo of a red {}", "a small {}", "black and white {}")
"""Which say something: with them, other pictures may be as right."""


PLURAL = "(plural)"


def main(folder: Path, words: str = BUNDLED.words, projection: str = "conse") -> None:
    with tempfile.TemporaryDirectory() as place, EmbeddedStore(Path(place) / "store") as store:
        options = Options(encoder=BUNDLED.encoder, words=words, projection=projection, offline=True)
        name = run_folder(store, folder, "", options).collection
        with store.open(name) as collection:
            write(CollectionContext(store, collection))


def write(context: CollectionContext) -> None:
    labels = list(context.collection.labels())
    bare = np.array([precision(context, label, label) for label in labels])
    print(f"frame\tmAP\tworst label\tits loss\n(bare)\t{bare.mean():.3f}")
    for frame in (*FRAMES, *ADJECTIVES, PLURAL):
        framed = np.array([precision(context, asked_as(frame, label), label) for label in labels])
        worst = int(np.argmin(framed - bare))
        print(f"{frame}\t{framed.mean():.3f}\t{labels[worst]}\t{framed[worst] - bare[worst]:+.3f}")


def asked_as(frame: str, label: str) -> str:
    return getInflection(label, "NNS")[0] if frame == PLURAL else frame.format(label)


def precision(context: CollectionContext, text: str, label: str) -> float:
    """Average precision over all pictures; what was not found counts as last."""
    count = context.collection.count()
    asked = replace(Question.in_words(text), limit=count, names=False)
    right = [hit.label == label for hit in ask(context, asked)]
    return average_precision(right, context.collection.labels()[label])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
