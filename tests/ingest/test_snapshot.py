"""A snapshot: what is in it, how it is made, and what becomes of every damage."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annoy import AnnoyIndex
from PIL import Image
from pyarrow import parquet

from ingest import export as exporting
from ingest import forest
from ingest.checked import check_file
from ingest.creation import CREATING
from ingest.export import ExportOptions, export
from ingest.record import Picture
from ingest.semantics import PROJECTION_FILE, SWITCHING
from ingest.snapshot import Manifest, SnapshotStore
from ingest.store import SEMANTIC, VISUAL, WORD, Filter, Point
from ingest.tags import tags_name
from ingest.verify import verify
from model import cache
from model.cache import sha256_file
from model.encoder import Encoder
from model.errors import (
    CollectionMismatch,
    CollectionNotFound,
    DiskFull,
    PictureError,
    StoreDamaged,
    StoreError,
    UsageError,
    WordsightError,
)
from tests.snapshots import SmallStore, fill, make_facts, make_payload, make_snapshot, signed

PICTURES = 120
WIDTHS = {VISUAL: 48, SEMANTIC: 12}
LABELS = ("cat", "dog", None)

TAGS_NAME = tags_name("glove", "00")


def make_points(count: int, widths: dict[str, int] = WIDTHS, seed: int = 0) -> list[Point]:
    numbers = np.random.default_rng(seed)
    points = []
    for number in range(count):
        label = LABELS[number % 3]
        payload = make_payload(f"{'top' if number % 10 else 'rare'}/{number}.jpg", label)
        vectors = {name: numbers.standard_normal(width).astype(np.float32) for name, width in widths.items()}
        points.append(Point(Picture.from_payload(payload).id, vectors, payload))
    return points


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SnapshotStore:
    """``snapshot`` and the ``store`` that it came from; not to be changed."""
    root = tmp_path_factory.mktemp("made")
    return make_snapshot(root, make_facts(*WIDTHS.values(), root="/photos"), make_points(PICTURES))


@pytest.fixture
def source(made: SnapshotStore, tmp_path: Path) -> SmallStore:
    shutil.copytree(made.folder.parent / "store", tmp_path / "store")
    return SmallStore(tmp_path / "store")


@pytest.fixture
def copied(made: SnapshotStore, tmp_path: Path) -> Path:
    shutil.copytree(made.folder, tmp_path / "snapshot")
    return tmp_path / "snapshot"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_says_what_is_in_it(made: SnapshotStore) -> None:
    record = json.loads((made.folder / "manifest.json").read_bytes())
    assert (record["format"], record["collection"], record["tags"]) == (1, "pictures", TAGS_NAME)
    assert record["program"].startswith("wordsight ")
    assert record["facts"]["vectors"] == WIDTHS
    assert record["facts"]["root"] == "/photos"
    assert record["spaces"].keys() == {VISUAL, SEMANTIC, WORD}
    assert record["spaces"][VISUAL] == {
        "file": "visual.ann",
        "width": 48,
        "items": PICTURES,
        "trees": 1,
        "search_k": PICTURES,
        "seed": 0,
        "recall": 1.0,
        "sample": PICTURES,
        "metric": "angular",
    }
    assert (record["spaces"][WORD]["width"], record["spaces"][WORD]["items"]) == (12, 40)
    there = contents(made.folder)
    del there["manifest.json"]
    assert record["files"].keys() == there.keys()
    for name, file in record["files"].items():
        assert file == {"bytes": len(there[name]), "sha256": sha256_file(made.folder / name)}


def test_plain_annoy_reads_it(made: SnapshotStore) -> None:
    record = json.loads((made.folder / "manifest.json").read_bytes())
    rows = parquet.read_table(made.folder / "pictures.parquet").to_pylist()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    points = {point.id.bytes: point for point in make_points(PICTURES)}
    for name in (VISUAL, SEMANTIC):
        space = record["spaces"][name]
        index = AnnoyIndex(space["width"], space["metric"])
        index.load(str(made.folder / space["file"]))
        assert index.get_n_items() == len(rows)
        for item, row in enumerate(rows):
            vector = points[row["id"]].vectors[name]
            np.testing.assert_allclose(index.get_item_vector(item), vector / np.linalg.norm(vector), atol=1e-6)
            assert row["path"] == points[row["id"]].payload["path"]
    tags = parquet.read_table(made.folder / "tags.parquet").to_pylist()
    assert sorted(row["word"] for row in tags) == sorted(f"word{i}" for i in range(40))


def test_a_seed_gives_the_same_files(source: SmallStore, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        export(source, "pictures", tmp_path / name, ExportOptions(trees=3, seed=seed))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name]] in ([], ["manifest.json"])  # which says when it was made
    assert a["visual.ann"] != c["visual.ann"]


def test_an_older_snapshot_is_replaced(source: SmallStore, tmp_path: Path) -> None:
    for trees in (1, 2):
        export(source, "pictures", tmp_path / "s", ExportOptions(trees=trees))
        (tmp_path / "s" / f"left over {trees}").write_text("")
        assert Manifest.read(tmp_path / "s").spaces[VISUAL].trees == trees
    assert not (tmp_path / "s" / "left over 1").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "store"]


def test_an_empty_folder_and_a_link_are_taken(source: SmallStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    export(source, "pictures", tmp_path / "link", ExportOptions())
    assert (tmp_path / "link").is_symlink()
    verify(SnapshotStore(tmp_path / "empty"))


@pytest.mark.parametrize("pending", [CREATING, SWITCHING])
def test_a_collection_that_is_half_made_is_refused(pending: str, source: SmallStore, tmp_path: Path) -> None:
    with source.open("pictures", write=True) as collection:
        collection.save(replace(collection.facts, pending=pending))
    with pytest.raises(UsageError, match="ended early"):
        export(source, "pictures", tmp_path / "s", ExportOptions())


def test_a_collection_without_pictures_words_or_projection_is_refused(source: SmallStore, tmp_path: Path) -> None:
    facts = make_facts(*WIDTHS.values())
    source.create("empty", facts).close()
    with pytest.raises(UsageError, match="holds no pictures"):
        export(source, "empty", tmp_path / "s", ExportOptions())
    with source.create("no projection", facts) as collection:
        collection.upsert(make_points(3))
    with pytest.raises(StoreDamaged, match="has lost its projection"):
        export(source, "no projection", tmp_path / "s", ExportOptions())
    source.drop(TAGS_NAME)
    with pytest.raises(CollectionNotFound, match=r"tag vocabulary .* is not complete"):
        export(source, "pictures", tmp_path / "s", ExportOptions())
    with pytest.raises(CollectionNotFound, match="no collection 'absent'"):
        export(source, "absent", tmp_path / "s", ExportOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("items", [1, 2, 9])
@pytest.mark.parametrize("trees", [None, 4])
def test_a_few_pictures_make_a_snapshot_too(items: int, trees: int | None, tmp_path: Path) -> None:
    store = make_snapshot(tmp_path, make_facts(*WIDTHS.values()), make_points(items), trees=trees)
    assert verify(store).recall == {VISUAL: 1.0, SEMANTIC: 1.0, WORD: 1.0}
    with store.open("pictures") as collection:
        assert len(collection.search(VISUAL, make_points(1)[0].vectors[VISUAL], 20)) == items


def test_a_target_that_was_not_met_is_said(
    source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "build_forest_apart", lambda *args, **options: _poor(*args, **options))
    export(source, "pictures", tmp_path / "s", ExportOptions(target=0.9))
    assert "visual: only 0.500 recall@10 with 1 trees, 0.9 was the target" in capsys.readouterr().err


def _poor(*args: Any, **options: Any) -> forest.Space:
    return replace(forest.build_forest_apart(*args, **options), recall=0.5)


def test_a_disk_too_small_is_foreseen(source: SmallStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("Usage", "total used free")
    export(source, "pictures", tmp_path / "s", ExportOptions())
    before = contents(tmp_path / "s")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage(0, 0, cache.SPARE_BYTES + 1000))
    with pytest.raises(DiskFull, match="make room"):
        export(source, "pictures", tmp_path / "s", ExportOptions(trees=2))
    assert contents(tmp_path / "s") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "store"]


def test_an_export_that_fails_leaves_nothing_beside_the_old_one(
    source: SmallStore, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copied)
    for place in ("_spool", "_index", "_copy_files", "_inventory"):
        with monkeypatch.context() as patch:
            patch.setattr(exporting, place, _fails)
            with pytest.raises(UsageError, match=r"cannot write .*: Some reason; what was there is as before"):
                export(source, "pictures", copied, ExportOptions(trees=2))
        assert contents(copied) == before
        assert sorted(path.name for path in copied.parent.iterdir()) == ["snapshot", "store"]


def _fails(*args: Any) -> None:
    raise OSError(5, "Some reason")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a photograph that says where it was taken, one whose content changes, one that goes."""
    root = tmp_path / "photos"
    root.mkdir()
    for name in ("a", "changes", "goes"):
        image = Image.effect_noise((600, 400), 50).convert("RGB")
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        exif.get_ifd(0x8825)[1] = "N"  # GPS
        image.save(root / f"{name}.jpg", exif=exif, comment=b"a secret")
    return root


