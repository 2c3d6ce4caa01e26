"""The cut-off: what stands out is kept, what is only nearest is not, and the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ingest.collection.tags import tags_name
from ingest.records import stable_id
from ingest.stores import SEMANTIC, VISUAL, WORD, Point, Store
from ingest.stores.server import ServerStore
from model.words import Words
from query.asking import Cutoff, ImageQuery, Search, Space, combine, ranking
from query.asking.cutoff import ANY_COSINE, SAMPLE, WORD_SHARE, Sample, floor
from query.asking.query_vectors import QueryVector
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
    cuts = [floor(part, 1 / len(scores)) for part in (scores, scores[:SAMPLE], scores[-SAMPLE:])]
    assert max(cuts) - min(cuts) < 0.08
    assert floor(scores[:SAMPLE], 1e-6) > floor(scores[:SAMPLE], 1e-3)


def test_what_stands_out_is_kept_and_its_copies_do_not_raise_the_bar() -> None:
    rng = np.random.default_rng(0)
    scores = np.r_[random_scores(rng, 500), np.full(5, 0.9, np.float32), np.ones(2, np.float32)]
    kept = scores >= floor(scores, 1 / len(scores))
    assert kept[-7:].all()
    assert kept[:-7].sum() <= 1


def test_where_nothing_can_be_told_apart_everything_is_kept() -> None:
    assert floor(np.empty(0, np.float32), 0.5) == ANY_COSINE
    assert floor(np.linspace(0, 0.9, 9, dtype=np.float32), 0.1) == ANY_COSINE
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


@pytest.mark.parametrize("space", Space)
def test_every_store_cuts_alike_and_finds_what_was_planted(stores: list[Store], space: Space) -> None:
    answers = []
    asked_id = stable_id("all/0000.jpg")
    for store in stores:
        with store.open("pictures") as collection:
            search = Search(store, collection)
            stored = collection.retrieve([asked_id], [VISUAL, SEMANTIC])[asked_id]
            asked = ImageQuery(stored.vectors[VISUAL], stored.vectors[SEMANTIC], asked_id, stored=True)
            cutoff = search.cutoff(search.aims(asked, space=space), asked.ids)
            found = search.similar(asked, space=space, limit=50, cutoff=cutoff)
            answers.append([answer.picture.path for answer in found])
            assert len(search.similar(asked, space=space, limit=50)) == 50
            for using in cutoff.floors:
                assert 0.3 < cutoff.floors[using] < 0.95
    assert answers[0] == answers[1] == answers[2]
    assert {f"all/{i:04}.jpg" for i in range(1, PLANTED)} <= set(answers[0])
    assert len(answers[0]) <= PLANTED + 1


def test_a_question_that_no_picture_answers_gets_none_and_a_reason(stores: list[Store]) -> None:
    for store in stores:
        with store.open("pictures") as collection:
            search = Search(store, collection)
            nowhere = -np.eye(WIDTHS[SEMANTIC], dtype=np.float32)[0]
            cutoff = search.cutoff({SEMANTIC: QueryVector.at(nowhere)})
            hits = collection.search(SEMANTIC, nowhere, 1)
            assert hits[0].score < cutoff.floors[SEMANTIC]
            assert "nothing stands out" in cutoff.told(0, 10, hits[0].score)


def like(vector: np.ndarray) -> ImageQuery:
    semantic = np.asarray(vector[: WIDTHS[SEMANTIC]] / np.linalg.norm(vector[: WIDTHS[SEMANTIC]]), np.float32)
    return ImageQuery(np.asarray(vector, np.float32), semantic, None, stored=False)


@pytest.mark.parametrize("space", Space)
def test_taking_away_what_is_near_leaves_what_stands_out_and_orders_it(stores: list[Store], space: Space) -> None:
    wide = np.eye(WIDTHS[VISUAL])
    asked = combine([like(wide[0])], [like(0.9 * wide[0] + 0.4 * wide[1])])
    planted = {f"all/{i:04}.jpg" for i in range(PLANTED)}
    answers = []
    for store in stores:
        with store.open("pictures") as collection:
            search = Search(store, collection)
            cutoff = search.cutoff(search.aims(asked, space=space))
            found = search.similar(asked, space=space, limit=50, cutoff=cutoff)
            answers.append([answer.picture.path for answer in found])
            assert planted <= set(answers[-1])
            assert len(found) <= PLANTED + 2
            if space is not Space.BOTH:
                every = [hit.picture.path for hit in search.similar(asked, space=space, limit=300)]
                assert answers[-1] == [path for path in every if path in answers[-1]]
                assert found[-1].score < cutoff.floors[space], "the whole question's own score would not have passed"
                assert search.similar(asked, space=space, limit=3, cutoff=cutoff) == found[:3]
    assert answers[0] == answers[1] == answers[2]


def test_where_more_stand_out_than_are_looked_at_each_answer_is_the_beginning_of_one_list(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = np.eye(WIDTHS[VISUAL])
    asked = combine([like(wide[0])], [like(0.9 * wide[0] + 0.4 * wide[1])])
    with stores[0].open("pictures") as collection:
        search = Search(stores[0], collection)
        cutoff = search.cutoff(search.aims(asked))
        monkeypatch.setattr(ranking, "DEPTH", 4)
        every = search.similar(asked, limit=50, cutoff=cutoff)
        assert len(every) == 4
        assert [search.similar(asked, limit=n, cutoff=cutoff) for n in range(1, 4)] == [every[:n] for n in range(1, 4)]


def test_a_question_that_only_turns_away_has_a_cut_too(stores: list[Store]) -> None:
    asked = combine([], [like(-np.eye(WIDTHS[VISUAL])[0])])
    with stores[0].open("pictures") as collection:
        search = Search(stores[0], collection)
        cutoff = search.cutoff(search.aims(asked))
        assert not cutoff.takes_away
        found = search.similar(asked, limit=50, cutoff=cutoff)
    assert {f"all/{i:04}.jpg" for i in range(PLANTED)} <= {answer.picture.path for answer in found}


def test_a_sample_leaves_the_pictures_asked_about_out(stores: list[Store]) -> None:
    aim = np.eye(WIDTHS[VISUAL], dtype=np.float32)[0]
    with stores[0].open("pictures") as collection:
        sample = Sample.of(collection, VISUAL)
    assert (len(sample.ids), sample.vectors.shape, sample.total) == (SAMPLE, (SAMPLE, 32), 300)
    assert len(sample.scores(aim, sample.ids[3:5])) == SAMPLE - 2
    np.testing.assert_allclose(sample.scores(aim), sample.scores(5 * aim), rtol=1e-6)


def test_one_picture_and_none_are_collections_too(tmp_path: Path) -> None:
    metadata = make_facts(*WIDTHS.values())
    store = fill(tmp_path / "store", "one", metadata, points(1))
    with store.open("one") as collection:
        search = Search(store, collection)
        cutoff = search.cutoff({VISUAL: QueryVector.at(np.ones(WIDTHS[VISUAL], np.float32))})
        assert cutoff.floors == {VISUAL: ANY_COSINE}
    with store.create("none", metadata) as collection:
        sample = Sample.of(collection, VISUAL)
    assert sample.vectors.shape == (0, WIDTHS[VISUAL])
    assert len(sample.scores(np.ones(WIDTHS[VISUAL], np.float32), [UUID(int=1)])) == 0


def test_a_sample_is_taken_anew_where_there_are_more_pictures(tmp_path: Path) -> None:
    metadata = make_facts(*WIDTHS.values())
    store = fill(tmp_path / "store", "grows", metadata, points(12))
    aims = {VISUAL: QueryVector.at(np.eye(WIDTHS[VISUAL], dtype=np.float32)[0])}
    with store.open("grows", write=True) as collection:
        search = Search(store, collection)
        few = search.cutoff(aims)
        assert search.cutoff(aims) == few
        collection.upsert(points(200)[12:])
        assert search.cutoff(aims).floors[VISUAL] != few.floors[VISUAL]


def test_what_is_nearer_to_what_is_taken_away_is_no_answer(stores: list[Store]) -> None:
    wide = np.eye(WIDTHS[VISUAL])
    asked = combine([like(0.9 * wide[0] + 0.44 * wide[1])], [like(wide[0])])  # the planted ones are what is taken away
    with stores[0].open("pictures") as collection:
        search = Search(stores[0], collection)
        cutoff = search.cutoff(search.aims(asked))
        found = {answer.picture.path for answer in search.similar(asked, limit=300, cutoff=cutoff)}
    assert not found & {f"all/{i:04}.jpg" for i in range(PLANTED)}


def test_words_set_a_floor_of_their_own(stores: list[Store], words: Words) -> None:
    """Pictures that are all as near to a question as words are do not answer it."""
    metadata = make_facts(*WIDTHS.values())
    with stores[0].open(tags_name(metadata.words, metadata.words_sha256)) as vocabulary:
        sample = Sample.of(vocabulary, WORD)
        towards_a_word = sample.vectors[0]
        wanted = floor(sample.vectors @ towards_a_word, WORD_SHARE)
    with stores[0].open("pictures") as collection:
        floors = Search(stores[0], collection).cutoff({SEMANTIC: QueryVector.at(towards_a_word)}).floors
    assert floors[SEMANTIC] >= wanted > 0.5
    rare = words.vectors[:5000][7::20]
    below = [float((rare @ vector >= floor(rare @ vector, WORD_SHARE)).mean()) for vector in words.vectors[100:130]]
    assert np.mean(below) < 0.02  # the word itself, and what is really near it


def test_the_user_is_told_in_one_sentence() -> None:
    one, two = Cutoff({VISUAL: 0.5}), Cutoff({VISUAL: 0.5, SEMANTIC: 0.6})
    assert one.told(10, 10, 0.9) == ""
    assert one.told(0, 10, None) == ""  # the filter left none: another sentence says so
    assert one.told(1, 10, 0.9) == "1 picture stands out, at 0.5000 or more; the rest is left out"
    assert "3 pictures stand out, at 0.5000 by looks or 0.6000 by meaning" in two.told(3, 10, 0.9)
    assert one.told(0, 10, 0.41) == (
        "nothing stands out: the nearest picture scores 0.4100, and an answer would be at 0.5000 or more"
    )
    assert "0.5000 by looks or 0.6000 by meaning" in two.told(0, 10, 0.03)
    assert one.told(3, 3, 0.9) == "", "nothing else passes the filter"
    apart = Cutoff({SEMANTIC: 0.6}, takes_away=True)
    assert apart.told(3, 10, 0.4) == (
        "3 pictures stand out, at 0.6000 or more for what is wanted; the rest is left out"
    )
    assert (
        apart.told(0, 10, 0.4)
        == "nothing stands out: no picture is at 0.6000 or more for what is wanted and less near to what is taken away"
    )
