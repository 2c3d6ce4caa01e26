"""Evaluating: every figure as counted by hand, in a word space of four directions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from model.encoders import Features
from model.judging.evaluation import (
    ALL_LABELS,
    TAG_VOCABULARY,
    TEST,
    TRAIN,
    TRAINED_LABELS,
    UNSEEN,
    Estimate,
    Evaluation,
    Sample,
)
from model.judging.metrics import Scorer
from model.projections import Header, Projection
from model.words import Vocabulary, Words

NAMES = ("cat", "dog", "lamp", "dining", "table", "cats", "sofa")
TAG_NAMES = ("cat", "lamp", "sofa")
"""The tags there are: no dog."""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Words:
    """cat, dog, lamp and "dining table" at right angles; sofa halfway between cat and lamp."""
    folder = tmp_path_factory.mktemp("words")
    vectors = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 3, 0, 0]]
    vectors[6] = np.array([1, 0, 1, 0, 0]) / np.sqrt(2)
    encoded = [name.encode() for name in NAMES]
    (folder / "words.utf8").write_bytes(b"".join(encoded))
    np.cumsum([0, *map(len, encoded)]).astype(np.int64).tofile(folder / "offsets.i64")
    np.array(sorted(range(len(NAMES)), key=lambda row: encoded[row]), np.int32).tofile(folder / "order.i32")
    vectors.tofile(folder / "vectors.f32")
    np.ones(len(NAMES), np.float32).tofile(folder / "norms.f32")
    metadata = {"format": 1, "name": "tiny", "sha256": "w" * 64, "width": 5, "count": len(NAMES)}
    (folder / "words.json").write_text(json.dumps(metadata))
    return Words(folder)


class Given(Projection):
    """Its features are places in word space already."""

    kind = "given"
    width = 5

    def project(self, features: Features) -> Features:
        return features


class Tags(Vocabulary):
    """Three tags: choosing among the real words takes seconds."""

    def __init__(self, space: Words) -> None:
        self._words = list(TAG_NAMES)
        self._vectors = space.vectors[[NAMES.index(name) for name in TAG_NAMES]]


def content(number: int) -> str:
    return f"{number:064x}"[::-1]


def evaluated(
    space: Words,
    pictures: list[tuple[str, str, tuple[float, ...]]],
    trained: tuple[str, ...] = ("cat", "dog"),
    test: tuple[int, ...] = (),
) -> Evaluation:
    """``pictures``: label, the part that the evaluation gave it, and where it is along cat, dog, lamp, dining table."""
    samples = [Sample(f"{i}.png", label, part, content(i)) for i, (label, part, _) in enumerate(pictures)]
    features = np.array([(*place, 0)[:5] for _, _, place in pictures], np.float32)
    header = Header(
        "given",
        "",
        "",
        "",
        "",
        labels=dict.fromkeys(trained, 10),
        test=[content(number)[:16] for number in test],
        history=[{"loss": 0.5}],
    )
    return Scorer(samples, features, space, Tags(space)).evaluate("given", Given(header, {}))


PICTURES = [
    ("cat", TRAIN, (1.0, 0.0, 0.0, 0.0)),
    ("cat", TEST, (0.9, 0.1, 0.2, 0.0)),
    ("cat", TEST, (0.1, 0.9, 0.2, 0.0)),  # taken for a dog, and for a lamp before a cat
    ("dog", TEST, (0.0, 0.8, 0.1, 0.0)),
    ("lamp", UNSEEN, (0.1, 0.7, 0.5, 0.0)),  # the dog is nearer
    ("lamp", UNSEEN, (0.2, 0.1, 0.9, 0.0)),
]


@pytest.fixture(scope="module")
def found(space: Words) -> Evaluation:
    return evaluated(space, PICTURES, test=(1, 2, 3))


def percents(found: Evaluation, part: str, among: str) -> list[float]:
    return [found.hits[part, among][k].percent for k in (1, 2, 3)]


def test_hits_are_counted_as_by_hand(found: Evaluation) -> None:
    assert percents(found, TRAIN, TRAINED_LABELS) == [100.0, 100.0, 100.0]
    assert percents(found, TEST, TRAINED_LABELS) == [66.7, 100.0, 100.0]
    assert percents(found, TEST, ALL_LABELS) == [66.7, 66.7, 100.0]
    assert percents(found, UNSEEN, ALL_LABELS) == [50.0, 100.0, 100.0]
    assert (UNSEEN, TRAINED_LABELS) not in found.hits
    assert [share.of for share in found.hits[TEST, TRAINED_LABELS].values()] == [3] * 5


def test_the_harmonic_mean_is_that_of_both_parts_among_all_labels(found: Evaluation) -> None:
    assert found.harmonic_mean[1] == pytest.approx(2 * 66.7 * 50 / (66.7 + 50), abs=0.05)
    assert found.harmonic_mean[2] == pytest.approx(2 * 66.7 * 100 / (66.7 + 100), abs=0.05)
    assert found.harmonic_mean[10] == 100.0


def test_text_search_is_measured_on_what_was_never_trained_on(found: Evaluation) -> None:
    """The pool's five: by cat 0.9, 0.2 (lamp), 0.1, 0.1, 0; by dog 0.9 (cat), 0.8, ...; by lamp 0.9, 0.5, ..."""
    cat = (1 / 1 + 2 / 3) / 2
    dog = 1 / 2
    assert found.mean_ap[TEST].percent == pytest.approx((cat + dog) / 2 * 100, abs=0.05)
    assert found.r_precision[TEST].percent == pytest.approx((1 / 2 + 0) / 2 * 100, abs=0.05)
    assert (found.mean_ap[UNSEEN].percent, found.r_precision[UNSEEN].percent) == (100.0, 100.0)
    assert found.mean_ap[UNSEEN].of == 1


