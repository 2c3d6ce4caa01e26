"""Judging: every figure as counted by hand, in a word space of four directions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from model.encoders import Features
from model.judging.metrics import CLOSED, JOINT, OPEN, TEST, TRAIN, UNSEEN, Evaluation, Judge, Sample, Share
from model.projections import HASH_DIGITS, Header, Projection
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


def judged(
    space: Words,
    pictures: list[tuple[str, str, tuple[float, ...]]],
    trained: tuple[str, ...] = ("cat", "dog"),
    test: tuple[int, ...] = (),
) -> Evaluation:
    """``pictures``: label, the part the exam gave it, and where it is along cat, dog, lamp, dining table."""
    samples = [Sample(f"{i}.png", label, part, content(i)) for i, (label, part, _) in enumerate(pictures)]
    features = np.array([(*place, 0)[:5] for _, _, place in pictures], np.float32)
    header = Header(
        "given",
        "",
        "",
        "",
        "",
        labels=dict.fromkeys(trained, 10),
        test=[content(number)[:HASH_DIGITS] for number in test],
        history=[{"loss": 0.5}],
    )
    return Judge(samples, features, space, Tags(space)).evaluate("given", Given(header, {}))


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
    return judged(space, PICTURES, test=(1, 2, 3))


def percents(found: Evaluation, part: str, among: str) -> list[float]:
    return [found.hits[part, among][k].percent for k in (1, 2, 3)]


def test_hits_are_counted_as_by_hand(found: Evaluation) -> None:
    assert percents(found, TRAIN, CLOSED) == [100.0, 100.0, 100.0]
    assert percents(found, TEST, CLOSED) == [66.7, 100.0, 100.0]
    assert percents(found, TEST, JOINT) == [66.7, 66.7, 100.0]
    assert percents(found, UNSEEN, JOINT) == [50.0, 100.0, 100.0]
    assert (UNSEEN, CLOSED) not in found.hits
    assert [share.of for share in found.hits[TEST, CLOSED].values()] == [3] * 5


def test_the_harmonic_mean_is_that_of_both_parts_among_all_labels(found: Evaluation) -> None:
    assert found.harmonic[1] == pytest.approx(2 * 66.7 * 50 / (66.7 + 50), abs=0.05)
    assert found.harmonic[2] == pytest.approx(2 * 66.7 * 100 / (66.7 + 100), abs=0.05)
    assert found.harmonic[10] == 100.0


def test_pictures_for_words_are_ranked_in_what_was_never_trained_on(found: Evaluation) -> None:
    """The pool's five: by cat 0.9, 0.2 (lamp), 0.1, 0.1, 0; by dog 0.9 (cat), 0.8, ...; by lamp 0.9, 0.5, ..."""
    cat = (1 / 1 + 2 / 3) / 2
    dog = 1 / 2
    assert found.mean_ap[TEST].percent == pytest.approx((cat + dog) / 2 * 100, abs=0.05)
    assert found.r_precision[TEST].percent == pytest.approx((1 / 2 + 0) / 2 * 100, abs=0.05)
    assert (found.mean_ap[UNSEEN].percent, found.r_precision[UNSEEN].percent) == (100.0, 100.0)
    assert found.mean_ap[UNSEEN].of == 1


def test_tags_name_the_very_label_or_its_plural(space: Words, found: Evaluation) -> None:
    first, second = found.judged[-2:]
    assert [tag.word for tag in first.tags] == ["dog", "lamp", "sofa", "cat"]
    assert [(tag.word, tag.trained) for tag in second.tags][:2] == [("lamp", False), ("sofa", False)]
    assert {tag.word for tag in second.tags if tag.trained} == {"cat", "dog"}
    assert (first.rank, second.rank, found.named) == (1, 0, (2, 2))
    assert percents(found, UNSEEN, OPEN) == [50.0, 100.0, 100.0]
    plural = judged(space, [*PICTURES[:4], ("cats", UNSEEN, (1.0, 0, 0, 0))])
    assert [one.is_named for one in plural.judged] == [True]
    missed = judged(space, [*PICTURES[:4], ("table", UNSEEN, (0.0, 0, 0, 1))])
    assert (missed.named, percents(missed, UNSEEN, OPEN)) == ((0, 1), [0.0, 0.0, 0.0])


