"""The metrics of a projection: flat hit@k, tags of pictures of unseen labels, text search for labels.

It must not know folders or encoders: pictures are features here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.class_space import QuestionWeights
from model.encoders import Features
from model.judging.evaluation import (
    ALL_LABELS,
    PARTS,
    TAG_VOCABULARY,
    TAGS,
    TEST,
    TRAIN,
    TRAINED_LABELS,
    UNSEEN,
    Estimate,
    Evaluation,
    Prediction,
    Sample,
)
from model.judging.tagging import TaggedPictures, TagWords
from model.projections import HASH_DIGITS, Projection, label_vectors
from model.projections.training import HIT_AT, ranks
from model.words import TextSpace, forms

Hits = dict[tuple[str, str], dict[int, Estimate]]


class Scorer:
    """Pictures with their features, on which one projection after another is evaluated.

    Args:
        features: (n, width), a row a sample. space: what words mean among the classes, where tags are found by that.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        features: Features,
        words: TextSpace,
        vocabulary: TagWords,
        space: QuestionWeights | None = None,
    ) -> None:
        self.samples = list(samples)
        self.words = words
        self.tagged = TaggedPictures(features, words, vocabulary, space)

    def parts(self, projection: Projection) -> list[Sample]:
        """The samples in the parts they have for this projection: only what it held back is test."""
        header = projection.header
        return [_as_trained(sample, header.labels, set(header.test)) for sample in self.samples]

    def evaluate(
        self, name: str, projection: Projection, on_progress: Callable[[int], None] = lambda _: None
    ) -> Evaluation:
        """All figures of a projection.

        Args:
            on_progress: called with how many more pictures are done.
        """
        return _Scores(projection, self, on_progress).evaluation(name)


def _as_trained(sample: Sample, trained: Mapping[str, int], test: set[str]) -> Sample:
    if not trained:  # a projection without training: the part it came with
        return sample
    part = UNSEEN if sample.label not in trained else TEST if sample.sha256[:HASH_DIGITS] in test else TRAIN
    return Sample(sample.path, sample.label, part, sample.sha256)


