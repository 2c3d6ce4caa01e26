"""A snapshot: what it answers, and what becomes of every damage."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.collection import PROJECTION_FILE
from ingest.errors import CollectionNotFound, StoreDamaged, StoreError
from ingest.pipeline import ExportOptions, export_collection
from ingest.stores import SEMANTIC, VISUAL, Filter
from ingest.stores.snapshot import SnapshotStore, verify
from ingest.stores.snapshot.annoy import AnnoyIndexFile
from ingest.stores.snapshot.checksums import check_file
from model.errors import UsageError, WordsightError
from model.system.atomic import sha256_file
from tests.ingest.pictures import PICTURES, TAGS_NAME, make_points
from tests.snapshots import SmallStore, contents, make_facts, make_snapshot, signed


def test_nothing_in_a_snapshot_can_be_changed(snapshot: SnapshotStore) -> None:
    point = make_points(1)[0]
    with snapshot.open("pictures") as collection:
        calls: list[Callable[[], object]] = [
            lambda: collection.upsert([point]),
            lambda: collection.set_vectors(VISUAL, [point.id], point.vectors[VISUAL][None]),
            lambda: collection.delete([point.id]),
            lambda: collection.save(collection.metadata),
            lambda: collection.write_file("f", b""),
            lambda: snapshot.open("pictures", write=True),
            lambda: snapshot.create("b", snapshot.manifest.metadata),
            lambda: snapshot.drop("pictures"),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="a snapshot is read-only"):
                call()


def test_it_is_a_store_like_others(snapshot: SnapshotStore) -> None:
    assert snapshot.names() == ["pictures", TAGS_NAME]
    assert list(snapshot.collections()) == ["pictures"]
    assert snapshot.summary("pictures").points == PICTURES
    assert snapshot.summary(TAGS_NAME).points == 40
    with pytest.raises(CollectionNotFound, match=r"no collection 'absent' in .*there are: pictures"):
        snapshot.open("absent")
    with snapshot.open("pictures") as collection:
        assert collection.read_file(PROJECTION_FILE) == b"projection"
        assert collection.read_file("failures.json") is None
        assert collection.read_file("../store") is None
        collection.search(VISUAL, make_points(1)[0].vectors[VISUAL], 1)
        collection.close()
        collection.close()
    with snapshot:
        snapshot.close()


@pytest.mark.usefixtures("approximate")
def test_filters_ask_on_until_enough_pass_or_all_were_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = {VISUAL: 32, SEMANTIC: 12}
    points = make_points(1500, widths)
    store = make_snapshot(tmp_path, make_facts(32, 12), points, target=0.6)
    info = store.manifest.indexes[VISUAL]
    assert info.trees * info.items > 4 * info.search_k
    counts: list[int] = []
    nearest = AnnoyIndexFile.nearest
    monkeypatch.setattr(
        AnnoyIndexFile, "nearest", lambda self, vector, count: counts.append(count) or nearest(self, vector, count)
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


def test_a_query_of_any_length_is_answered(snapshot: SnapshotStore) -> None:
    query = make_points(1, seed=5)[0].vectors[VISUAL]
    with snapshot.open("pictures") as collection:
        found = [collection.search(VISUAL, np.float32(scale) * query, 5) for scale in (1e-25, 1, 1e25)]
    assert [[hit.id for hit in hits] for hits in found] == [[hit.id for hit in found[1]]] * 3


# Damage


def use_whole(folder: Path) -> None:
    """Everything a query could read."""
    store = SnapshotStore(folder)
    store.summary("pictures")
    point = make_points(1)[0]
    for name in store.names():
        with store.open(name) as collection:
            collection.labels() if name == "pictures" else None
            collection.read_file(PROJECTION_FILE)
            for using, width in collection.metadata.vectors.items():
                collection.search(
                    using, np.ones(width, np.float32), 30, Filter(labels=("cat",)) if width == 48 else Filter()
                )
            collection.retrieve([point.id], list(collection.metadata.vectors))
    store.words(store.metadata("pictures")).phrase("word1")


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
            with pytest.raises(WordsightError) as raised:
                verify(SnapshotStore(copied))
            assert "\n" not in str(raised.value)
            assert name in str(raised.value) or "format" in str(raised.value)
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
        change("metadata", "vectors", to={VISUAL: 48}),
        change("metadata", "vectors", to={VISUAL: 48, SEMANTIC: 13}),
        change("metadata", "root", to=7),
        change("metadata", "kind", to="words"),
        change("metadata", "encoder", to=None),
        change("metadata", to=None),
        change("metadata", "format", to=3),
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
    ("data", "message"),
    [
        (b"", "is broken"),
        (b"[]", "is broken"),
        (b"{}", "is broken"),
        (b"null", "is broken"),
        (b"\xff\xfe", "is broken"),
        (b"[" * 100_000, "is broken"),
        (b'{"format": 1}', "is broken"),
        (b'{"format": 3}', "has format 3 and does not say which version"),
        (b'{"format": "x"}', "is broken"),
    ],
)
def test_a_manifest_that_is_none_is_refused(data: bytes, message: str, copied: Path, snapshot: SnapshotStore) -> None:
    (copied / "manifest.json").write_bytes(data)
    with pytest.raises(StoreError, match=message):
        SnapshotStore(copied)
    with pytest.raises(UsageError, match="is not replaced"):
        export_collection(SmallStore(snapshot.folder.parent / "store"), "pictures", copied, ExportOptions())
    assert (copied / "manifest.json").read_bytes() == data


def test_a_file_is_read_once_and_again_when_it_was_touched(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "own cache"))
    monkeypatch.setattr(
        "ingest.stores.snapshot.checksums.sha256_file", lambda path: read.append(path.name) or sha256_file(path)
    )
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
    place: str, snapshot: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", place)
    use_whole(snapshot.folder)