def test_a_label_of_several_words_is_found_among_the_tags(space: Words) -> None:
    pictures = [("Dining_Table", TEST, (0.0, 0, 0, 1)), ("dog", TEST, (0.0, 1, 0, 0))]
    found = judged(space, pictures, trained=("Dining_Table", "dog"), test=(0, 1))
    assert found.judged[0].tags[0].word == "dining table"
    assert found.judged[0].is_named
    assert percents(found, TEST, OPEN) == [100.0, 100.0, 100.0]


def test_the_confusion_counts_test_pictures_by_label_and_guess(found: Evaluation) -> None:
    assert found.labels == ["cat", "dog"]
    assert found.confusion.tolist() == [[1, 1], [0, 1]]
    assert [one.guess for one in found.judged] == ["cat", "dog", "dog", "dog", "lamp"]


def test_a_picture_the_header_did_not_hold_back_is_never_test(space: Words) -> None:
    """Whatever the exam's own split says."""
    found = judged(space, [("cat", TEST, (1.0, 0, 0, 0)), ("dog", TRAIN, (0.0, 1, 0, 0))], test=(1,))
    assert [one.sample.path for one in found.judged] == ["1.png"]
    assert found.hits[TEST, CLOSED][1].of == found.hits[TRAIN, CLOSED][1].of == 1
    none = judged(space, [("cat", TEST, (1.0, 0, 0, 0)), ("dog", UNSEEN, (0.0, 1, 0, 0))])
    assert (none.judged, none.named, none.mean_ap, none.harmonic) == ([], (0, 0), {}, {})


def test_what_was_not_trained_is_judged_by_the_split_it_came_with(space: Words) -> None:
    found = judged(space, PICTURES, trained=())
    assert [one.sample.part for one in found.judged] == [TEST] * 3 + [UNSEEN] * 2
    assert found.labels == ["cat", "dog"]
    assert not any(tag.trained for one in found.judged for tag in one.tags)


def test_trained_labels_without_a_picture_are_in_the_way_too(space: Words) -> None:
    only_lamps = judged(space, PICTURES[4:], trained=("cat", "dog"))
    assert (only_lamps.labels, only_lamps.unseen) == (["cat", "dog"], ["lamp"])
    assert percents(only_lamps, UNSEEN, JOINT) == [50.0, 100.0, 100.0]


def test_a_vector_that_is_no_number_hits_nothing(space: Words) -> None:
    found = judged(space, [("cat", TEST, (float("nan"),) * 4), ("dog", TEST, (0.0, 1, 0, 0))], test=(0, 1))
    assert percents(found, TEST, CLOSED)[:2] == [50.0, 50.0]


def test_the_interval_contains_the_mean_and_narrows_with_more_pictures() -> None:
    few, many = (Share.of_values(np.arange(n) % 4 > 0) for n in (20, 2000))
    assert few
    assert many
    for share in (few, many):
        assert share.percent == 75.0
        assert share.low < 75.0 < share.high
    # Of a mean of n draws with p = 3/4: 1.96 times the root of p (1 - p) / n.
    assert few.high - few.low == pytest.approx(2 * 1.96 * np.sqrt(0.1875 / 20) * 100, rel=0.2)
    assert many.high - many.low == pytest.approx(2 * 1.96 * np.sqrt(0.1875 / 2000) * 100, rel=0.2)
    assert Share.of_values(np.array([])) is None
    assert Share.of_values(np.ones(5)) == Share(100.0, 100.0, 100.0, 5)
