"""Projections into word space: the document's numbers and the arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.encoders import Classifier, Encoder, encoder_spec
from model.encoders.registry import build_network
from model.errors import UsageError
from model.projections import (
    ConseProjection,
    DocumentProjection,
    Projection,
    TagEvidence,
    decorrelate,
    parameter_table,
    ranked,
    unit,
)
from model.projections.classes import ClassName, imagenet_classes
from model.projections.conse import class_tensors
from model.projections.training.document import Head
from model.words import NearWord, Words
from model.words.conversion import convert
from tests.model.projections import (
    HEADER,
    flat_best,
    small_best,
    small_conse,
    small_document,
    some_features,
    tensors_of,
    trained_head,
)


@pytest.fixture(params=[small_document, small_conse, small_best], ids=["document", "conse", "best"])
def small(request: pytest.FixtureRequest) -> Projection:
    return request.param()


# The document's numbers


def test_the_documents_model_has_exactly_its_parameters() -> None:
    table = parameter_table(encoder_spec("vgg16"), 300)
    trainable, fixed = sum(row.trainable for row in table), sum(row.fixed for row in table)
    assert (trainable + fixed, trainable, fixed) == (143_064_044, 8_798_900, 134_265_144)


def test_the_real_modules_have_exactly_these_parameters_too() -> None:
    with torch.device("meta"):
        features, head = build_network("vgg16"), Head(4096, 300)
    features.classifier[6] = torch.nn.Identity()
    features.requires_grad_(False)
    trainable = fixed = 0
    for module in (features, head):
        for parameter in module.parameters():
            trainable += parameter.numel() if parameter.requires_grad else 0
            fixed += 0 if parameter.requires_grad else parameter.numel()
        for name, buffer in module.named_buffers():
            fixed += 0 if name.endswith("num_batches_tracked") else buffer.numel()
    assert (trainable + fixed, trainable, fixed) == (143_064_044, 8_798_900, 134_265_144)


@pytest.mark.parametrize(("encoder", "width"), [("vgg16", 300), ("efficientnet-lite0", 50)])
def test_each_row_of_the_table_is_a_layer_of_the_head(encoder: str, width: int) -> None:
    spec = encoder_spec(encoder)
    head = Head(spec.width, width)
    layers = [head.first, head.first_norm, head.second, head.second_norm]
    counted = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    table = parameter_table(spec, width)
    assert [row.trainable for row in table if row.trainable] == counted
    assert [row.fixed for row in table if row.fixed] == [spec.parameters, 4000, 2 * width]
    assert table[0].layer == encoder


# The document's head


@pytest.mark.parametrize(("width", "words_width"), [(12, 7), (1280, 50), (4096, 300)])
def test_the_folded_head_gives_what_torchs_head_gives(width: int, words_width: int) -> None:
    head = trained_head(width, words_width).eval()
    features = some_features(9, width)
    with torch.inference_mode():
        theirs = torch.nn.functional.normalize(head(torch.from_numpy(features))).numpy()
    ours = DocumentProjection(replace(HEADER, kind="document"), tensors_of(head)).project(features)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-5


def test_the_head_is_the_documents_in_its_order() -> None:
    head = trained_head().eval()
    features = torch.from_numpy(some_features())
    by_hand = head.second_norm(head.second(torch.relu(head.first_norm(head.first(features)))))
    assert torch.equal(head(features), by_hand)
    assert head.dropout.p == 0.5
    assert DocumentProjection.EPS == head.first_norm.eps == head.second_norm.eps


# ConSE


def length_one(numbers: list[float]) -> list[float]:
    length = math.sqrt(sum(number**2 for number in numbers))
    return [number / length for number in numbers]


def in_plain_python(conse: ConseProjection, row: list[float]) -> tuple[list[float], list[float]]:
    """Logits, and Norouzi et al. 2013, equation 3, with the regression beside it."""
    weight, bias, classes, related = (conse.tensors[name].tolist() for name in ("weight", "bias", "classes", "related"))
    plain = [sum(map(math.prod, zip(w, row, strict=True))) for w in weight]
    logits = [dot + b for dot, b in zip(plain, bias, strict=True)]
    best = sorted(range(len(logits)), key=lambda i: -logits[i])[:10]
    total = sum(math.exp(logits[i]) for i in best)
    likely = length_one([sum(math.exp(logits[i]) / total * classes[i][d] for i in best) for d in range(7)])
    lengths = [math.sqrt(sum(number**2 for number in w)) for w in weight]
    all_say = length_one([sum(plain[i] / lengths[i] * related[i][d] for i in range(len(plain))) for d in range(7)])
    return logits, length_one([a + 0.3 * b for a, b in zip(likely, all_say, strict=True)])


def test_conse_is_the_plain_computation_on_small_numbers() -> None:
    conse = small_conse()
    features = some_features()
    for row, found in zip(features.tolist(), conse.project(features), strict=True):
        assert np.allclose(found, in_plain_python(conse, row)[1], atol=1e-5)


def test_the_ten_most_probable_classes_are_summed_and_all_weigh_three_tenths_of_them() -> None:
    """Ten classes at the first direction are before a hundred at the second; "related" is all at the third."""
    first, second, third = np.eye(3, dtype=np.float32)
    tensors = {
        "weight": np.ones((110, 1), np.float32),
        "bias": np.array([0.1] * 10 + [0.0] * 100, np.float32),
        "classes": np.stack([first] * 10 + [second] * 100),
        "related": np.stack([third] * 110),
    }
    (found,) = ConseProjection(replace(HEADER, kind="conse"), tensors).project(np.ones((1, 1), np.float32))
    assert found == pytest.approx([0.957826, 0.0, 0.287348], abs=1e-6)  # (1, 0, 0.3), of length 1


def test_classes_below_one_percent_are_not_named() -> None:
    tensors = {
        "weight": np.ones((3, 1), np.float32),
        "bias": np.log(np.array([0.98, 0.011, 0.009], np.float32)),
        "classes": np.eye(3, dtype=np.float32),
        "related": np.eye(3, dtype=np.float32),
    }
    header = replace(HEADER, kind="conse", class_tags=[["cup", "mug"], ["lamp"], ["sofa"]])
    named = ConseProjection(header, tensors).tag_evidence(np.ones(1, np.float32)).named
    assert named == pytest.approx({"cup": 0.98, "mug": 0.98, "lamp": 0.011}, abs=1e-4)


def test_the_ridge_of_the_regression_is_three() -> None:
    """Rows at right angles: the inverse of 4 I leaves a quarter of each class's vector."""
    classifier = Classifier(np.eye(2, dtype=np.float32) * 7, np.zeros(2, np.float32), ("", ""))
    assert class_tensors(classifier, np.eye(2, dtype=np.float32))["related"].tolist() == [[0.25, 0.0], [0.0, 0.25]]