def picture_point(root: Path, name: str, **changes: Any) -> Point:
    path = root / name
    status = path.stat()
    picture = Picture(name, sha256_file(path), 600, 400, status.st_size, status.st_mtime_ns, 1.0)
    vectors = make_points(1)[0].vectors
    return Point(picture.id, vectors, {**picture.to_payload(), **changes})


def test_pictures_are_carried_as_they_were_indexed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [picture_point(photos, f"{name}.jpg") for name in ("a", "changes", "goes")]
    (tmp_path / "outside.jpg").write_bytes((photos / "a.jpg").read_bytes())
    points.append(picture_point(photos, "../outside.jpg"))  # which no run would write, but a server might say
    (photos / "changes.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "goes.jpg").unlink()
    facts = make_facts(*WIDTHS.values(), root=str(photos))
    store = make_snapshot(tmp_path, facts, points, with_thumbnails=True, with_pictures=True)
    assert "3 pictures are gone or changed" in capsys.readouterr().err
    there = contents(store.folder)
    assert [name for name in there if name.startswith("pictures/")] == ["pictures/a.jpg"]
    assert there["pictures/a.jpg"] == (photos / "a.jpg").read_bytes()
    assert (store.folder / "pictures/a.jpg").stat().st_mtime_ns == (photos / "a.jpg").stat().st_mtime_ns
    assert [name for name in there if name.startswith("thumbnails/")] == [f"thumbnails/{points[0].id}.jpg"]
    with Image.open(store.folder / f"thumbnails/{points[0].id}.jpg") as thumbnail:
        assert thumbnail.size == (256, 171)
        assert not thumbnail.getexif()
        assert "comment" not in thumbnail.info
    assert b"camera" not in there[f"thumbnails/{points[0].id}.jpg"]
    assert store.facts("pictures").root == str(store.folder / "pictures")
    verify(store)


def test_a_picture_that_cannot_be_made_small_is_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise PictureError("another decoder")

    monkeypatch.setattr(exporting, "thumbnail", broken)
    facts = make_facts(*WIDTHS.values(), root=str(photos))
    make_snapshot(tmp_path, facts, [picture_point(photos, "a.jpg")], with_thumbnails=True)
    assert "1 pictures are gone or changed" in capsys.readouterr().err


def test_an_encoder_comes_along(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = make_facts(*WIDTHS.values(), encoder=encoder.spec.name, encoder_sha256=encoder.sha256)
    store = make_snapshot(tmp_path, facts, make_points(3), with_encoder=True)
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "nothing"))
    picture = np.random.default_rng(0).integers(256, size=(1, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(store.encoder(facts).encode(picture), encoder.encode(picture), atol=1e-5)
    damaged = store.folder / "encoder/encoder.onnx"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(StoreDamaged, match=r"encoder\.onnx"):
        store.encoder(facts)


def test_nothing_in_a_snapshot_can_be_changed(made: SnapshotStore) -> None:
    point = make_points(1)[0]
    with made.open("pictures") as collection:
        calls: list[Callable[[], object]] = [
            lambda: collection.upsert([point]),
            lambda: collection.set_vectors(VISUAL, [point.id], point.vectors[VISUAL][None]),
            lambda: collection.delete([point.id]),
            lambda: collection.save(collection.facts),
            lambda: collection.write_file("f", b""),
            lambda: made.open("pictures", write=True),
            lambda: made.create("b", made.manifest.facts),
            lambda: made.drop("pictures"),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="a snapshot is read-only"):
                call()


def test_it_is_a_store_like_others(made: SnapshotStore) -> None:
    assert made.names() == ["pictures", TAGS_NAME]
    assert list(made.collections()) == ["pictures"]
    assert made.summary("pictures").points == PICTURES
    assert made.summary(TAGS_NAME).points == 40
    with pytest.raises(CollectionNotFound, match=r"no collection 'absent' in .*there are: pictures"):
        made.open("absent")
    with made.open("pictures") as collection:
        assert collection.read_file(PROJECTION_FILE) == b"projection"
        assert collection.read_file("failures.json") is None
        assert collection.read_file("../store") is None
        collection.close()


@pytest.fixture
def approximate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "EXACT_NUMBERS", 0)


@pytest.mark.usefixtures("approximate")
def test_filters_ask_on_until_enough_pass_or_all_were_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = {VISUAL: 32, SEMANTIC: 12}
    points = make_points(1500, widths)
    store = make_snapshot(tmp_path, make_facts(32, 12), points, target=0.6)
    space = store.manifest.spaces[VISUAL]
    assert space.trees * space.items > 4 * space.search_k
    counts: list[int] = []
    nearest = forest.Forest.nearest
    monkeypatch.setattr(
        forest.Forest, "nearest", lambda self, vector, count: counts.append(count) or nearest(self, vector, count)
    )
    query = make_points(1, widths, seed=9)[0].vectors[VISUAL]
    scores = {point.id: _cosine(point.vectors[VISUAL], query) for point in points}
    with store.open("pictures") as collection:
        for wanted, expected in (
            (Filter(), 1500),
            (Filter(under="rare"), 150),
            (Filter(under="rare", labels=("dog",)), 50),
            (Filter(labels=("cow",)), 0),
            (Filter(under="rare", without=tuple(point.id for point in points[:1490])), 1),
        ):
            assert collection.count(wanted) == expected
            for limit in (10, 1500):
                counts.clear()
                hits = collection.search(VISUAL, query, limit, wanted)
                assert len(hits) == min(limit, expected)
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
                for hit in hits:
                    assert hit.score == pytest.approx(scores[hit.id], abs=2e-6)
                assert not wanted.under or all(hit.payload["path"].startswith("rare/") for hit in hits)
                assert len(hits) == limit or counts[-1] >= 1500  # only what was seen whole may give fewer
        every = collection.search(VISUAL, query, 1500, Filter(under="rare"))
        best = collection.search(VISUAL, query, 10, Filter(under="rare"))
    assert len({hit.id for hit in every[:10]} & {hit.id for hit in best}) >= 8


def _cosine(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_a_query_of_any_length_is_answered(made: SnapshotStore) -> None:
    query = make_points(1, seed=5)[0].vectors[VISUAL]
    with made.open("pictures") as collection:
        found = [collection.search(VISUAL, np.float32(scale) * query, 5) for scale in (1e-25, 1, 1e25)]
    assert [[hit.id for hit in hits] for hits in found] == [[hit.id for hit in found[1]]] * 3


def use_whole(folder: Path) -> None:
    """Everything a query could read."""
    store = SnapshotStore(folder)
    store.summary("pictures")
    point = make_points(1)[0]
    for name in store.names():
        with store.open(name) as collection:
            collection.labels() if name == "pictures" else None
            collection.read_file(PROJECTION_FILE)
            for using, width in collection.facts.vectors.items():
                collection.search(
                    using, np.ones(width, np.float32), 30, Filter(labels=("cat",)) if width == 48 else Filter()
                )
            collection.retrieve([point.id], list(collection.facts.vectors))
    store.words(store.facts("pictures")).phrase("word1")


Damage = Callable[[bytearray, random.Random], bytes]


def flip(data: bytearray, numbers: random.Random) -> bytes:
    for _ in range(numbers.choice((1, 1, 1, 5))):
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    return bytes(data)


DAMAGES: dict[str, Damage] = {
    "flipped": flip,
    "truncated": lambda data, numbers: bytes(data[: numbers.randrange(len(data))]),
    "longer": lambda data, numbers: bytes(data) + numbers.randbytes(1 + numbers.randrange(300)),
    "zeroed": lambda data, numbers: bytes(len(data)),
    "noise": lambda data, numbers: numbers.randbytes(len(data)),
}


@pytest.mark.parametrize("title", DAMAGES)
def test_no_damage_passes_for_a_snapshot(title: str, copied: Path) -> None:
    damage = DAMAGES[title]
    numbers = random.Random(title)
    whole = contents(copied)
    use_whole(copied)
    for name, data in whole.items():
        for _ in range(15 if title == "flipped" else 3):
            changed = damage(bytearray(data), numbers)
            if changed == data:
                continue  # two flips of one bit
            (copied / name).write_bytes(changed)
            with pytest.raises(WordsightError):
                use_whole(copied)
            with pytest.raises(WordsightError) as told:
                verify(SnapshotStore(copied))
            assert "\n" not in str(told.value)
            assert name in str(told.value) or "format" in str(told.value)
        (copied / name).write_bytes(data)
    use_whole(copied)
    verify(SnapshotStore(copied))


@pytest.mark.parametrize("name", ["visual.ann", "pictures.parquet", "words/vectors.f32"])
def test_verify_reads_files_again_that_were_found_right_before(name: str, copied: Path) -> None:
    use_whole(copied)
    status = (copied / name).stat()
    with (copied / name).open("r+b") as file:
        file.seek(status.st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    os.utime(copied / name, ns=(status.st_atime_ns, status.st_mtime_ns))  # a disk that forgets changes no time
    with pytest.raises(StoreDamaged, match="checksum is another"):
        verify(SnapshotStore(copied))


def change(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(record: dict[str, Any]) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    "forge",
    [
        change("spaces", VISUAL, "width", to=47),
        change("spaces", VISUAL, "width", to="48"),
        change("spaces", VISUAL, "width", to=-48),
        change("spaces", VISUAL, "width", to=48.0),
        change("spaces", SEMANTIC, "width", to=2**40),
        change("spaces", VISUAL, "items", to=PICTURES + 1),
        change("spaces", VISUAL, "items", to=0),
        change("spaces", VISUAL, "metric", to="euclidean"),
        change("spaces", VISUAL, "search_k", to=None),
        change("spaces", VISUAL, "trees", to=True),
        change("spaces", VISUAL, "file", to="../secret.ann"),
        change("spaces", VISUAL, "file", to="absent.ann"),
        change("spaces", VISUAL, "smell", to=1),
        change("spaces", to={}),
        change("spaces", VISUAL, to=None),
        change("files", "../../secret", to={"bytes": 1, "sha256": "00"}),
        change("files", "/etc/passwd", to={"bytes": 1, "sha256": "00"}),
        change("files", "visual.ann", to={"bytes": "many", "sha256": "00"}),
        change("files", "visual.ann", to={"bytes": 1e400, "sha256": "00"}),
        change("files", to=[]),
        change("facts", "vectors", to={VISUAL: 48}),
        change("facts", "vectors", to={VISUAL: 48, SEMANTIC: 13}),
        change("facts", "root", to=7),
        change("facts", "kind", to="words"),
        change("facts", "encoder", to=None),
        change("facts", to=None),
        change("facts", "format", to=2),
        change("tags", to="pictures"),
    ],
    ids=range(28),
)
def test_a_manifest_that_contradicts_itself_is_refused(forge: Callable[[dict[str, Any]], None], copied: Path) -> None:
    manifest = copied / "manifest.json"
    manifest.write_bytes(signed(manifest, forge))
    with pytest.raises(StoreError, match=r"manifest\.json is broken|format|was not made by this program"):
        SnapshotStore(copied)


def test_a_manifest_with_other_numbers_for_both_spaces_is_refused(copied: Path) -> None:
    """Consistent in itself: the files say otherwise."""

    def forge(record: dict[str, Any]) -> None:
        for name in (VISUAL, SEMANTIC):
            record["spaces"][name]["items"] = PICTURES - 1

    manifest = copied / "manifest.json"
    manifest.write_bytes(signed(manifest, forge))
    with pytest.raises(StoreDamaged, match="its manifest says"):
        use_whole(copied)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is broken"),
        (b"[]", "is broken"),
        (b"{}", "is broken"),
        (b"null", "is broken"),
        (b"\xff\xfe", "is broken"),
        (b"[" * 100_000, "is broken"),
        (b'{"format": 1}', "is broken"),
        (b'{"format": 2}', "is of snapshot format 2, this version reads 1: upgrade"),
        (b'{"format": "x"}', "is of snapshot format x"),
    ],
)
def test_a_manifest_that_is_none_is_refused(data: bytes, told: str, copied: Path, made: SnapshotStore) -> None:
    (copied / "manifest.json").write_bytes(data)
    with pytest.raises(StoreError, match=told):
        SnapshotStore(copied)
    with pytest.raises(UsageError, match="is not replaced"):
        export(SmallStore(made.folder.parent / "store"), "pictures", copied, ExportOptions())
    assert (copied / "manifest.json").read_bytes() == data


def test_a_file_is_read_once_and_again_when_it_was_touched(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "own cache"))
    monkeypatch.setattr("ingest.checked.sha256_file", lambda path: read.append(path.name) or sha256_file(path))
    path = copied / "visual.ann"
    right = sha256_file(path)
    for again in (False, False, True):
        check_file(path, path.stat().st_size, right, again=again)
    assert len(read) == 2
    os.utime(path)
    check_file(path, path.stat().st_size, right)
    assert len(read) == 3
    with pytest.raises(StoreDamaged):
        check_file(path, path.stat().st_size, "0" * 64)