def test_tags_find_the_label_itself_or_its_plural(space: Words, found: Evaluation) -> None:
    first, second = found.predictions[-2:]
    assert [tag.word for tag in first.tags] == ["dog", "lamp", "sofa", "cat"]
    assert [(tag.word, tag.trained) for tag in second.tags][:2] == [("lamp", False), ("sofa", False)]
    assert {tag.word for tag in second.tags if tag.trained} == {"cat", "dog"}
    assert (first.rank, second.rank, found.unseen_tagged) == (1, 0, (2, 2))
    assert percents(found, UNSEEN, TAG_VOCABULARY) == [50.0, 100.0, 100.0]
    plural = evaluated(space, [*PICTURES[:4], ("cats", UNSEEN, (1.0, 0, 0, 0))])
    assert [one.is_hit for one in plural.predictions] == [True]
    missed = evaluated(space, [*PICTURES[:4], ("table", UNSEEN, (0.0, 0, 0, 1))])
    assert (missed.unseen_tagged, percents(missed, UNSEEN, TAG_VOCABULARY)) == ((0, 1), [0.0, 0.0, 0.0])


def test_a_label_of_several_words_is_found_among_the_tags(space: Words) -> None:
    pictures = [("Dining_Table", TEST, (0.0, 0, 0, 1)), ("dog", TEST, (0.0, 1, 0, 0))]
    found = evaluated(space, pictures, trained=("Dining_Table", "dog"), test=(0, 1))
    assert found.predictions[0].tags[0].word == "dining table"
    assert found.predictions[0].is_hit
    assert percents(found, TEST, TAG_VOCABULARY) == [100.0, 100.0, 100.0]


def test_the_confusion_counts_test_pictures_by_label_and_guess(found: Evaluation) -> None:
    assert found.labels == ["cat", "dog"]
    assert found.confusion.tolist() == [[1, 1], [0, 1]]
    assert [one.label for one in found.predictions] == ["cat", "dog", "dog", "dog", "lamp"]


def test_a_picture_the_header_did_not_hold_back_is_never_test(space: Words) -> None:
    """Whatever the split of the evaluation says."""
    found = evaluated(space, [("cat", TEST, (1.0, 0, 0, 0)), ("dog", TRAIN, (0.0, 1, 0, 0))], test=(1,))
    assert [one.sample.path for one in found.predictions] == ["1.png"]
    assert found.hits[TEST, TRAINED_LABELS][1].of == found.hits[TRAIN, TRAINED_LABELS][1].of == 1
    none = evaluated(space, [("cat", TEST, (1.0, 0, 0, 0)), ("dog", UNSEEN, (0.0, 1, 0, 0))])
    assert (none.predictions, none.unseen_tagged, none.mean_ap, none.harmonic_mean) == ([], (0, 0), {}, {})


def test_a_projection_without_training_is_evaluated_by_the_split_it_came_with(space: Words) -> None:
    found = evaluated(space, PICTURES, trained=())
    assert [one.sample.part for one in found.predictions] == [TEST] * 3 + [UNSEEN] * 2
    assert found.labels == ["cat", "dog"]
    assert not any(tag.trained for one in found.predictions for tag in one.tags)


def test_trained_labels_without_a_picture_are_candidates_too(space: Words) -> None:
    only_lamps = evaluated(space, PICTURES[4:], trained=("cat", "dog"))
    assert (only_lamps.labels, only_lamps.unseen) == (["cat", "dog"], ["lamp"])
    assert percents(only_lamps, UNSEEN, ALL_LABELS) == [50.0, 100.0, 100.0]


def test_a_vector_that_is_no_number_hits_nothing(space: Words) -> None:
    found = evaluated(space, [("cat", TEST, (float("nan"),) * 4), ("dog", TEST, (0.0, 1, 0, 0))], test=(0, 1))
    assert percents(found, TEST, TRAINED_LABELS)[:2] == [50.0, 50.0]


def test_the_interval_contains_the_mean_and_narrows_with_more_pictures() -> None:
    few, many = (Estimate.of_values(np.arange(n) % 4 > 0) for n in (20, 2000))
    assert few
    assert many
    for share in (few, many):
        assert share.percent == 75.0
        assert share.low < 75.0 < share.high
    # Of a mean of n draws with p = 3/4: 1.96 times the root of p (1 - p) / n.
    assert few.high - few.low == pytest.approx(2 * 1.96 * np.sqrt(0.1875 / 20) * 100, rel=0.2)
    assert many.high - many.low == pytest.approx(2 * 1.96 * np.sqrt(0.1875 / 2000) * 100, rel=0.2)
    assert Estimate.of_values(np.array([])) is None
    assert Estimate.of_values(np.ones(5)) == Estimate(100.0, 100.0, 100.0, 5)
