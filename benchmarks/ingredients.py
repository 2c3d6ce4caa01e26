"""What each ingredient of answering questions by classes gives, and what it costs: it is left out, or made otherwise.

    python benchmarks/ingredients.py FOLDER QUESTIONS.tsv

FOLDER has one sub-folder a label; nothing is trained. Printed are, for each way, mean average precision of the
questions of the table over all pictures; the difference to what is shipped, with an interval that holds 95 of 100
bootstrap samples of the labels; the same mean over the questions that people ask by a rare word or in many words
(synonyms and descriptions); the texts that a question has embedded, and the milliseconds that it takes beside that and
its search. Before, what the tables take on disk, and how long a picture waits for its neighbours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
from ablation import constants
from numpy.typing import NDArray
from questions import Asked, interval, precision, read

from model.class_space import evidence, open_class_space, prepared, question, space
from model.class_space.nouns import lines
from model.class_space.question import QuestionWeights, strongest
from model.class_space.space import ClassSpace, Floats, softmax, unit
from model.encoders import Classifier, need_classifier, open_encoder
from model.pair import BUNDLED
from model.pictures import LeftOut, dataset_root, scan
from model.projections import ConseProjection, Header, imagenet_classes, prepare_classes
from model.projections.classes import class_vectors
from model.projections.training import encode
from model.words import TextSpace, open_words
from query.asking import Question

FEEDBACK = 20
FEEDBACK_SHARE = 0.5
"""Of the pictures that answer best, their mean looks as one more question."""

CONSE_WIDE, CONSE_TEMPERATURE = 30, 3.0
HARD = ("synonym", "described")

Change = tuple[object, str, object]


@dataclass(frozen=True)
class World:
    """Pictures, and the text space with every text that was embedded once."""

    features: Floats
    labels: NDArray[np.str_]
    classifier: Classifier
    words: TextSpace
    questions: Sequence[Asked]
    vectors: dict[str, Floats] = field(default_factory=dict)
    embedded: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> Floats:
        self.embedded.extend(texts)
        new = sorted({text for text in texts if text not in self.vectors})
        if new:
            self.vectors.update(zip(new, self.words.embed(new), strict=True))
        return np.stack([self.vectors[text] for text in texts])

    @cached_property
    def looks(self) -> Floats:
        return unit(self.features)

    @cached_property
    def logits(self) -> Floats:
        return np.asarray(self.classifier.logits(self.features), np.float32)

    @cached_property
    def near(self) -> tuple[NDArray[np.intp], Floats]:
        """The nearest others of each picture, and their cosines."""
        cosines = self.looks @ self.looks.T
        np.fill_diagonal(cosines, -1)
        rows = np.argsort(-cosines, axis=1, kind="stable")[:, : evidence.NEIGHBOURS]
        return rows, np.take_along_axis(cosines, rows, 1)

    def shown(self, temperature: float = 1.0) -> Floats:
        """(n, 1000), as a collection has it."""
        own = softmax(self.logits / temperature)
        rows, cosines = self.near
        share = evidence.neighbour_shares(own.shape[1], 0)
        smooth = np.stack([evidence.smoothed(own[i], own[rows[i]], cosines[i], share) for i in range(len(own))])
        return np.where(smooth > evidence.LEAST_PROBABILITY, smooth, 0).astype(np.float32)

    @cached_property
    def shipped(self) -> QuestionWeights:
        return open_class_space(prepare_classes(self.words))

    def rebuilt(self) -> QuestionWeights:
        """With nodes and classes made anew, by the constants that hold now."""
        tables = prepared._read(prepared.SHIPPED / "nouns.npz")
        glosses = prepared._read(prepared.SHIPPED / f"nouns-{self.words.name}.npz")["node_glosses"]
        frequent = [word for word in self.words.iterate() if len(word) > 2 and word.isalpha()]
        frequent = list(islice(frequent, prepared.FREQUENT_WORDS))
        names = [named.name for named in imagenet_classes()]
        built = ClassSpace.build(tables, glosses.astype(np.float32), names, frequent, self.embed)
        return replace(self.shipped, space=built)


Scores = tuple[list[float], float, float]
"""Average precision of each question; how many texts it has embedded, and its milliseconds beside that."""


def scored(world: World, weights: QuestionWeights, shown: Floats, cut: int = 200) -> Scores:
    return timed(world, weights, lambda rows, values: shown[:, rows] @ values, cut)


def timed(
    world: World, weights: QuestionWeights, score: Callable[[NDArray[np.uint32], Floats], Floats], cut: int = 200
) -> Scores:
    found, spent = [], []
    for _ in range(2):  # the first embeds what is new
        found.clear()
        spent.clear()
        world.embedded.clear()
        for asked in world.questions:
            terms = Question.in_words(asked.text).terms
            start = perf_counter()
            rows, values = strongest(sum(term.weight * weights.weigh(term.text, world.embed) for term in terms), cut)
            spent.append(perf_counter() - start)
            found.append(average(world, asked, score(rows, values)))
    return found, len(world.embedded) / len(found), 1000 * float(np.median(spent))


def average(world: World, asked: Asked, scores: Floats) -> float:
    right = np.isin(world.labels, list(asked.labels))
    return precision(right[np.argsort(-scores, kind="stable")].tolist(), int(right.sum()))


def with_changes(*changes: Change, rebuild: bool = False) -> Callable[[World], Scores]:
    def score(world: World) -> Scores:
        with constants(*changes):
            return scored(world, world.rebuilt() if rebuild else world.shipped, world.shown())

    return score


def with_pictures(make: Callable[[Floats], Floats]) -> Callable[[World], Scores]:
    return lambda world: scored(world, world.shipped, make(world.shown()))


def embedded_frames(world: World) -> Scores:
    """Three texts a noun go through the model."""

    def weigh(self: QuestionWeights, text: str, embed: space.Embed) -> Floats:
        noun = self.nouns.find(text)
        if noun is None:
            return np.asarray(self.of_sentences(embed([text]))[0], np.float32)
        frames = ("{}", "a photo of a {}", "a kind of {}")
        vectors = [embed([frame.format(one) for frame in frames]).sum(axis=0) for one in {text, noun.lemma}]
        return self.of_noun(noun, self.of_sentences(unit(sum(map(unit, vectors))[None]))[0])

    with patch.object(QuestionWeights, "weigh", weigh):
        return scored(world, world.shipped, world.shown())


def feedback(world: World) -> Scores:
    """In place of neighbours: the best answers' looks, asked with at question time."""
    with patch.object(evidence, "NEIGHBOUR_SHARE", 0.0):
        pictures = world.shown()

    def score(rows: NDArray[np.uint32], values: Floats) -> Floats:
        scores = pictures[:, rows] @ values
        best = np.argsort(-scores)[:FEEDBACK]
        alike = world.looks @ unit(world.looks[best].mean(axis=0))
        return np.asarray(scores / scores.max() + FEEDBACK_SHARE * alike / alike.max(), np.float32)

    return timed(world, world.shipped, score)


