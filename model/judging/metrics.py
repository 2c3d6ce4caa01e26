"""Judging a projection: flat hit@k, words for pictures of labels never trained on, pictures for words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections import HASH_DIGITS, TAG_DEPTH, Projection, Tag, known_vectors, label_vectors, ranked
from model.words import TextSpace, Vocabulary, forms

HIT_AT = (1, 2, 3, 5, 10)
TAGS = 10
RESAMPLED = 1000
INTERVAL = (2.5, 97.5)

TRAIN, TEST, UNSEEN = "train", "test", "unseen"
PARTS = (TRAIN, TEST, UNSEEN)
CLOSED, JOINT, OPEN = "trained labels", "all labels", "tag vocabulary"
"""What a label is looked for among: the trained ones, these and the unseen ones, or every tag."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share in percent with its 95% interval, from resampling the pictures (or words) it is a mean of."""

    percent: float
    low: float
    high: float
    of: int

    @classmethod
    def of_values(cls, values: NDArray[np.floating] | NDArray[np.bool_], seed: int = 0) -> Share | None:
        """The mean of values in 0..1, None where there are none (Efron 1979)."""
        if not len(values):
            return None
        rng = np.random.default_rng(seed)
        numbers = np.asarray(values, np.float64)
        means = np.array([numbers[rng.integers(0, len(numbers), len(numbers))].mean() for _ in range(RESAMPLED)])
        low, high = np.percentile(means, INTERVAL) * 100
        return cls(round(float(numbers.mean() * 100), 1), round(float(low), 1), round(float(high), 1), len(numbers))


@dataclass(frozen=True)
class Sample:
    """One picture to judge by. ``path``: where it is. ``part``: train, test or unseen."""

    path: str
    label: str
    part: str
    sha256: str


@dataclass(frozen=True)
class Judged:
    """What a projection says of one picture.

    ``guess``: the nearest of all labels. ``tags``: as `query tags`. ``wanted``: its label as a tag, singular and
    plural.
    """

    sample: Sample
    guess: str
    tags: tuple[Tag, ...]
    wanted: frozenset[str]

    @property
    def rank(self) -> int:
        """How many tags stand before the very label; `TAGS` where it is not among them."""
        return next((rank for rank, tag in enumerate(self.tags) if tag.word in self.wanted), TAGS)

    @property
    def is_named(self) -> bool:
        return self.rank < TAGS


@dataclass(frozen=True)
class Evaluation:
    """The figures of one projection.

    ``hits``: (part, vocabulary) to k to the share of pictures with their label among the first k. ``named``: unseen
    pictures whose very label, or its plural, is among ten tags. ``mean_ap``, ``r_precision``: seen and unseen words.
    ``confusion``: (labels, labels) test pictures by label and guess, of ``labels``.
    """

    name: str
    labels: list[str]
    unseen: list[str]
    hits: dict[tuple[str, str], dict[int, Share]]
    harmonic: dict[int, float]
    named: tuple[int, int]
    mean_ap: dict[str, Share]
    r_precision: dict[str, Share]
    confusion: NDArray[np.int64]
    judged: list[Judged]
    history: list[dict[str, float]] = field(default_factory=list)


class Judge:
    """Pictures with their features, judged by one projection after another."""

    def __init__(self, samples: Sequence[Sample], features: Features, words: TextSpace, vocabulary: Vocabulary) -> None:
        self.samples = list(samples)
        self.features = features
        self.words = words
        self.vocabulary = vocabulary

    def parts(self, projection: Projection) -> list[Sample]:
        """The samples as this projection has seen them: only what it held back is test."""
        header = projection.header
        return [_placed(sample, header.labels, set(header.test)) for sample in self.samples]

    def evaluate(
        self, name: str, projection: Projection, advance: Callable[[int], None] = lambda _: None
    ) -> Evaluation:
        """All figures of a projection.

        Args:
            advance: told how many more pictures are done.
        """
        return _Case(name, projection, self, advance).evaluation()


def _placed(sample: Sample, trained: Mapping[str, int], test: set[str]) -> Sample:
    if not trained:  # nothing was trained: the split it came with
        return sample
    part = UNSEEN if sample.label not in trained else TEST if sample.sha256[:HASH_DIGITS] in test else TRAIN
    return Sample(sample.path, sample.label, part, sample.sha256)