def test_conse_needs_the_classifier_of_its_encoder(words: Words) -> None:
    with pytest.raises(
        UsageError, match=r"^efficientnet-lite0 has no classes of its own, and ConSE .* --recipe document"
    ):
        ConseProjection.build(None, HEADER, words)


def test_the_regression_gives_each_class_its_own_words_back() -> None:
    """Kernel ridge regression at its own training points: near the targets, and exact without the ridge."""
    rng = np.random.default_rng(0)
    classifier = Classifier(rng.normal(size=(5, 40)).astype(np.float32), np.zeros(5, np.float32), ("",) * 5)
    vectors = unit(rng.normal(size=(5, 7)).astype(np.float32))
    vectors[3] = 0
    tensors = class_tensors(classifier, vectors)
    assert not tensors["related"][3].any()
    rows = unit(classifier.weight)
    again = unit(rows @ rows.T @ tensors["related"])
    assert ((again * vectors).sum(axis=1)[[0, 1, 2, 4]] > 0.9).all()


def test_conse_names_what_is_probable() -> None:
    conse, features = small_conse(), some_features(1)[0]
    logits, vector = in_plain_python(conse, features.tolist())
    total = sum(map(math.exp, logits))
    probable = {
        f"class{i}": math.exp(logit) / total for i, logit in enumerate(logits) if math.exp(logit) / total > 0.01
    }
    evidence = conse.tag_evidence(features)
    assert np.allclose(evidence.vector, vector, atol=1e-5)
    assert evidence.named == pytest.approx(probable | {"thing": sum(probable.values())}, abs=1e-5)


# The best recipe's projection


def labels_say(own: list[float], vectors: list[list[float]]) -> list[float]:
    """The labels' vectors by the softmax of their logits."""
    odds = [math.exp(logit) for logit in own]
    return length_one([sum(o / sum(odds) * v[d] for o, v in zip(odds, vectors, strict=True)) for d in range(7)])


def between(share: float, first: list[float], second: list[float]) -> list[float]:
    return length_one([share * a + (1 - share) * b for a, b in zip(first, second, strict=True)])