def by_one_vector(make: Callable[[World, TextSpace], Floats], words: str = BUNDLED.words) -> Callable[[World], Scores]:
    """One vector a picture in the text space, and the question's own beside it."""

    def score(world: World) -> Scores:
        text_space = open_words(words)
        pictures = make(world, text_space)
        phrases = [text_space.find(asked.text) for asked in world.questions]
        found = [
            average(world, asked, pictures @ phrase.vector) if phrase else 0.0
            for asked, phrase in zip(world.questions, phrases, strict=True)
        ]
        return found, 1.0, 0.0

    return score


def conse(world: World, text_space: TextSpace) -> Floats:
    header = Header("", BUNDLED.encoder, "", text_space.name, text_space.sha256)
    return ConseProjection.build(world.classifier, header, text_space).through_classes(world.logits)


def wide_conse(world: World, text_space: TextSpace) -> Floats:
    odds = softmax(world.logits / CONSE_TEMPERATURE)
    least = np.sort(odds, axis=1)[:, -CONSE_WIDE, None]
    return unit(np.where(odds >= least, odds, 0) @ class_vectors(imagenet_classes(), text_space))


def only_nodes(self: QuestionWeights, vectors: Floats) -> Floats:
    return self.space.through_nodes(vectors)


def only_direct(self: QuestionWeights, vectors: Floats) -> Floats:
    return self.space.direct(vectors)


def plain(_: QuestionWeights, vectors: Floats) -> Floats:
    return vectors


def same_word(self: QuestionWeights, text: str, embed: space.Embed) -> Floats:
    noun = self.nouns.find(text)
    sentence = self.of_sentences(self.framed(embed([text])) if noun else embed([text]))[0]
    return self.of_noun(noun, sentence) if noun else sentence


ENDLESS = 1001

