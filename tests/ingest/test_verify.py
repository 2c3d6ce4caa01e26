"""`verify`: what it finds in a snapshot, and where it differs from the collection it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import CollectionMismatch, CollectionNotFound, StoreDamaged
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.snapshot import SnapshotStore, verify
from tests.ingest.pictures import PICTURES, make_points
from tests.snapshots import SmallStore, fill, make_facts, make_snapshot


def test_verify_finds_what_the_collection_has_that_the_snapshot_has_not(
    snapshot: SnapshotStore, source: SmallStore
) -> None:
    same = verify(snapshot, source, "pictures")
    assert (same.differences, same.compared) == ([], 2 * PICTURES)
    points = make_points(PICTURES + 3)
    with source.open("pictures", write=True) as collection:
        collection.upsert(points[PICTURES:])
        collection.delete([point.id for point in points[:2]])
        changed = points[2]
        collection.upsert([replace(changed, payload={**changed.payload, "sha256": "1" * 64})])
    differences = verify(snapshot, source, "pictures").differences
    assert differences[:3] == [
        "3 pictures of the collection are not in the snapshot",
        "2 pictures of the snapshot are not in the collection any more",
        "1 pictures have changed since the export",
    ]
    assert any(line.startswith("visual: other answers for") for line in differences)


@pytest.mark.parametrize("extra", ["notes.txt", "words/more.txt", "new folder/visual.ann"])
def test_verify_refuses_files_that_were_not_exported(copied: Path, extra: str) -> None:
    (copied / extra).parent.mkdir(exist_ok=True)
    (copied / extra).write_text("")
    with pytest.raises(StoreDamaged, match=f"does not list, such as {extra}: export it again"):
        verify(SnapshotStore(copied))


def test_verify_finds_another_projection(snapshot: SnapshotStore, source: SmallStore) -> None:
    points = make_points(PICTURES, seed=1)
    with source.open("pictures", write=True) as collection:
        matrix = np.stack([point.vectors[SEMANTIC] for point in points])
        collection.set_vectors(SEMANTIC, [point.id for point in points], matrix)
    differences = verify(snapshot, source).differences
    assert differences
    assert all(line.startswith("semantic: other answers") for line in differences)


def test_verify_compares_only_what_can_be_compared(snapshot: SnapshotStore, tmp_path: Path) -> None:
    other = fill(
        tmp_path / "o", "other", make_facts(20, 12, encoder="vgg16"), make_points(3, {VISUAL: 20, SEMANTIC: 12})
    )
    with pytest.raises(CollectionMismatch, match="vgg16"):
        verify(snapshot, other, "other")
    with pytest.raises(CollectionNotFound):
        verify(snapshot, other, "absent")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoder": "vgg16"}, "made with vgg16 "),
        ({"encoder_sha256": "1" * 64}, " 11111111, glove "),
        ({"framing": "whole"}, "framing whole, the snapshot with .* framing published"),
    ],
)
def test_verify_does_not_compare_vectors_that_were_made_otherwise(
    snapshot: SnapshotStore, tmp_path: Path, changes: dict[str, str], told: str
) -> None:
    other = fill(tmp_path / "o", "other", make_facts(20, 12, **changes), make_points(3, {VISUAL: 20, SEMANTIC: 12}))
    with pytest.raises(CollectionMismatch, match=told):
        verify(snapshot, other, "other")


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
    assert found[VISUAL] != store.manifest.indexes[VISUAL].recall