def test_best_is_the_plain_computation_on_small_numbers() -> None:
    best = small_best()
    rows, bias, labels, directions = (best.tensors[n].tolist() for n in ("rows", "row_bias", "labels", "directions"))
    for features in some_features(9):
        roots = [math.sqrt(number) for number in features.tolist()]
        classes, said = in_plain_python(best, features.tolist())
        own = [sum(map(math.prod, zip(row, roots, strict=True))) + b for row, b in zip(rows, bias, strict=True)]
        odds = 0.8 * (math.log(sum(map(math.exp, own))) - math.log(sum(map(math.exp, classes)))) - 0.3
        share = 0.3 + 0.7 / (1 + math.exp(-odds - 1.5))
        found = between(share, labels_say([logit / 3 for logit in own], directions), said)
        assert np.allclose(best.project(features[None])[0], found, atol=1e-4)
        evidence, sure = best.tag_evidence(features), 1 / (1 + math.exp(-odds))
        assert np.allclose(evidence.vector, between(sure, labels_say(own, labels), said), atol=1e-4)
        assert evidence.named["dog"] == pytest.approx(sure / (1 + math.exp(own[0] - own[1])), abs=1e-4)


PICTURE = np.array([[1.0, 0.0]], np.float32)
"""To `flat_best` a picture of the first class for certain: its ConSE vector is (0, 0, 1, 0.3), of length 1."""


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-50.0, [0.278543, 0.278543, 0.880381, 0.264114]),  # surely no label: share 0.3
        (-1.5, [0.622587, 0.622587, 0.454105, 0.136232]),  # in doubt: share 0.65
        (50.0, [0.707107, 0.707107, 0.0, 0.0]),  # surely a label: share 1
    ],
)
def test_labels_weigh_three_tenths_at_least_and_doubt_is_in_their_favour(offset: float, expected: list[float]) -> None:
    (found,) = flat_best(gate=(0.0, offset)).project(PICTURE)
    assert found == pytest.approx(expected, abs=2e-6)


def test_the_second_label_is_in_the_vector_by_a_temperature_of_three() -> None:
    """Logits 3 and 0, divided by 3: e to 1."""
    (found,) = flat_best(gate=(0.0, 50.0), label_bias=(3.0, 0.0)).project(PICTURE)
    assert found == pytest.approx([0.938508, 0.345258, 0.0, 0.0], abs=2e-6)


MIXED = ({"learnt": 1.0, "agreement": 0.0, "is_noun": 1}, {"learnt": 0.4, "agreement": 0.0, "is_noun": 0})
"""The first label is believed by half, since the encoder was never shown it; the second, no noun, as a tag alone: a
fifth."""


def test_a_label_takes_no_more_of_the_vector_than_its_words_have_earned() -> None:
    """Both are as probable: a quarter of the vector is the first label's, the rest is what the encoder sees."""
    (found,) = flat_best(gate=(0.0, 50.0), trust=MIXED).project(PICTURE)
    assert found == pytest.approx([0.316228, 0.0, 0.908674, 0.272602], abs=2e-6)


def test_what_a_label_has_not_earned_as_a_tag_is_left_to_the_classes() -> None:
    evidence = flat_best(gate=(0.0, 50.0), trust=MIXED).tag_evidence(PICTURE[0])
    assert evidence.named == pytest.approx({"caf\u00e9": 0.25, "dog": 0.1, "cup": 0.75}, abs=2e-6)
    assert evidence.vector == pytest.approx([0.316228, 0.0, 0.908674, 0.272602], abs=2e-6)


def test_tags_have_neither_the_least_weight_nor_the_bias_nor_the_temperature() -> None:
    evidence = flat_best(gate=(0.0, 0.0), label_bias=(1.0, 0.0)).tag_evidence(PICTURE[0])
    assert evidence.named == pytest.approx({"caf\u00e9": 0.365529, "dog": 0.134471, "cup": 0.5}, abs=2e-6)
    assert evidence.vector == pytest.approx([0.663625, 0.244134, 0.677285, 0.203186], abs=2e-6)


def test_labels_are_decorrelated_with_a_ridge_of_one_half() -> None:
    """Cosine 0.6: by the inverse of (1.5, 0.6; 0.6, 1.5), each loses 0.4 of the other."""
    found = decorrelate(np.array([[1.0, 0.0], [0.6, 0.8]], np.float32))
    assert found[0] == pytest.approx([0.921635, -0.388057], abs=2e-6)
    assert found[1] == pytest.approx([0.242536, 0.970143], abs=2e-6)


def test_tags_are_as_probable_as_their_cosine_and_what_they_name_make_them() -> None:
    evidence = TagEvidence(np.array([1.0, 0.0], np.float32), {"cup": 0.0625, "lamp": 0.0001})
    candidates = {"cup": np.array([0.25, 0.0], np.float32), "lamp": np.array([0.5, 0.0], np.float32)}
    near = [NearWord("saucer", 0.7), NearWord("mug", 0.7)]
    tags = ranked(evidence, candidates, near, {"lamp"})
    assert [(tag.word, tag.score, tag.trained) for tag in tags] == [
        ("cup", 0.050931, False),
        ("lamp", 0.015985, True),
        ("mug", 0.015828, False),
        ("saucer", 0.015828, False),
    ]


