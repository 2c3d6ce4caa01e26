"""What an evaluation finds of one projection, as records.

It must not know how it is computed (`metrics`), nor how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.projections import Tag

TRAIN, TEST, UNSEEN = "train", "test", "unseen"
PARTS = (TRAIN, TEST, UNSEEN)

TRAINED_LABELS, ALL_LABELS, TAG_VOCABULARY = "trained labels", "all labels", "tag vocabulary"
"""The candidates that a picture's own label is ranked among; "all labels" are the trained and the unseen ones."""

TAGS = 10
RESAMPLED = 1000
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean in percent with its 95% confidence interval; ``of``: how many pictures (or labels) it is the mean of."""

    percent: float
    low: float
    high: float
    of: int

    @classmethod
    def of_values(cls, values: NDArray[np.floating] | NDArray[np.bool_], seed: int = 0) -> Estimate | None:
        """The mean of values in 0..1, its interval by the bootstrap (Efron 1979); None where there are none."""
        if not len(values):
            return None
        rng = np.random.default_rng(seed)
        numbers = np.asarray(values, np.float64)
        means = np.array([numbers[rng.integers(0, len(numbers), len(numbers))].mean() for _ in range(RESAMPLED)])
        low, high = np.percentile(means, INTERVAL) * 100
        return cls(round(float(numbers.mean() * 100), 1), round(float(low), 1), round(float(high), 1), len(numbers))


@dataclass(frozen=True)
class Sample:
    """One picture to evaluate on. ``path``: of its file. ``part``: train, test or unseen."""

    path: str
    label: str
    part: str
    sha256: str


@dataclass(frozen=True)
class Prediction:
    """What a projection predicts of one picture.

    ``label``: the nearest of all labels. ``tags``: as of `query tags`. ``accepted``: the picture's own label as a tag,
    in singular and plural.
    """

    sample: Sample
    label: str
    tags: tuple[Tag, ...]
    accepted: frozenset[str]

    @property
    def rank(self) -> int:
        """How many tags stand before the picture's own label; `TAGS` where it is not among them."""
        return next((rank for rank, tag in enumerate(self.tags) if tag.word in self.accepted), TAGS)

    @property
    def is_hit(self) -> bool:
        """Whether the picture's own label is among the tags."""
        return self.rank < TAGS


@dataclass(frozen=True)
class Evaluation:
    """The figures of one projection.

    ``hits``: (part, candidates) to k to the share of pictures with their own label among the first k.
    ``harmonic_mean``: by k, of test and unseen hits among all labels. ``unseen_tagged``: unseen pictures with their own
    label, or its plural, among ten tags; and how many unseen pictures there are. ``mean_ap``, ``r_precision``: of text
    searches for labels, by their part. ``confusion``: (labels, labels) test pictures by label and prediction.
    """

    name: str
    labels: list[str]
    unseen: list[str]
    hits: dict[tuple[str, str], dict[int, Estimate]]
    harmonic_mean: dict[int, float]
    unseen_tagged: tuple[int, int]
    mean_ap: dict[str, Estimate]
    r_precision: dict[str, Estimate]
    confusion: NDArray[np.int64]
    predictions: list[Prediction]
    history: list[dict[str, float]] = field(default_factory=list)
