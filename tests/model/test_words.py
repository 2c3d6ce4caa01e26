"""Words on disk: finding them, phrases, near words, spellings; and files that are damaged."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.errors import WeightsError, WordsError
from model.words import Words
from model.words import vectors as layout
from model.words.conversion import convert

FILES = (
    layout.METADATA_FILE,
    layout.VECTORS_FILE,
    layout.NORMS_FILE,
    layout.TEXT_FILE,
    layout.OFFSETS_FILE,
    layout.ORDER_FILE,
)


def small_words(folder: Path, vectors: dict[str, list[float]]) -> Words:
    """Words made up for a test, the most frequent first."""
    block = (list(vectors), np.array(list(vectors.values()), np.float32))
    convert([block], "small", len(next(iter(vectors.values()))), "00" * 32, folder)
    return Words(folder)


# Looking up


def test_every_word_is_found_at_its_own_row_by_binary_search(words: Words) -> None:
    all_words = list(words.iterate())
    assert len(all_words) == len(words) == 400_000
    in_order = sorted(all_words, key=str.encode)
    rows = {word: row for row, word in enumerate(all_words)}
    sample = [*all_words[:200], *all_words[-200:], *all_words[200::997]]
    sample += [*in_order[:50], *in_order[-50:], in_order[len(in_order) // 2]]
    for word in sample:
        assert words.row(word) == rows[word], word
        assert words.word(rows[word]) == word


def test_words_that_are_not_there_are_not_found(words: Words) -> None:
    in_order = sorted(words.iterate(), key=str.encode)
    absent = ["", "qwxyzzy", "Ocean", "ocean ", "oceann", "\0", "\U0010ffff", "\ud800", in_order[0] + "\0"]
    absent += [in_order[-1] + "z", "z" * 10_000]
    for word in absent:
        assert words.row(word) is None, word
        assert word not in words
    assert "ocean" in words


def test_the_vectors_are_of_unit_length_and_the_known_words_near(words: Words) -> None:
    lengths = np.linalg.norm(words.vectors[::37], axis=1)
    assert np.abs(lengths - 1).max() < 1e-5
    dog, cat, car = (words.vectors[words.row(word) or 0] for word in ("dog", "cat", "car"))
    assert dog @ cat > 0.85 > 0.6 > dog @ car


def test_opening_reads_no_vectors_and_looking_up_imports_nothing_heavy(words: Words) -> None:
    code = f"""
import sys
from model.words.vectors import Words
from pathlib import Path
words = Words(Path({str(words.folder)!r}))
assert words.phrase("dining table").known == ("dining", "table")
print([name for name in ("torch", "onnxruntime", "pyarrow", "rapidfuzz") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Phrases


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("dog", ("dog",)),
        ("  DOG\n", ("dog",)),
        ("dining_table", ("dining", "table")),
        ("GrandPiano", ("grand", "piano")),
        ("Leopards", ("leopards",)),
        ("t-shirt", ("t-shirt",)),
        ("T-Shirt", ("t-shirt",)),
        ("a red fire truck", ("a", "red", "fire", "truck")),
        ("dog's", ("dog",)),
        ("dog\u2019s", ("dog",)),
        ('"dog", (cat)!', ("dog", "cat")),
        ("caf\u00e9", ("caf\u00e9",)),
        ("cafe\u0301", ("caf\u00e9",)),
        ("\u00f4c\u00e9\u00e1n", ("ocean",)),
        ("HTTPServer", ("http", "server")),
        ("\uff44\uff4f\uff47", ("dog",)),
        ("jack-o'-lantern", ("jack", "o", "lantern")),
    ],
)
def test_a_phrase_is_read_as_its_words(words: Words, text: str, known: tuple[str, ...]) -> None:
    phrase = words.phrase(text)
    assert phrase.known == known
    assert phrase.unknown == ()
    assert phrase.text == text.strip()
    assert phrase.vector.shape == (words.width,)
    assert abs(float(np.linalg.norm(phrase.vector)) - 1) < 1e-5


def test_one_word_gives_its_own_vector(words: Words) -> None:
    row = words.row("ocean")
    assert row is not None
    assert np.allclose(words.phrase("Ocean").vector, words.vectors[row], atol=1e-6)


def test_an_article_barely_matters(words: Words) -> None:
    with_it, without = words.phrase("a red fire truck"), words.phrase("red fire truck")
    assert with_it.vector @ without.vector > 0.99
    plain = words.vectors[[words.row(word) for word in ("a", "red", "fire", "truck")]].sum(axis=0)
    assert without.vector @ plain / np.linalg.norm(plain) < 0.99  # a plain sum would turn away


def test_a_phrase_weighs_its_words_by_how_rare_they_are(tmp_path: Path) -> None:
    words = small_words(tmp_path / "w", {"the": [1, 0, 0], "red": [0, 1, 0], "truck": [0, 0, 2]})

    def weight(rank: int) -> float:
        return 0.001 / (0.001 + 1 / ((rank + 1) * (math.log(3) + 0.5772156649)))

    wanted = np.array([weight(0), weight(1), weight(2)])
    assert np.allclose(words.phrase("the red truck").vector, wanted / np.linalg.norm(wanted), atol=1e-6)


def test_word_frequencies_add_up_to_one(words: Words) -> None:
    assert abs(sum(words.frequency(row) for row in range(len(words))) - 1) < 1e-3
    assert words.frequency(0) > 2 * words.frequency(2)


