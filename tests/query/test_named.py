"""Pictures found by the names of folders and files, beside what they mean: alike in all stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.records import CollectionMetadata, Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL, Filter, Hit, Point, SparseVector, Store
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.server import ServerStore
from model.errors import UsageError, WordsError
from model.words import Words
from query.asking import Answer, CollectionContext, QueryVector, Question, ask
from query.asking.named import Named, find_named
from tests.local_qdrant import local_qdrant
from tests.query.test_search import visual
from tests.snapshots import make_snapshot

METADATA = CollectionMetadata("pictures", {VISUAL: 4}, "made-up", "0" * 64, root="/photos")

# path, what the picture shows
PICTURES = [
    ("2019 Venice/IMG_0001.jpg", "cat"),
    ("2019 Venice/IMG_0002.jpg", "ocean"),
    ("moon/1.jpg", "car"),
    ("trips/full moon.jpg", "dog"),
    ("no entry/1.jpg", "house"),
    ("Schnuffi/1.jpg", "cat"),
    ("pets/1.jpg", "cat"),
    ("pets/2.jpg", "dog"),
]


@pytest.fixture
def stores(tmp_path: Path, words: Words) -> Iterator[list[Store]]:
    metadata = CollectionMetadata(
        "pictures", {VISUAL: 4, SEMANTIC: words.width}, words.name, words.sha256, root="/photos"
    )
    points = []
    for path, shown in PICTURES:
        picture = Picture(path, sha256=path, width=3, height=2, size=1, mtime_ns=1, visual_norm=2.0)
        vectors = {VISUAL: visual(1), SEMANTIC: words.phrase(shown).vector}
        points.append(Point(picture.id, vectors, picture.to_payload()))
    with in_all_stores(tmp_path, metadata, points, words) as every:
        yield every


@contextmanager
def in_all_stores(
    place: Path, metadata: CollectionMetadata, points: Sequence[Point], words: Words
) -> Iterator[list[Store]]:
    """One store of each kind, with these points as the collection ``pictures``."""
    stores: list[Store] = [EmbeddedStore(place / "store"), ServerStore(local_qdrant(), "server")]
    for store in stores:
        with store.create("pictures", metadata) as collection:
            collection.upsert(points)
    carried = make_snapshot(place / "carried", metadata, points, target=1.0)
    carried.words = lambda _: words  # type: ignore[method-assign]  # it was made with a few made-up ones
    with ExitStack() as stack:
        yield [stack.enter_context(store) for store in (*stores, carried)]


def asked(stores: list[Store], text: str, *, names: bool = True, limit: int = 3) -> Answer:
    """The answer, which all stores agree in but for the message of a server that makes no indexes."""
    answers = []
    for store in stores:
        with store.open("pictures") as collection:
            question = replace(Question.in_words(text), limit=limit, names=names)
            answers.append(ask(CollectionContext(store, collection), question))
    found = [[(hit.picture.path, round(hit.score, 4), hit.matched) for hit in answer] for answer in answers]
    assert found[0] == found[1] == found[2]
    return answers[0]


def paths(answer: Answer) -> list[str]:
    return [hit.picture.path for hit in answer]


def test_a_folder_of_that_name_comes_first_then_names_that_hold_the_word(stores: list[Store]) -> None:
    answer = asked(stores, "a photo of the moon")
    assert paths(answer)[:2] == ["moon/1.jpg", "trips/full moon.jpg"]
    assert [hit.matched for hit in answer] == ["name", "name", None]
    assert paths(asked(stores, "venice", limit=2)) == ["2019 Venice/IMG_0002.jpg", "2019 Venice/IMG_0001.jpg"]
    assert [hit.matched for hit in asked(stores, "moon", names=False)] == [None] * 3


def test_meaning_orders_what_is_named_alike_and_what_is_not_named(stores: list[Store]) -> None:
    assert paths(asked(stores, "pets", limit=2)) in (["pets/1.jpg", "pets/2.jpg"], ["pets/2.jpg", "pets/1.jpg"])
    assert set(paths(asked(stores, "cat"))) == {"2019 Venice/IMG_0001.jpg", "Schnuffi/1.jpg", "pets/1.jpg"}


def test_the_name_of_a_camera_finds_only_itself(stores: list[Store]) -> None:
    whole = asked(stores, "IMG_0002 car", limit=8)
    assert {hit.matched for hit in whole} == {None}
    assert paths(asked(stores, "IMG_0002", limit=8))[0] == "2019 Venice/IMG_0002.jpg"
    assert {hit.matched for hit in asked(stores, "image", limit=8)} == {None}


def test_a_name_that_no_word_is_known_of_is_found(stores: list[Store]) -> None:
    answer = asked(stores, "Schnuffi")
    assert paths(answer) == ["Schnuffi/1.jpg"]
    assert "no vector for 'schnuffi'" in answer.messages[0].lower()
    assert answer.messages[0].endswith("found by name")
    with pytest.raises(WordsError, match="no vector"):
        asked(stores, "Schnuffi", names=False)


def test_a_name_that_reads_like_a_negation_is_a_name(stores: list[Store]) -> None:
    answer = asked(stores, "no entry", limit=1)
    assert (paths(answer), answer.messages) == (["no entry/1.jpg"], ())
    with pytest.raises(UsageError, match="only words to turn away from \\(-dogs\\)"):
        asked(stores, "no dogs")


def test_what_weighs_nothing_is_not_looked_for_among_names(stores: list[Store]) -> None:
    answer = asked(stores, "moon + 0:trips", limit=8)
    assert [hit.picture.path for hit in answer if hit.matched] == ["moon/1.jpg", "trips/full moon.jpg"]


def test_a_name_turned_away_from_is_not_found_by_name(stores: list[Store]) -> None:
    answer = asked(stores, "moon but not trips", limit=8)
    assert [hit.picture.path for hit in answer if hit.matched] == ["moon/1.jpg"]
    assert answer.messages == ("read as: moon -trips",)


def test_what_is_named_is_found_though_it_shows_nothing_of_the_question(tmp_path: Path) -> None:
    """Of classes, a store finds only what shares one with the question."""
    metadata = replace(METADATA, sparse=("classes",))
    points = []
    for path, shown in (("moon/1.jpg", 5), ("moon/2.jpg", 7), ("sea/3.jpg", 7)):
        picture = Picture(path, sha256=path, width=3, height=2, size=1, mtime_ns=1, visual_norm=2.0)
        classes = SparseVector(np.array([shown], np.uint32), np.array([0.9], np.float32))
        points.append(Point(picture.id, {VISUAL: visual(1)}, picture.to_payload(), {"classes": classes}))
    meant = np.zeros(1000, np.float32)
    meant[7] = 1.0
    with EmbeddedStore(tmp_path).create("pictures", metadata) as collection:
        collection.upsert(points)
        named = find_named(collection, Question.in_words("moon"), Filter(), {"classes": QueryVector.at(meant)})
    assert [(hit.payload["path"], hit.score) for hit in named.whole] == [("moon/2.jpg", 0.9), ("moon/1.jpg", 0.0)]
    assert named.words == ()


def test_what_is_named_and_scores_less_than_asked_for_is_no_answer(stores: list[Store]) -> None:
    with stores[0].open("pictures") as collection:
        context = CollectionContext(stores[0], collection)
        answer = ask(context, replace(Question.in_words("moon"), min_score=0.9))
    assert paths(answer) == []
    assert answer.why_nothing.startswith("no picture scores 0.9 or more: the nearest scores 0.")


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        (Filter(under="trips"), ["trips/full moon.jpg"]),
        (Filter(labels=("moon",)), ["moon/1.jpg"]),
        (Filter(labels=("pets",)), ["pets/1.jpg", "pets/2.jpg"]),
    ],
)
def test_a_filter_holds_for_what_is_named_too(stores: list[Store], filter: Filter, found: list[str]) -> None:
    for store in stores:
        with store.open("pictures") as collection:
            context = CollectionContext(store, collection)
            answer = ask(context, replace(Question.in_words("moon"), filter=filter))
        assert sorted(paths(answer)) == found


def hit(name: str) -> Hit:
    return Hit(stable_id(name), 0.5, {"path": name})


def test_a_place_by_name_counts_twice_one_by_meaning() -> None:
    """Third by name comes before first by meaning; of two thirds the one that is found both ways comes first."""
    meaning = [hit(name) for name in ("a", "b", "c", "d", "named twice")]
    named = Named(whole=(hit("exact"),), words=(hit("far"), hit("named twice"), hit("last")))
    found = [one.payload["path"] for one in named.ahead_of(meaning)]
    # 2/62 + 1/65, 2/61, 2/63, then 1/61 and so on
    assert found == ["exact", "named twice", "far", "last", "a", "b", "c", "d"]


def test_sixty_one_that_are_named_come_before_the_first_by_meaning() -> None:
    """The sixty-second counts 2/122, as much as the first by meaning, which then goes before it."""
    named = Named(words=tuple(hit(f"named {number}") for number in range(1, 71)))
    found = [one.payload["path"] for one in named.ahead_of([hit("meant")])]
    assert found.index("meant") == 61


def test_what_is_named_stands_out(stores: list[Store]) -> None:
    with stores[0].open("pictures") as collection:
        context = CollectionContext(stores[0], collection)
        context.backgrounds.cutoff = lambda *_: replace_floor()  # type: ignore[method-assign]
        answer = ask(context, replace(Question.in_words("moon"), min_score="auto"))
    assert [hit.picture.path for hit in answer.standing_hits] == ["moon/1.jpg", "trips/full moon.jpg"]
    assert len(answer) == 8
    assert answer.ends == "2 pictures stand out, at 0.9900 or more or by name; what follows is only the nearest"


def replace_floor() -> object:
    from query.asking.cutoff import Cutoff

    return Cutoff({SEMANTIC: 0.99})


def test_pages_are_of_one_list(stores: list[Store]) -> None:
    with stores[0].open("pictures") as collection:
        context = CollectionContext(stores[0], collection)
        question = Question.in_words("moon")
        whole = ask(context, replace(question, limit=8))
        pages = [ask(context, replace(question, limit=3, offset=offset)) for offset in (0, 3, 6)]
    assert [hit for page in pages for hit in page] == list(whole)
    assert [page.has_more for page in pages] == [True, True, False]


def test_a_collection_without_the_index_is_searched_and_told_until_the_next_run(stores: list[Store]) -> None:
    import qdrant_edge as edge

    store = stores[0]
    with store.open("pictures", write=True) as collection, collection._shard.opened() as shard:
        shard.update(edge.UpdateOperation.delete_field_index("path"))
    answer = asked(stores, "moon")
    assert paths(answer)[:2] == ["moon/1.jpg", "trips/full moon.jpg"]
    assert answer.messages == ("names are searched without an index: the next `ingest run` makes it",)
    store.open("pictures", write=True).close()
    assert asked(stores, "moon").messages == ()