@pytest.mark.parametrize("place", ["/dev/null", "/proc/none", "x" * 300])
def test_a_cache_that_cannot_be_used_only_costs_time(
    place: str, made: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", place)
    use_whole(made.folder)


def test_verify_finds_what_the_collection_has_that_the_snapshot_has_not(
    made: SnapshotStore, source: SmallStore
) -> None:
    same = verify(made, source, "pictures")
    assert (same.differences, same.compared) == ([], 2 * PICTURES)
    points = make_points(PICTURES + 3)
    with source.open("pictures", write=True) as collection:
        collection.upsert(points[PICTURES:])
        collection.delete([point.id for point in points[:2]])
        changed = points[2]
        collection.upsert([replace(changed, payload={**changed.payload, "sha256": "1" * 64})])
    differences = verify(made, source, "pictures").differences
    assert differences[:3] == [
        "3 pictures of the collection are not in the snapshot",
        "2 pictures of the snapshot are not in the collection any more",
        "1 pictures have changed since the export",
    ]
    assert any(told.startswith("visual: other answers for") for told in differences)


def test_verify_finds_another_projection(made: SnapshotStore, source: SmallStore) -> None:
    points = make_points(PICTURES, seed=1)
    with source.open("pictures", write=True) as collection:
        matrix = np.stack([point.vectors[SEMANTIC] for point in points])
        collection.set_vectors(SEMANTIC, [point.id for point in points], matrix)
    differences = verify(made, source).differences
    assert differences
    assert all(told.startswith("semantic: other answers") for told in differences)


def test_verify_compares_only_what_can_be_compared(made: SnapshotStore, tmp_path: Path) -> None:
    other = fill(
        tmp_path / "o", "other", make_facts(20, 12, encoder="vgg16"), make_points(3, {VISUAL: 20, SEMANTIC: 12})
    )
    with pytest.raises(CollectionMismatch, match="vgg16"):
        verify(made, other, "other")
    with pytest.raises(CollectionNotFound):
        verify(made, other, "absent")


@pytest.mark.usefixtures("approximate")
def test_verify_does_not_take_an_approximate_answer_for_another_collection(tmp_path: Path) -> None:
    widths = {VISUAL: 32, SEMANTIC: 12}
    points = make_points(1500, widths)
    store = make_snapshot(tmp_path, make_facts(32, 12), points, target=0.7)
    live = SmallStore(tmp_path / "store")
    found = verify(store, live)
    assert (found.differences, found.compared) == ([], 400)
    assert 0.6 < found.agreement[VISUAL] < 1
    with live.open("pictures", write=True) as collection:
        other = make_points(1500, widths, seed=1)
        collection.set_vectors(VISUAL, [p.id for p in other], np.stack([p.vectors[VISUAL] for p in other]))
    assert len(verify(store, live).differences) == 200


@pytest.mark.usefixtures("approximate")
def test_verify_measures_recall_with_other_pictures(tmp_path: Path) -> None:
    store = make_snapshot(tmp_path, make_facts(32, 12), make_points(1500, {VISUAL: 32, SEMANTIC: 12}), target=0.7)
    found = verify(store).recall
    assert 0.6 < found[VISUAL] < 0.95
    assert found[VISUAL] != store.manifest.spaces[VISUAL].recall