class _Case:
    """One projection before the judge."""

    def __init__(self, name: str, projection: Projection, judge: Judge, advance: Callable[[int], None]) -> None:
        self.name, self.projection, self.words, self.advance = name, projection, judge.words, advance
        self.samples = judge.parts(projection)
        self.features = judge.features
        self.vocabulary = judge.vocabulary
        self.part = np.array([sample.part for sample in self.samples])
        trained = projection.header.labels  # also those that no picture here shows: they are in the way, too
        self.labels = sorted(trained or {sample.label for sample in self.samples if sample.part != UNSEEN})
        self.unseen = sorted({sample.label for sample in self.samples if sample.part == UNSEEN})
        every = [*self.labels, *self.unseen]
        self.own = np.array([every.index(sample.label) for sample in self.samples])
        self.every = every

    @cached_property
    def semantic(self) -> NDArray[np.float32]:
        return self.projection.project(self.features)

    @cached_property
    def closed_scores(self) -> NDArray[np.float32]:
        """(pictures, trained labels), by the labels' own word vectors, as the document counts hits."""
        vectors = [label_vectors([label], self.words) for label in self.labels]
        targets = np.stack([vector for one in vectors for vector in one.values()])
        return np.asarray(self.semantic @ targets.T, np.float32)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """Where each label is looked for, (labels, width): as a text query for it does."""
        found = [label_vectors([label], self.words) for label in self.every]
        return np.stack([self.projection.learnt.get(word, vector) for one in found for word, vector in one.items()])

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """(pictures, labels)."""
        return np.asarray(self.semantic @ self.directions.T, np.float32)

    def evaluation(self) -> Evaluation:
        judged = self._judged()
        hits = {
            (part, among): found for part in PARTS for among in (CLOSED, JOINT) if (found := self._hits(part, among))
        }
        hits.update({(part, OPEN): found for part in (TEST, UNSEEN) if (found := self._open_hits(part, judged))})
        test = self.part == TEST
        confusion = np.zeros((len(self.labels), len(self.labels)), np.int64)
        guesses = self.closed_scores.argmax(axis=1)
        np.add.at(confusion, (self.own[test], guesses[test]), 1)
        of_unseen = [one for one in judged if one.sample.part == UNSEEN]
        precision = {part: self._retrieved(part) for part in (TEST, UNSEEN)}
        return Evaluation(
            self.name,
            self.labels,
            self.unseen,
            {place: found for place, found in hits.items() if found},
            self._harmonic(hits),
            (sum(one.is_named for one in of_unseen), len(of_unseen)),
            {part: share for part, (ap, _) in precision.items() if (share := Share.of_values(ap))},
            {part: share for part, (_, r) in precision.items() if (share := Share.of_values(r))},
            confusion,
            judged,
            self.projection.header.history,
        )

    def _hits(self, part: str, among: str) -> dict[int, Share]:
        rows = self.part == part
        if among == CLOSED and part == UNSEEN:
            return {}  # its labels are not among them
        scores = self.closed_scores[rows] if among == CLOSED else self.scores[rows]
        own = np.take_along_axis(scores, self.own[rows, None], axis=1)
        return _shares((~(scores <= own)).sum(axis=1))  # so written, a number that is none hits nothing

    def _open_hits(self, part: str, judged: Sequence[Judged]) -> dict[int, Share]:
        ranks = [one.rank for one in judged if one.sample.part == part]
        return _shares(np.array(ranks))

    @staticmethod
    def _harmonic(hits: Mapping[tuple[str, str], Mapping[int, Share]]) -> dict[int, float]:
        """Generalised zero-shot: of test and unseen hits among all labels (Xian et al. 2017)."""
        seen, unseen = hits.get((TEST, JOINT), {}), hits.get((UNSEEN, JOINT), {})
        return {
            k: round(2 * seen[k].percent * unseen[k].percent / max(seen[k].percent + unseen[k].percent, 1e-9), 1)
            for k in seen
            if k in unseen
        }

    def _retrieved(self, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average precision and R-precision of each label of a part as a query; the pool is test and unseen."""
        pool = self.part != TRAIN
        precisions, at_r = [], []
        for label in sorted({sample.label for sample in self.samples if sample.part == part}):
            column = self.every.index(label)
            order = np.argsort(-self.scores[pool, column], kind="stable")
            relevant = (self.own[pool] == column)[order]
            found = np.flatnonzero(relevant)
            precisions.append(float(((np.arange(len(found)) + 1) / (found + 1)).mean()))
            at_r.append(float(relevant[: len(found)].mean()))
        return np.array(precisions), np.array(at_r)

    def _judged(self) -> list[Judged]:
        trained = known_vectors(self.projection.header.labels, self.words)
        wanted = {label: self._as_tags(label) for label in self.every}
        guesses = self.scores.argmax(axis=1)
        judged = []
        for row, sample in enumerate(self.samples):
            self.advance(1)
            if sample.part == TRAIN:
                continue
            reading = self.projection.read(self.features[row])
            near = self.vocabulary.nearest(reading.vector, TAG_DEPTH)
            candidates = {**known_vectors(reading.named, self.words), **trained}
            tags = tuple(ranked(reading, candidates, near, trained)[:TAGS])
            judged.append(Judged(sample, self.every[guesses[row]], tags, wanted[sample.label]))
        return judged

    def _as_tags(self, label: str) -> frozenset[str]:
        """``Dining_Table`` as the tags it may be found by: "dining table", "dining tables"."""
        return frozenset().union(*(forms(word) for word in label_vectors([label], self.words)))


def _shares(ranks: NDArray[np.int64]) -> dict[int, Share]:
    shares = {k: Share.of_values(ranks < k) for k in HIT_AT}
    return {k: share for k, share in shares.items() if share}