CASES: dict[str, Callable[[World], Scores]] = {
    "as it is": with_changes(),
    "- neighbours": with_changes((evidence, "NEIGHBOUR_SHARE", 0.0)),
    "neighbours by half": with_changes((evidence, "NEIGHBOUR_SHARE", 0.5)),
    "neighbours by nine tenths": with_changes((evidence, "NEIGHBOUR_SHARE", 0.9)),
    "neighbours however little alike": with_changes((evidence, "UNLIKE", -1.0), (evidence, "LIKE", -0.5)),
    "5 neighbours": with_changes((evidence, "NEIGHBOURS", 5)),
    "the best answers' looks, instead of neighbours": feedback,
    "- nodes of the tree": with_changes((QuestionWeights, "of_sentences", only_direct)),
    "- classes directly": with_changes((QuestionWeights, "of_sentences", only_nodes)),
    "- glosses of nodes": with_changes((space, "NODE_GLOSS", 0.0), rebuild=True),
    "- glosses of classes": with_changes((space, "CLASS_GLOSS", 0.0), rebuild=True),
    "- what classes belong to": with_changes((space, "CLASS_ANCESTORS", 0.0), rebuild=True),
    "- all three": with_changes(
        (space, "NODE_GLOSS", 0.0), (space, "CLASS_GLOSS", 0.0), (space, "CLASS_ANCESTORS", 0.0), rebuild=True
    ),
    "- how near words usually are to a class": lambda world: scored(
        world,
        replace(world.shipped, space=replace(world.shipped.space, usual=np.zeros(1000, np.float32))),
        world.shown(),
    ),
    "softmax over nodes half as sharp": with_changes((space, "NODE_SHARPNESS", 12.5)),
    "softmax over classes half as sharp": with_changes((space, "CLASS_SHARPNESS", 10.0)),
    "- frames": with_changes((QuestionWeights, "framed", plain)),
    "frames embedded, not by regression": embedded_frames,
    "- senses": with_changes((question, "SENSES_SHARE", 0.0), (question, "RARE_SENSES_SHARE", 0.0)),
    "senses alone, for nouns": with_changes((question, "SENSES_SHARE", 1.0), (question, "RARE_SENSES_SHARE", 1.0)),
    "- more senses for rare words": with_changes((question, "RARE_SENSES_SHARE", question.SENSES_SHARE)),
    "- the singular beside a plural": with_changes((QuestionWeights, "weigh", same_word)),
    "all classes of a question": lambda world: scored(world, world.shipped, world.shown(), ENDLESS),
    "all classes of a picture": with_changes((evidence, "LEAST_PROBABILITY", 0.0)),
    "30 classes of a question": lambda world: scored(world, world.shipped, world.shown(), 30),
    "root of probabilities": with_pictures(lambda shown: np.sqrt(shown)),
    "probabilities of unit length": with_pictures(unit),
    "temperature 2": lambda world: scored(world, world.shipped, world.shown(2.0)),
    "one vector: minilm, 30 classes of softmax(logits / 3)": by_one_vector(wide_conse),
    "one vector: minilm, ConSE": by_one_vector(conse),
    "one vector: GloVe 50, ConSE": by_one_vector(conse, "glove-6b-50d"),
}


def main(folder: Path, table: Path) -> None:
    encoder, words = open_encoder(BUNDLED.encoder), open_words(BUNDLED.words)
    data = encode([file for file in scan(dataset_root(folder), LeftOut()) if file.label], encoder)
    world = World(data.features, np.array(data.labels), need_classifier(encoder), words, read(table))
    sizes(world)
    base = CASES["as it is"](world)[0]
    every = [asked.labels for asked in world.questions]
    hard = [row for row, asked in enumerate(world.questions) if asked.kind in HARD]
    print("\nway\tmAP\tdifference\tinterval\tsynonyms and descriptions\ttexts\tms")
    for name, score in CASES.items():
        found, texts, spent = score(world)
        differences = np.subtract(found, base).tolist()
        low, high = interval(differences, every)
        cells = f"{np.mean(found):.3f}\t{np.mean(differences):+.3f}\t{low:+.3f} to {high:+.3f}"
        print(f"{name}\t{cells}\t{np.mean([found[i] for i in hard]):.3f}\t{texts:.1f}\t{spent:.2f}", flush=True)


def sizes(world: World) -> None:
    for path in (prepared.SHIPPED / "nouns.npz", prepared.SHIPPED / f"nouns-{world.words.name}.npz"):
        print(f"{path.name}\t{path.stat().st_size / 1e6:.1f} MB")
    for path in sorted(prepare_classes(world.words).glob("*.npy")):
        print(f"prepared {path.stem}\t{path.stat().st_size / 1e6:.2f} MB")
    nodes = lines(prepared._read(prepared.SHIPPED / "nouns.npz")["node_lemmas"])
    lemmas = {lemma for node in nodes for lemma in node.split("\t")}
    print(f"embedded for it\t{len(lemmas)} lemmas of {len(nodes)} nodes")
    for what, make in (("comparing", lambda: world.near), ("smoothing", world.shown)):
        start = perf_counter()
        make()
        print(f"{what}\t{1000 * (perf_counter() - start) / len(world.labels):.2f} ms a picture")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