class _Scores:
    """The cosines of every picture to every label, by one projection, and the figures that follow from them."""

    def __init__(self, projection: Projection, scorer: Scorer, on_progress: Callable[[int], None]) -> None:
        self.projection, self.words, self.on_progress = projection, scorer.words, on_progress
        self.samples = scorer.parts(projection)
        self.tagged = scorer.tagged
        self.part = np.array([sample.part for sample in self.samples])
        trained = projection.header.labels  # also those that no picture here shows: they can be predicted, too
        self.labels = sorted(trained or {sample.label for sample in self.samples if sample.part != UNSEEN})
        self.unseen = sorted({sample.label for sample in self.samples if sample.part == UNSEEN})
        self.all_labels = [*self.labels, *self.unseen]
        self.own = np.array([self.all_labels.index(sample.label) for sample in self.samples])

    @cached_property
    def semantic(self) -> NDArray[np.float32]:
        return self.projection.project(self.tagged.features)

    @cached_property
    def trained_scores(self) -> NDArray[np.float32]:
        """(pictures, trained labels), by the labels' own word vectors, as the document counts hits."""
        vectors = [label_vectors([label], self.words) for label in self.labels]
        targets = np.stack([vector for one in vectors for vector in one.values()])
        return np.asarray(self.semantic @ targets.T, np.float32)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """(pictures, all labels), by the vector that a text search for each label has."""
        found = [label_vectors([label], self.words) for label in self.all_labels]
        learnt = self.projection.learnt
        directions = np.stack([learnt.get(word, vector) for one in found for word, vector in one.items()])
        return np.asarray(self.semantic @ directions.T, np.float32)

    def evaluation(self, name: str) -> Evaluation:
        predictions = self._predictions()
        hits = self._hits(predictions)
        unseen = [one.is_hit for one in predictions if one.sample.part == UNSEEN]
        precisions = {part: self._precisions(part) for part in (TEST, UNSEEN)}
        return Evaluation(
            name=name,
            labels=self.labels,
            unseen=self.unseen,
            hits=hits,
            harmonic_mean=_harmonic_means(hits),
            unseen_tagged=(sum(unseen), len(unseen)),
            mean_ap=_estimates({part: average for part, (average, _) in precisions.items()}),
            r_precision=_estimates({part: at_r for part, (_, at_r) in precisions.items()}),
            confusion=self._confusion(),
            predictions=predictions,
            history=self.projection.header.history,
        )

    def _hits(self, predictions: Sequence[Prediction]) -> Hits:
        """Hit@k of every part among every kind of candidates that has the part's labels; none that is empty."""
        found: Hits = {}
        for part in PARTS:
            rows = self.part == part
            if part != UNSEEN:
                found[part, TRAINED_LABELS] = _hits_of(ranks(self.trained_scores[rows], self.own[rows]))
            found[part, ALL_LABELS] = _hits_of(ranks(self.scores[rows], self.own[rows]))
        for part in (TEST, UNSEEN):
            tagged = [one.rank for one in predictions if one.sample.part == part]
            found[part, TAG_VOCABULARY] = _hits_of(np.array(tagged, np.int64))
        return {place: hits for place, hits in found.items() if hits}

    def _confusion(self) -> NDArray[np.int64]:
        """(labels, labels), test pictures by their own label and the nearest trained one."""
        test = self.part == TEST
        confusion = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(confusion, (self.own[test], self.trained_scores[test].argmax(axis=1)), 1)
        return confusion

    def _precisions(self, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average precision and R-precision of a text search for each label of a part, among test and unseen."""
        pool = self.part != TRAIN
        average, at_r = [], []
        for label in sorted({sample.label for sample in self.samples if sample.part == part}):
            column = self.all_labels.index(label)
            order = np.argsort(-self.scores[pool, column], kind="stable")
            relevant = (self.own[pool] == column)[order]
            found = np.flatnonzero(relevant)
            average.append(float(((np.arange(len(found)) + 1) / (found + 1)).mean()))
            at_r.append(float(relevant[: len(found)].mean()))
        return np.array(average), np.array(at_r)

    def _predictions(self) -> list[Prediction]:
        """Of the test and the unseen pictures."""
        accepted = {label: self._as_tags(label) for label in self.all_labels}
        nearest = self.scores.argmax(axis=1)
        tags_of = self.tagged.tagger(self.projection)
        predictions = []
        for row, sample in enumerate(self.samples):
            self.on_progress(1)
            if sample.part == TRAIN:
                continue
            tags = tuple(tags_of(row)[:TAGS])
            predictions.append(Prediction(sample, self.all_labels[nearest[row]], tags, accepted[sample.label]))
        return predictions

    def _as_tags(self, label: str) -> frozenset[str]:
        """``Dining_Table`` as the tags that count for it: "dining table", "dining tables"."""
        return frozenset().union(*(forms(word) for word in label_vectors([label], self.words)))


def _hits_of(ranks: NDArray[np.int64]) -> dict[int, Estimate]:
    estimates = {k: Estimate.of_values(ranks < k) for k in HIT_AT}
    return {k: estimate for k, estimate in estimates.items() if estimate}


def _harmonic_means(hits: Hits) -> dict[int, float]:
    """Generalised zero-shot: of test and unseen hits among all labels, by k (Xian et al. 2017)."""
    seen, unseen = hits.get((TEST, ALL_LABELS), {}), hits.get((UNSEEN, ALL_LABELS), {})
    return {
        k: round(2 * seen[k].percent * unseen[k].percent / max(seen[k].percent + unseen[k].percent, 1e-9), 1)
        for k in seen
        if k in unseen
    }


def _estimates(values: Mapping[str, NDArray[np.float64]]) -> dict[str, Estimate]:
    return {part: estimate for part, of in values.items() if (estimate := Estimate.of_values(of))}
