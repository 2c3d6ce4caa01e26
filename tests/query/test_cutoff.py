"""The cut-off: what stands out is kept, what is only nearest is not, and the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.collection.tags import tags_name
from ingest.records import stable_id
from ingest.stores import SEMANTIC, VISUAL, WORD, Collection, Point, Store
from ingest.stores.server.store import ServerStore
from model.encoders import Features
from model.projections import Header, Projection, unit
from model.words import Words
from query.asking import Answer, CollectionContext, EncodedPicture, QueryVector, Question, Space, ask, ranking
from query.asking.background import Sample
from query.asking.cutoff import Cutoff, floor, picture_floor, word_floor
from tests.local_qdrant import local_qdrant
from tests.snapshots import fill, make_facts, make_payload, make_snapshot

WIDTHS = {VISUAL: 32, SEMANTIC: 16}
PLANTED = 8


def random_scores(rng: np.random.Generator, count: int, spread: float = 0.2) -> np.ndarray:
    return np.tanh(rng.normal(0.1, spread, count)).astype(np.float32)


@pytest.mark.parametrize("pictures", [15, 200, 5000])
def test_of_unrelated_pictures_about_one_passes_however_many_there_are(pictures: int) -> None:
    rng = np.random.default_rng(0)
    passed = []
    for _ in range(200):
        scores = random_scores(rng, pictures)
        passed.append(int((scores >= floor(scores, 1 / pictures)).sum()))
    assert 0.5 < np.mean(passed) < 2


def test_a_sample_gives_the_cut_of_the_whole() -> None:
    scores = random_scores(np.random.default_rng(0), 50_000)
    cuts = [floor(part, 1 / len(scores)) for part in (scores, scores[:250], scores[-250:])]
    assert max(cuts) - min(cuts) < 0.08
    assert floor(scores[:250], 1e-6) > floor(scores[:250], 1e-3)


def test_what_stands_out_is_kept_and_its_copies_do_not_raise_the_bar() -> None:
    rng = np.random.default_rng(0)
    scores = np.r_[random_scores(rng, 500), np.full(5, 0.9, np.float32), np.ones(2, np.float32)]
    kept = scores >= floor(scores, 1 / len(scores))
    assert kept[-7:].all()
    assert kept[:-7].sum() <= 1


def test_a_copy_counts_as_a_cosine_of_0999() -> None:
    """Nine zeros and a one: the mean of the artanh is a tenth of artanh 0.999, which is 3.8002."""
    scores = np.float32([0] * 9 + [1])
    assert floor(scores, 0.5) == pytest.approx(0.3627, abs=1e-4)  # tanh 0.38002


def test_where_nothing_can_be_told_apart_everything_is_kept() -> None:
    assert floor(np.empty(0, np.float32), 0.5) == -1.0
    assert floor(np.linspace(0, 0.9, 9, dtype=np.float32), 0.1) == -1.0
    assert floor(np.full(100, 0.25, np.float32), 0.01) <= 0.25  # all alike
    assert -1 <= floor(np.full(100, -1, np.float32), 0.01) <= 1


def points(count: int) -> list[Point]:
    """Random pictures, and `PLANTED` that are alike."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        path = f"all/{i:04}.jpg"
        vectors = {name: rng.standard_normal(width) for name, width in WIDTHS.items()}
        if i < PLANTED:
            vectors = {name: 4 * np.eye(width)[0] + 0.2 * vectors[name] for name, width in WIDTHS.items()}
        units = {name: np.asarray(v / np.linalg.norm(v), np.float32) for name, v in vectors.items()}
        made.append(Point(stable_id(path), units, make_payload(path, "all")))
    return made


def on_a_server(source: Store) -> ServerStore:
    """The same collections behind a client's local mode."""
    server = ServerStore(local_qdrant(), "memory")
    for name in source.names():
        with source.open(name) as collection, server.create(name, collection.metadata) as copy:
            for page in collection.scroll(list(collection.metadata.vectors)):
                copy.upsert(page)
    return server


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    place = tmp_path_factory.mktemp("stores")
    metadata = make_facts(*WIDTHS.values())
    snapshot = make_snapshot(place, metadata, points(300), target=1.0)
    embedded = fill(place / "store", "again", metadata, points(300))
    made = [embedded, snapshot, on_a_server(embedded)]
    yield made
    for store in made:
        store.close()


def paths(answer: Answer) -> list[str]:
    """Of what stands out."""
    return [hit.picture.path for hit in answer if hit.stands_out is not False]


