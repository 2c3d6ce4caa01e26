"""`ingest run --part`: machines bring parts of one dataset up to date side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingest.collection import Options, parts_of, read_failures
from ingest.errors import StoreInUse
from ingest.pipeline import run_folder
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.server import ServerStore
from model.errors import DatasetError, UsageError
from model.pictures import LeftOut, scan
from tests.commands import command, refused
from tests.kills import small_pictures
from tests.local_qdrant import local_qdrant

OPTIONS = Options(offline=True, projection="conse")
CATS, ROCKETS, YEARS = (replace(OPTIONS, parts=(part,)) for part in ("cat", "rocket", "2019"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve cats, twelve rockets, 16 pictures below 2019, one bad file among the cats and one among the rockets."""
    folder = small_pictures(tmp_path_factory.mktemp("photos") / "photos", 40)
    for label in ("cat", "rocket"):
        (folder / label / "bad.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[ServerStore]:
    """One server, as three machines have it open."""
    monkeypatch.setattr("ingest.pipeline.run.ensure_tags", lambda *_: "")
    client = local_qdrant()
    return [ServerStore(client, "memory") for _ in range(3)]


def vectors(store: ServerStore) -> dict[str, list[float]]:
    with store.open("photos") as collection:
        every = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
    return {point.payload["path"]: [*point.vectors[VISUAL], *point.vectors[SEMANTIC]] for point in every}


def test_only_these_folders_are_looked_through(photos: Path) -> None:
    found = {file.relative for file in scan(photos, LeftOut(), within=("2019/3", "cat"))}
    assert found == {file.relative for file in scan(photos, LeftOut()) if file.relative.startswith(("2019/3/", "cat/"))}
    assert len(found) > 12


def test_parts_and_then_the_whole_are_as_one_run(
    photos: Path, stores: list[ServerStore], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, third = stores
    assert run_folder(one, photos, "", CATS).total == 12
    assert "once all parts are there" in capsys.readouterr().err
    with one.writing("photos", ["cat"]), other.writing("photos", ["2019/4"]):
        assert run_folder(third, photos, "", ROCKETS).total == 24
    assert run_folder(other, photos, "", YEARS).total == 40
    with one.open("photos") as collection:
        assert set(read_failures(collection)) == {"cat/bad.png", "rocket/bad.png"}
        assert len([name for name in collection.kept_files() if name.startswith("failures-")]) == 2
    assert run_folder(one, photos, "", CATS).failed_before == 1
    report = run_folder(one, photos, "", OPTIONS)
    assert (report.unchanged, report.failed_before, report.added) == (40, 2, 0)
    by_parts = vectors(one)
    one.drop("photos")
    run_folder(one, photos, "", OPTIONS)
    whole = vectors(one)
    assert by_parts.keys() == whole.keys()
    for path, numbers in whole.items():
        assert by_parts[path] == pytest.approx(numbers, abs=1e-5)


def test_what_is_gone_of_a_part_leaves_the_others(photos: Path, stores: list[ServerStore], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for path in photos.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(photos)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(photos)).write_bytes(path.read_bytes())
    run_folder(stores[0], folder, "", OPTIONS)
    for label in ("cat", "rocket"):
        next((folder / label).glob("*.jpg")).unlink()
        (folder / label / "bad.png").unlink()
    report = run_folder(stores[1], folder, "", CATS)
    assert (report.removed, report.unchanged, report.total) == (1, 11, 39)
    with stores[2].open("photos") as collection:
        assert set(read_failures(collection)) == {"rocket/bad.png"}
    run_folder(stores[0], folder, "", OPTIONS)
    with stores[2].open("photos") as collection:
        assert set(read_failures(collection)) == set()
        assert collection.kept_files() == [n for n in collection.kept_files() if not n.startswith("failures-")]


@pytest.mark.parametrize(
    ("held", "wanted"), [((), ("cat",)), (("cat",), ()), (("2019",), ("2019/4",)), (("2019/4",), ("cat", "2019"))]
)
def test_parts_that_overlap_wait_for_each_other(
    photos: Path, stores: list[ServerStore], held: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    run_folder(stores[0], photos, "", CATS)
    with (
        stores[0].writing("photos", held),
        pytest.raises(StoreInUse, match=r"is being written by another process, .*: wait until that ends"),
    ):
        stores[1].writing("photos", wanted).__enter__()
    with stores[1].writing("photos", wanted):
        pass


def test_both_records_of_files_stay(photos: Path, stores: list[ServerStore]) -> None:
    run_folder(stores[0], photos, "", CATS)
    with stores[0].open("photos", write=True) as one, stores[1].open("photos", write=True) as other:
        one.write_file("failures-1.json", b"1")
        other.write_file("failures-2.json", b"2")
        one.save(one.metadata)
        other.save(other.metadata)
    with stores[2].open("photos") as collection:
        assert {"failures-1.json", "failures-2.json"} <= set(collection.kept_files())
        assert collection.lost_files() == []


def test_parts_that_are_none(photos: Path, stores: list[ServerStore]) -> None:
    assert parts_of(["b/", "a/c", "a", "a"]) == ("a", "b")
    for wrong in ("/photos/a", "..", "a/../..", "."):
        with pytest.raises(UsageError, match="is no folder below FOLDER"):
            parts_of([wrong])
    with pytest.raises(DatasetError, match="no pictures in dog of"):
        run_folder(stores[0], photos, "", replace(OPTIONS, parts=("dog",)))
    refused(command("ingest", "run", photos, "--part", "cat", "--ray", "local"), "--part is of one folder, and without")