def test_unknown_words_of_a_phrase_are_named_and_change_nothing(words: Words) -> None:
    phrase = words.phrase("a qwxyzzy dog vbnmvbnm")
    assert phrase.known == ("a", "dog")
    assert phrase.unknown == ("qwxyzzy", "vbnmvbnm")
    assert np.array_equal(phrase.vector, words.phrase("a dog").vector)


def test_a_phrase_of_unknown_words_names_the_closest_spellings(words: Words) -> None:
    with pytest.raises(WordsError, match=r"^no vector for 'ocaen': did you mean ocean, "):
        words.phrase("ocaen")
    with pytest.raises(WordsError, match=r"'ocaen': did you mean .*; no vector for 'dolphn': did you mean dolphin"):
        words.phrase("ocaen dolphn")
    with pytest.raises(WordsError, match=r"no vector for 'qwxyzzyqwxyzzy': try another word"):
        words.phrase("qwxyzzyqwxyzzy")


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "???", "- '", "\ud800"])
def test_text_without_a_word_is_refused_without_a_suggestion(words: Words, text: str) -> None:
    with pytest.raises(WordsError, match=r"no vector for .*: try another word"):
        words.phrase(text)


def test_words_that_cancel_out_give_no_direction(tmp_path: Path) -> None:
    words = small_words(tmp_path / "w", {"up": [1, 0], "nil": [0, 0], "left": [0, 1]})
    assert words.phrase("up nil").vector.tolist() == [1, 0]
    with pytest.raises(WordsError, match="cancel each other out"):
        words.phrase("nil nil")


# Nearness


def test_near_words_are_near_in_meaning_the_nearest_first(words: Words) -> None:
    near = words.nearest(words.phrase("ocean").vector, 10)
    assert near[0].word == "ocean"
    assert near[0].score == pytest.approx(1, abs=1e-5)
    assert "sea" in [found.word for found in near]
    assert [found.score for found in near] == sorted((found.score for found in near), reverse=True)


def test_nearest_is_what_comparing_all_of_them_gives(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SCAN_ROWS", 7_001)
    wanted = words.phrase("grand piano").vector
    scores = np.asarray(words.vectors) @ wanted
    best = np.argsort(-scores, kind="stable")[:25]
    assert [found.word for found in words.nearest(wanted, 25)] == [words.word(int(row)) for row in best]


def test_words_left_out_make_room_for_the_next(words: Words) -> None:
    vector = words.phrase("ocean").vector
    all_of_them = [found.word for found in words.nearest(vector, 8)]
    without = [found.word for found in words.nearest(vector, 5, without=["ocean", "seas", "nosuchword"])]
    assert without == [word for word in all_of_them if word not in ("ocean", "seas")][:5]


def test_more_neighbours_than_words_gives_all_words(tmp_path: Path) -> None:
    words = small_words(tmp_path / "w", {"up": [1, 0], "down": [-1, 0], "left": [0, 1]})
    near = words.nearest(np.array([1, 0], np.float32), 10)
    assert [(found.word, found.score) for found in near] == [("up", 1), ("left", 0), ("down", -1)]
    assert words.nearest(np.array([1, 0], np.float32), 0) == []


def test_spellings_are_the_nearest_first_and_the_frequent_before_the_rare(words: Words) -> None:
    assert words.spellings("elephent")[0] == "elephant"
    assert words.spellings("Ocaen")[0] == "ocean"  # swapped letters are one slip
    assert len(words.spellings("elefant", 2)) == 2
    assert words.spellings("\u72ac") == words.spellings("-") == words.spellings("") == []


# Damage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_words(tmp_path / "w", {"up": [1, 0], "down": [-1, 0], "left": [0, 1]})
    return tmp_path / "w"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsError, match="`model verify` makes it again"):
        Words(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("length", [0, -1])
def test_a_truncated_file_is_refused(folder: Path, name: str, length: int) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:length])
    with pytest.raises(WeightsError, match=str(folder)):
        Words(folder)


def test_a_file_with_something_behind_is_refused(folder: Path) -> None:
    with (folder / layout.VECTORS_FILE).open("ab") as file:
        file.write(b"\0" * 8)
    with pytest.raises(WeightsError, match="`model verify` makes it again"):
        Words(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda metadata: {key: value for key, value in metadata.items() if key != "width"},
        lambda metadata: metadata | {"count": "many"},
        lambda metadata: metadata | {"count": 0},
        lambda metadata: [],
    ],
    ids=["no-width", "no-number", "no-words", "no-object"],
)
def test_metadata_that_says_nonsense_are_refused(folder: Path, damage: Callable[[dict], object]) -> None:
    metadata = json.loads((folder / layout.METADATA_FILE).read_text())
    (folder / layout.METADATA_FILE).write_text(json.dumps(damage(metadata)))
    with pytest.raises(WeightsError, match="`model verify` makes it again"):
        Words(folder)


def test_another_format_is_refused_by_its_number(folder: Path) -> None:
    metadata = json.loads((folder / layout.METADATA_FILE).read_text())
    (folder / layout.METADATA_FILE).write_text(json.dumps(metadata | {"format": layout.FORMAT + 1}))
    with pytest.raises(WeightsError, match=f"format {layout.FORMAT + 1}, {layout.FORMAT} expected"):
        Words(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere"):
        Words(tmp_path / "nowhere")


def test_the_files_can_be_moved_elsewhere(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "moved")
    assert Words(tmp_path / "moved").row("left") == 2