@pytest.mark.parametrize("space", Space)
def test_every_store_cuts_alike_and_finds_what_was_planted(stores: list[Store], space: Space) -> None:
    answers = []
    question = Question(pictures=(stable_id("all/0000.jpg"),), space=space, limit=50)
    for store in stores:
        with store.open("pictures") as collection:
            context = CollectionContext(store, collection)
            answer = ask(context, replace(question, min_score="auto"))
            answers.append(paths(answer))
            assert len(ask(context, question)) == 50
            assert answer.cutoff is not None
            for floor in answer.cutoff.floors.values():
                assert 0.3 < floor < 0.95
            assert answer.ends.endswith("what follows is only the nearest")
            assert [hit.stands_out for hit in answer] == [True] * answer.standing + [False] * (50 - answer.standing)
    assert answers[0] == answers[1] == answers[2]
    assert {f"all/{i:04}.jpg" for i in range(1, PLANTED)} <= set(answers[0])
    assert len(answers[0]) <= PLANTED + 1


def test_a_question_that_no_picture_answers_gets_none_and_a_reason(stores: list[Store]) -> None:
    for store in stores:
        with store.open("pictures") as collection:
            nowhere = -np.eye(WIDTHS[SEMANTIC], dtype=np.float32)[0]
            cutoff = CollectionContext(store, collection).backgrounds.cutoff({SEMANTIC: QueryVector.at(nowhere)})
            hits = collection.search(SEMANTIC, nowhere, 1)
            assert hits[0].score < cutoff.floors[SEMANTIC]
            assert "nothing stands out" in cutoff.message(0, hits[0].score)


class FirstNumbers(Projection):
    """The semantic vector is the beginning of the visual one."""

    kind = "first numbers"
    width = WIDTHS[VISUAL]

    def __init__(self) -> None:
        super().__init__(Header("", "", "", "", ""), {})

    def project(self, features: Features) -> NDArray[np.float32]:
        return unit(features[:, : WIDTHS[SEMANTIC]])


def asking(store: Store, collection: Collection) -> CollectionContext:
    context = CollectionContext(store, collection)
    context.projection = FirstNumbers()
    return context


def question(plus: list[np.ndarray], minus: list[np.ndarray] = [], **wanted: Any) -> Question:  # noqa: B006
    """About pictures that an encoder saw as these vectors; only what stands out."""
    sides = [tuple(EncodedPicture(np.asarray(one, np.float32)) for one in side) for side in (plus, minus)]
    return Question(pictures=sides[0], minus_pictures=sides[1], min_score="auto", **wanted)


WIDE = np.eye(WIDTHS[VISUAL])


@pytest.mark.parametrize("space", Space)
def test_subtracting_what_is_near_leaves_what_stands_out_and_orders_it(stores: list[Store], space: Space) -> None:
    asked = question([WIDE[0]], [0.9 * WIDE[0] + 0.4 * WIDE[1]], space=space, limit=50)
    planted = {f"all/{i:04}.jpg" for i in range(PLANTED)}
    answers = []
    for store in stores:
        with store.open("pictures") as collection:
            context = asking(store, collection)
            answer = ask(context, asked)
            answers.append(paths(answer))
            assert planted <= set(answers[-1])
            assert len(answer.standing_hits) <= PLANTED + 2
            if space is not Space.BOTH:
                every = paths(ask(context, replace(asked, limit=300, min_score=-1.0)))
                assert answers[-1] == [path for path in every if path in answers[-1]]
                assert answer.cutoff is not None
                floor = answer.cutoff.floors[space]
                assert answer.standing_hits[-1].score < floor, "the whole question's own score would not have passed"
                assert ask(context, replace(asked, limit=3)).hits == answer.hits[:3]
    assert answers[0] == answers[1] == answers[2]


