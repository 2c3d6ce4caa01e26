"""Tags and the probabilities that they are shown with: of tags with 0.7, are seven of ten right?

    python benchmarks/tags.py FOLDER [WORDS]

For the pictures of a folder with a sub-folder a label, on which nothing is trained (ConSE), ten tags each. A tag is
right where it is the label, or one of its first two senses is the label's first sense or stands above that in WordNet's
tree; so what else a picture shows counts as wrong, and the figures are lower bounds. Labels that are no noun of WordNet
are left out. Prints predicted and true shares by bins of the probability, and how often the label itself is among ten.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from model.class_space import shipped_nouns, spaced
from model.encoders import class_names, open_encoder
from model.judging.tagging import TaggedPictures
from model.pair import BUNDLED
from model.pictures import LeftOut, dataset_root, scan
from model.projections import ConseProjection, Header, prepared_questions
from model.projections.training import encode
from model.words import Vocabulary, forms, open_words

BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
TAGS = 10
SURE = 0.7
TREE = shipped_nouns()


def right_senses(label: str) -> set[int]:
    """The first sense of a label and all above it; empty for what is no noun."""
    noun = TREE.nouns.find(spaced(label)) or TREE.nouns.find(spaced(label) + "s")
    return {noun.senses[0], *TREE.above(noun.senses[0])} if noun else set()


def is_right(word: str, label: str, senses: set[int]) -> bool:
    noun = TREE.nouns.find(word)
    return word in forms(spaced(label)) or bool(noun and senses & set(noun.senses[:2]))


def main(folder: Path, space: str = BUNDLED.words) -> None:
    encoder, words = open_encoder(BUNDLED.encoder), open_words(space)
    files = [file for file in scan(dataset_root(folder), LeftOut()) if file.label]
    data = encode(files, encoder, None)
    header = Header("", encoder.spec.name, encoder.sha256, words.name, words.sha256)
    projection = ConseProjection.build(encoder.classifier, header, words)
    pictures = TaggedPictures(data.features, words, Vocabulary(words, class_names(encoder)), prepared_questions(words))
    tags_of = pictures.tagger(projection)
    scores, right, found = [], [], []
    for row, label in enumerate(data.labels):
        if not (senses := right_senses(label)):
            continue
        tags = tags_of(row)[:TAGS]
        scores += [tag.score for tag in tags]
        right += [is_right(tag.word, label, senses) for tag in tags]
        found.append(any(tag.word in forms(spaced(label)) for tag in tags))
    report(np.array(scores), np.array(right))
    print(f"the label itself among {TAGS} tags: {np.mean(found):.3f} of {len(found)} pictures")


def report(scores: np.ndarray, right: np.ndarray) -> None:
    print("probability\ttags\tshown\tright")
    for low, high in pairwise(BINS):
        rows = (scores > low) & (scores <= high)
        if rows.any():
            print(f"{low}-{high}\t{rows.sum()}\t{scores[rows].mean():.2f}\t{right[rows].mean():.2f}")
    sure = scores >= SURE
    print(f"{SURE} or more: {right[sure].mean():.2f} of {sure.sum()} are right" if sure.any() else f"none with {SURE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