def test_labels_are_looked_for_apart_from_each_other() -> None:
    rng = np.random.default_rng(0)
    near = unit(np.ones((4, 7), np.float32) + 0.3 * rng.normal(size=(4, 7)).astype(np.float32))
    found = decorrelate(near)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert ((found @ near.T).argmax(axis=1) == np.arange(4)).all()
    off = ~np.eye(4, dtype=bool)
    assert (found @ found.T)[off].max() < (near @ near.T)[off].min()
    best = small_best()
    assert np.array_equal(best.learnt["dog"], best.tensors["directions"][1])


# The names of classes


def test_classes_without_a_word_vector_leave_their_place_to_the_next() -> None:
    conse, features = small_conse(), some_features(1)
    logits = conse.tensors["weight"] @ features[0] + conse.tensors["bias"]
    best = int(logits.argmax())
    silent = {name: tensor.copy() for name, tensor in conse.tensors.items()}
    silent["classes"][best] = silent["related"][best] = 0
    without = {name: np.delete(tensor, best, axis=0) for name, tensor in conse.tensors.items()}
    unnamed = replace(conse.header, class_tags=[])
    ours = ConseProjection(unnamed, silent).project(features)
    assert np.allclose(ours, ConseProjection(unnamed, without).project(features), atol=1e-6)
    assert not np.allclose(ours, conse.project(features), atol=1e-3)


def test_huge_logits_overflow_nothing() -> None:
    found = small_conse().project(some_features() * 1e6)
    assert np.isfinite(found).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_name_counts_its_head_noun_twice_and_synonyms_by_half(tmp_path: Path) -> None:
    convert([(["dog", "fire", "truck", "engine"], np.eye(4, dtype=np.float32))], "small", 4, "0" * 64, tmp_path / "w")
    words = Words(tmp_path / "w")
    names = [ClassName("dog"), ClassName("qwxyzzy"), ClassName("fire truck", ("fire engine", "engine"))]
    classifier = Classifier(np.ones((3, 2), np.float32), np.zeros(3, np.float32), ("", "", ""))
    conse = ConseProjection.build(classifier, HEADER, words, names)
    assert conse.header.kind == "conse"
    assert conse.header.class_tags == [["dog"], ["qwxyzzy"], ["truck", "engine"]]
    assert conse.tensors["classes"][0].tolist() == [1, 0, 0, 0]
    assert conse.tensors["classes"][1].tolist() == [0, 0, 0, 0]
    own = unit((words.phrase("fire truck").vector + words.phrase("truck").vector)[None])[0]
    others = unit((words.phrase("fire engine").vector + words.phrase("engine").vector)[None])[0]
    assert np.allclose(conse.tensors["classes"][2], unit((own + 0.5 * others)[None])[0], atol=1e-6)


def test_the_published_names_are_those_of_the_classifier(encoder: Encoder) -> None:
    published = imagenet_classes()
    assert len(published) == len(encoder.classifier.names) == 1000
    agreeing = sum(
        own.lower().split()[-1] in {named.head, *(word for text in named.synonyms for word in text.lower().split())}
        for own, named in zip(encoder.classifier.names, published, strict=True)
    )
    assert agreeing > 950
    rooster = published[encoder.classifier.names.index("cock")]
    assert "rooster" in rooster.tags
    assert not any("(" in named.name for named in published)


def test_conse_of_the_real_pair_puts_pictures_near_their_words(encoder: Encoder, words: Words) -> None:
    conse = ConseProjection.build(encoder.classifier, HEADER, words)
    silent = ~conse.tensors["classes"].any(axis=1)
    assert 0 < silent.sum() < 50
    # A feature vector that the last layer takes for a class for certain: that class's own direction.
    for name in ("goldfish", "espresso", "grand piano"):
        row = encoder.classifier.names.index(name)
        direction = conse.tensors["weight"][row] - conse.tensors["weight"].mean(axis=0)
        (found,) = conse.project(direction[None] * 100)
        assert found @ words.phrase(name).vector > 0.8
        assert conse.tag_evidence(direction * 100).named[name.split()[-1]] > 0.99


# Both


def test_projected_vectors_are_of_unit_length_and_finite(small: Projection) -> None:
    for features in (some_features(50), some_features() * 1e-20, some_features() * 1e4, np.zeros((1, 12), np.float32)):
        found = small.project(features)
        assert found.shape == (len(features), 7)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_unit_leaves_a_zero_row_at_zero() -> None:
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]