def test_where_more_stand_out_than_are_looked_at_each_answer_is_the_beginning_of_one_list(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question([WIDE[0]], [0.9 * WIDE[0] + 0.4 * WIDE[1]], limit=50)
    with stores[0].open("pictures") as collection:
        context = asking(stores[0], collection)
        monkeypatch.setattr(ranking, "DEPTH", 4)
        every = ask(context, asked).hits
        assert [hit.stands_out for hit in every[:5]] == [True] * 4 + [False]
        assert [ask(context, replace(asked, limit=n)).hits for n in range(1, 7)] == [every[:n] for n in range(1, 7)]


def test_a_question_that_only_subtracts_has_a_cut_too(stores: list[Store]) -> None:
    with stores[0].open("pictures") as collection:
        answer = ask(asking(stores[0], collection), question([], [-WIDE[0]], limit=50))
    assert answer.cutoff is not None
    assert not answer.cutoff.subtracts
    assert {f"all/{i:04}.jpg" for i in range(PLANTED)} <= set(paths(answer))


def test_a_sample_leaves_the_pictures_asked_about_out(stores: list[Store]) -> None:
    aim = np.eye(WIDTHS[VISUAL], dtype=np.float32)[0]
    with stores[0].open("pictures") as collection:
        sample = Sample.of(collection, VISUAL)
    assert (len(sample.ids), sample.vectors.shape, sample.total) == (250, (250, 32), 300)
    assert len(sample.scores(aim, sample.ids[3:5])) == 248
    np.testing.assert_allclose(sample.scores(aim), sample.scores(5 * aim), rtol=1e-6)


def test_one_picture_and_none_are_collections_too(tmp_path: Path) -> None:
    metadata = make_facts(*WIDTHS.values())
    store = fill(tmp_path / "store", "one", metadata, points(1))
    with store.open("one") as collection:
        ones = QueryVector.at(np.ones(WIDTHS[VISUAL], np.float32))
        cutoff = CollectionContext(store, collection).backgrounds.cutoff({VISUAL: ones})
        assert cutoff.floors == {VISUAL: -1.0}
    with store.create("none", metadata) as collection:
        sample = Sample.of(collection, VISUAL)
    assert sample.vectors.shape == (0, WIDTHS[VISUAL])
    assert len(sample.scores(np.ones(WIDTHS[VISUAL], np.float32), [UUID(int=1)])) == 0


def test_a_sample_is_taken_anew_where_there_are_more_pictures(tmp_path: Path) -> None:
    metadata = make_facts(*WIDTHS.values())
    store = fill(tmp_path / "store", "grows", metadata, points(12))
    queries = {VISUAL: QueryVector.at(np.eye(WIDTHS[VISUAL], dtype=np.float32)[0])}
    with store.open("grows", write=True) as collection:
        backgrounds = CollectionContext(store, collection).backgrounds
        few = backgrounds.cutoff(queries)
        assert backgrounds.cutoff(queries) == few
        collection.upsert(points(200)[12:])
        assert backgrounds.cutoff(queries).floors[VISUAL] != few.floors[VISUAL]


def test_a_sample_is_kept_until_a_tenth_of_the_pictures_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = Sample.of.__func__

    def counted(cls: type[Sample], collection: Collection, using: str) -> Sample:
        taken.append(collection.count())
        return take(cls, collection, using)

    monkeypatch.setattr(Sample, "of", classmethod(counted))
    store = fill(tmp_path / "store", "grows", make_facts(*WIDTHS.values()), points(100))
    queries = {VISUAL: QueryVector.at(np.eye(WIDTHS[VISUAL], dtype=np.float32)[0])}
    with store.open("grows", write=True) as collection:
        backgrounds = CollectionContext(store, collection).backgrounds
        for total in (100, 101, 110, 111, 112):
            collection.upsert(points(total)[100:])
            backgrounds.cutoff(queries)
    assert taken == [100, 111]


def test_what_is_nearer_to_what_is_subtracted_is_no_answer(stores: list[Store]) -> None:
    asked = question([0.9 * WIDE[0] + 0.44 * WIDE[1]], [WIDE[0]], limit=300)  # the planted ones are what is subtracted
    with stores[0].open("pictures") as collection:
        found = set(paths(ask(asking(stores[0], collection), asked)))
    assert not found & {f"all/{i:04}.jpg" for i in range(PLANTED)}


def test_words_set_a_floor_of_their_own(stores: list[Store], words: Words) -> None:
    """Pictures that are all as near to a question as words are do not answer it."""
    metadata = make_facts(*WIDTHS.values())
    with stores[0].open(tags_name(metadata.words, metadata.words_sha256)) as vocabulary:
        sample = Sample.of(vocabulary, WORD)
        towards_a_word = sample.vectors[0]
        wanted = floor(sample.vectors @ towards_a_word, 0.001)
    with stores[0].open("pictures") as collection:
        backgrounds = CollectionContext(stores[0], collection).backgrounds
        floors = backgrounds.cutoff({SEMANTIC: QueryVector.at(towards_a_word)}).floors
    assert floors[SEMANTIC] >= wanted > 0.5
    rare = words.vectors[:5000][7::20]
    below = [float((rare @ vector >= word_floor(rare @ vector)).mean()) for vector in words.vectors[100:130]]
    assert np.mean(below) < 0.02  # the word itself, and what is really near it


# By hand: ten scores whose artanh are 0.1 and 0.3 by turns, so of mean 0.2 and deviation 0.1; a normal's quantiles
# are 2.3263 at 1 in 100, 3.0902 at 1 in 1,000, 3.7190 at 1 in 10,000.
SCORES = np.tanh(np.array([0.1, 0.3] * 5)).astype(np.float32)


@pytest.mark.parametrize(("pictures", "expected"), [(100, 0.4075), (1000, 0.4692), (10_000, 0.5168)])
def test_the_cut_grows_with_the_collection_and_not_with_the_sample(pictures: int, expected: float) -> None:
    assert picture_floor(SCORES, pictures) == pytest.approx(expected, abs=1e-4)
    ids = [UUID(int=number) for number in range(10)]
    sample = Sample(ids, np.stack([SCORES, np.sqrt(1 - SCORES**2)], axis=1), total=pictures)
    assert sample.floor(np.array([1, 0], np.float32)) == pytest.approx(expected, abs=1e-4)


def test_one_word_in_a_thousand_passes_by_chance() -> None:
    assert word_floor(SCORES) == pytest.approx(0.4692, abs=1e-4)


def test_the_pictures_asked_about_are_no_background_and_are_not_counted() -> None:
    """Two of twelve are asked about, and score 1: neither their scores nor their number may move the cut."""
    ids = [UUID(int=number) for number in range(12)]
    scores = np.append(SCORES, np.float32([1, 1]))
    sample = Sample(ids, np.stack([scores, np.sqrt(1 - scores**2)], axis=1), total=102)
    east = np.array([1, 0], np.float32)
    assert sample.floor(east, ids[10:]) == pytest.approx(0.4075, abs=1e-4)
    assert sample.floor(east) > 0.99  # counted as background they would
    few = Sample(ids[:11], sample.vectors[:11], total=11)
    assert few.floor(east, ids[9:11]) == -1.0  # nine others: too few to say what is ordinary


def test_an_answer_is_cut_without_the_picture_asked_about(tmp_path: Path) -> None:
    """Ten others, of which one in ten may pass by chance: a normal's quantile there is 1.2816, tanh 0.32816 0.3169."""
    looks = np.zeros((11, WIDTHS[VISUAL]), np.float32)
    looks[0, 0] = 1
    looks[1:, 0], looks[1:, 1] = SCORES, np.sqrt(1 - SCORES**2)
    made = [replace(one, vectors={**one.vectors, VISUAL: look}) for one, look in zip(points(11), looks, strict=True)]
    store = fill(tmp_path / "store", "eleven", make_facts(*WIDTHS.values()), made)
    with store.open("eleven") as collection:
        question = Question(pictures=(made[0].id,), space=Space.VISUAL, min_score="auto")
        answer = ask(CollectionContext(store, collection), question)
    assert answer.cutoff is not None
    assert answer.cutoff.floors[VISUAL] == pytest.approx(0.3169, abs=1e-4)


def test_the_user_is_told_in_one_sentence() -> None:
    one, two = Cutoff({VISUAL: 0.5}), Cutoff({VISUAL: 0.5, SEMANTIC: 0.6})
    assert one.message(1, 0.4) == "1 picture stands out, at 0.5000 or more; what follows is only the nearest"
    assert "3 pictures stand out, at 0.5000 by looks or 0.6000 by meaning" in two.message(3, 0.4)
    assert "out, at 0.5000 or more or by name; what" in one.message(3, 0.4, by=["name"])
    assert one.message(0, 0.41) == (
        "nothing stands out: the nearest picture scores 0.4100, and an answer would be at 0.5000 or more"
    )
    assert "0.5000 by looks or 0.6000 by meaning" in two.message(0, 0.03)
    apart = Cutoff({SEMANTIC: 0.6}, subtracts=True)
    assert apart.message(3, 0.4) == (
        "3 pictures stand out, at 0.6000 or more for what is wanted; what follows is only the nearest"
    )
    assert apart.message(0, 0.4) == (
        "nothing stands out: no picture is at 0.6000 or more for what is wanted, "
        "and nearer to that than to what is subtracted"
    )
