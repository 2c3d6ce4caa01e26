"""Annoy indexes: found to the recall wanted, opened only as what they are."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import StoreDamaged, StoreError
from ingest.stores.snapshot import IndexInfo, annoy, build_index_in_child_process
from ingest.stores.snapshot.annoy import AnnoyIndexFile, Matrix, build_index, exact_neighbours, recall, sample_rows
from model.projections import unit


def make_clusters(items: int, width: int, clusters: int = 30, spread: float = 0.5) -> Matrix:
    random = np.random.default_rng(7)
    centres = random.standard_normal((clusters, width))
    noise = spread * random.standard_normal((items, width))
    return unit(np.asarray(centres[random.integers(clusters, size=items)] + noise, np.float32))


def make_random(items: int, width: int) -> Matrix:
    return unit(np.random.default_rng(7).standard_normal((items, width)).astype(np.float32))


def build(matrix: Matrix, path: Path, target: float = 0.98, trees: int | None = None, seed: int = 0) -> IndexInfo:
    return build_index(matrix, path, seed=seed, target=target, trees=trees)


@pytest.fixture
def approximate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annoy, "EXACT_NUMBERS", 0)


@pytest.mark.parametrize("make", [make_clusters, make_random])
@pytest.mark.parametrize("target", [0.8, 0.98])
@pytest.mark.usefixtures("approximate")
def test_the_recall_wanted_is_reached_on_pictures_it_was_not_tuned_to(make, target: float, tmp_path: Path) -> None:
    matrix = make(3000, 64)
    info = build(matrix, tmp_path / "a.ann", target)
    assert info.recall >= target
    assert info.search_k < info.trees * info.items  # an answer does not look at everything
    opened = AnnoyIndexFile(tmp_path / "a.ann", info)
    others = sample_rows(3000, seed=1)
    found = recall(
        lambda vector, count: opened.nearest(vector, count)[0], matrix, others, exact_neighbours(matrix, others)
    )
    assert found >= target - 0.03
    opened.close()


@pytest.mark.usefixtures("approximate")
def test_many_answers_are_as_good_as_few(tmp_path: Path) -> None:
    matrix = make_random(3000, 64)
    opened = AnnoyIndexFile(tmp_path / "a.ann", build(matrix, tmp_path / "a.ann"))
    shares = []
    for row in range(0, 3000, 100):
        exact = set(np.argsort(-(matrix @ matrix[row]), kind="stable")[:200].tolist())
        shares.append(len(exact & set(opened.nearest(matrix[row], 200)[0])) / 200)
    assert np.mean(shares) >= 0.95


def test_a_small_index_is_searched_whole(tmp_path: Path) -> None:
    matrix = make_random(3000, 64)
    info = build(matrix, tmp_path / "a.ann")
    assert (info.trees, info.recall, info.search_k) == (1, 1.0, 3000)
    opened = AnnoyIndexFile(tmp_path / "a.ann", info)
    query = make_random(1, 64)[0]
    rows, cosines = opened.nearest(query, 3000)
    assert sorted(rows) == list(range(3000))
    np.testing.assert_allclose(cosines, matrix[rows] @ query, atol=1e-6)
    assert rows[:50] == np.argsort(-(matrix @ query), kind="stable")[:50].tolist()


@pytest.mark.usefixtures("approximate")
def test_all_items_come_where_all_are_asked_for(tmp_path: Path) -> None:
    opened = AnnoyIndexFile(tmp_path / "a.ann", build(make_random(3000, 64), tmp_path / "a.ann", target=0.1))
    assert sorted(opened.nearest(make_random(1, 64)[0], 5000)[0]) == list(range(3000))


def test_exact_neighbours_are_those_of_a_full_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annoy, "BLOCK_ROWS", 7)  # so that there are several blocks
    matrix = make_random(50, 8)
    sample = np.array([0, 6, 7, 49])
    scores = matrix[sample] @ matrix.T
    scores[range(4), sample] = -2
    np.testing.assert_allclose(exact_neighbours(matrix, sample), np.sort(scores)[:, -10], atol=1e-6)
    assert exact_neighbours(matrix[:10], np.array([3])).tolist() == [-1.0]


def test_recall_counts_what_was_found_and_takes_any_of_equals() -> None:
    matrix = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)  # twenty of each of two directions
    sample = np.array([0, 39])
    truth = exact_neighbours(matrix, sample)
    right = {0: list(range(19, 8, -1)), 39: list(range(20, 31))}
    assert recall(lambda vector, _: right[0 if vector[0] else 39], matrix, sample, truth) == 1.0
    assert recall(lambda vector, _: right[0], matrix, sample, truth) == 0.5
    assert recall(lambda vector, _: [], matrix, sample, truth) == 0.0


@pytest.mark.usefixtures("approximate")
@pytest.mark.parametrize("trees", [1, 7])
def test_as_many_trees_are_made_as_asked_for(trees: int, tmp_path: Path) -> None:
    info = build(make_random(3000, 64), tmp_path / "a.ann", trees=trees)
    assert info.trees == trees
    AnnoyIndexFile(tmp_path / "a.ann", info).close()


@pytest.mark.usefixtures("approximate")
def test_trees_end_at_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(annoy, "SEARCH_SHARE", 0.0)  # which no search keeps within
    info = build(make_random(3000, 64), tmp_path / "a.ann")
    assert info.trees == 160
    assert info.recall >= 0.98


@pytest.mark.parametrize("items", [1, 2, 9, 11, 60])
@pytest.mark.parametrize("trees", [None, 1, 5])
@pytest.mark.parametrize("exact", [True, False])
def test_a_few_items_make_an_index_too(
    items: int, trees: int | None, exact: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not exact:
        monkeypatch.setattr(annoy, "EXACT_NUMBERS", 0)
    matrix = make_random(items, 16)
    info = build(matrix, tmp_path / "a.ann", trees=trees)
    opened = AnnoyIndexFile(tmp_path / "a.ann", info)
    assert sorted(opened.nearest(matrix[0], 100)[0]) == list(range(items))
    assert opened.nearest(matrix[0], 1)[0] == [0]
    np.testing.assert_array_equal(opened.vectors, matrix)
    assert info.recall >= 0.98


@pytest.mark.usefixtures("approximate")
def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    matrix = make_random(2000, 32)
    infos = [build(matrix, tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert replace(infos[0], file="b") == infos[1]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    "change", [{"width": 63}, {"width": 65}, {"width": 2**31}, {"items": 10**6}, {"metric": "dot"}]
)
def test_a_file_of_another_shape_is_refused_before_annoy_sees_it(
    change: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import annoy as library

    info = build(make_random(100, 64), tmp_path / "a.ann")
    monkeypatch.setattr(library, "AnnoyIndex", None)  # to call it would be another error
    with pytest.raises(StoreDamaged, match=r"a\.ann is no angular index"):
        AnnoyIndexFile(tmp_path / "a.ann", replace(info, **change))
    (tmp_path / "a.ann").write_bytes((tmp_path / "a.ann").read_bytes()[:-1])
    with pytest.raises(StoreDamaged, match="export the snapshot again"):
        AnnoyIndexFile(tmp_path / "a.ann", info)


def test_a_file_with_other_items_or_none_at_all_is_refused(tmp_path: Path) -> None:
    info = build(make_random(100, 64), tmp_path / "a.ann")
    for change in ({"items": 99}, {"trees": 4}):
        with pytest.raises(StoreDamaged, match="other items"):
            AnnoyIndexFile(tmp_path / "a.ann", replace(info, **change))
    with pytest.raises(StoreDamaged, match=r"cannot read .*absent"):
        AnnoyIndexFile(tmp_path / "absent", info)


@pytest.fixture
def in_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A spool of vectors that counts as large enough to be indexed in its file."""
    monkeypatch.setattr(annoy, "ON_DISK_BYTES", 1)
    spool = tmp_path / "a.f32"
    make_random(500, 64).tofile(spool)
    return spool


def test_a_large_index_is_built_in_another_process_and_is_the_same(in_file: Path, tmp_path: Path) -> None:
    rows: list[int] = []
    apart = build_index_in_child_process(
        in_file, tmp_path / "apart.ann", 64, seed=3, target=0.98, trees=4, on_progress=rows.append
    )
    here = build(make_random(500, 64), tmp_path / "here.ann", trees=4, seed=3)
    assert replace(apart, file="here.ann") == here
    assert (tmp_path / "apart.ann").read_bytes() == (tmp_path / "here.ann").read_bytes()
    assert sum(rows) == 500
    assert not multiprocessing.active_children()


def test_what_hinders_the_other_process_is_told(in_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Unable to open"):
        build_index_in_child_process(in_file, tmp_path / "absent" / "a.ann", 64, seed=0, target=0.98)
    assert not multiprocessing.active_children()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.name != "posix"
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)  # Annoy leaves the file open where it failed


@pytest.mark.parametrize("large", [True, False])
def test_a_disk_that_gets_full_ends_in_a_sentence(
    large: bool, small_disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if large:
        monkeypatch.setattr(annoy, "ON_DISK_BYTES", 1)
    make_random(5000, 64).tofile(tmp_path / "a.f32")
    with pytest.raises(
        (StoreError, OSError), match="ended with status -7: is the disk full" if large else "No space left"
    ):
        build_index_in_child_process(tmp_path / "a.f32", small_disk / "a.ann", 64, seed=0, target=0.98)
