"""What a run has to do: which files are read again, whose vectors are copied, and which pictures are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ingest.collection import Ledger, Options, RemovedVectors
from ingest.pipeline.changes import Indexed, find_changes, read_indexed
from ingest.pipeline.report import Report
from ingest.pipeline.vanished import settle_vanished
from ingest.pipeline.writer import BatchWriter
from ingest.records import CollectionMetadata, Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL, Collection, Point
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Embedded, Failed
from model.pictures import PictureFile
from tests.model.projections import small_conse

METADATA = CollectionMetadata("pictures", {VISUAL: 12, SEMANTIC: 7}, "made-up", "0" * 64)
THERE = Indexed(size=10, mtime_ns=5, sha256="aa", inode=3, framing="whole", is_damaged=False)
AGAIN = Options(retry=True)
STRICT = Options(strict=True)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with EmbeddedStore(tmp_path).create("made", METADATA) as made:
        yield made


def file(relative: str = "a.jpg", size: int = 10, mtime_ns: int = 5, inode: int = 3) -> PictureFile:
    return PictureFile(Path("/photos"), relative, size, mtime_ns, inode)


@pytest.mark.parametrize(
    ("found", "there", "options", "is_read"),
    [
        (file(), THERE, Options(), False),
        (file(size=11), THERE, Options(), True),
        (file(mtime_ns=6), THERE, Options(), True),
        (file(mtime_ns=4), THERE, Options(), True),
        (file(inode=4), THERE, Options(), False),  # a copied disk has other numbers
        (file(inode=9), THERE, Options(), True),  # the number that b.jpg had
        (file(), THERE, AGAIN, False),
        (file(), THERE, STRICT, False),
        (file(), THERE, Options(re_embed=True), True),
        (file(), replace(THERE, framing="published"), Options(), True),
        (file(), replace(THERE, is_damaged=True), Options(), False),
        (file(), replace(THERE, is_damaged=True), AGAIN, True),
        (file(), replace(THERE, is_damaged=True), STRICT, True),
    ],
)
def test_which_files_are_read_again(
    collection: Collection, found: PictureFile, there: Indexed, options: Options, is_read: bool
) -> None:
    indexed = {"a.jpg": there, "b.jpg": replace(THERE, inode=9)}
    changes = find_changes([found], indexed, Ledger(collection, "reader"), "whole", options)
    assert (changes.to_do, changes.unchanged) == (([found], 0) if is_read else ([], 1))


@pytest.mark.parametrize(
    ("found", "reader", "options", "failed_before"),
    [
        (file(), "reader 1", Options(), 1),
        (file(), "reader 1", AGAIN, 0),
        (file(), "reader 2", Options(), 0),
        (file(size=11), "reader 1", Options(), 0),
        (file(mtime_ns=6), "reader 1", Options(), 0),
        (file("other.jpg"), "reader 1", Options(), 0),
    ],
)
def test_a_bad_file_is_read_again_when_that_may_help(
    collection: Collection, found: PictureFile, reader: str, options: Options, failed_before: int
) -> None:
    before = Ledger(collection, "reader 1")
    before.add(Failed(file(), "no picture"))
    before.save()
    changes = find_changes([found], {}, Ledger(collection, reader), "whole", options)
    assert (changes.failed_before, len(changes.to_do)) == (failed_before, 1 - failed_before)


def test_what_failed_for_a_passing_cause_is_always_read_again(collection: Collection) -> None:
    ledger = Ledger(collection, "reader 1")
    ledger.add(Failed(file(), "Input/output error", transient=True))
    assert find_changes([file()], {}, ledger, "whole", Options()).failed_before == 0


def test_the_ledger_counts_what_is_shown_all_the_same(collection: Collection) -> None:
    ledger = Ledger(collection, "reader 1")
    ledger.add(Failed(file("bad.jpg"), "no picture"))
    ledger.add_damaged(Embedded(file("torn.jpg"), "aa", 4, 3, None, "its end is missing"))
    assert (len(ledger), ledger.damaged, ledger.paths) == (2, 1, ["bad.jpg", "torn.jpg"])
    ledger.mended("torn.jpg")
    assert (len(ledger), ledger.damaged) == (1, 0)


def written(collection: Collection, path: str, **changes: Any) -> Picture:
    """A picture in the collection, its features all 2."""
    picture = replace(Picture(path, "aa", 40, 30, 10, 5, 2 * 12**0.5, 3, "whole"), **changes)
    vectors = {VISUAL: np.full(12, 2, np.float32), SEMANTIC: np.ones(7, np.float32)}
    collection.upsert([Point(picture.id, vectors, picture.to_payload())])
    return picture


def test_points_of_no_picture_are_told(collection: Collection) -> None:
    written(collection, "a.jpg")
    picture = written(collection, "b.jpg")
    strange = stable_id("elsewhere")
    vectors = {VISUAL: np.ones(12, np.float32), SEMANTIC: np.ones(7, np.float32)}
    collection.delete([picture.id])
    collection.upsert([Point(strange, vectors, picture.to_payload())])
    first = UUID(int=0)  # before the others, which are told all the same
    collection.upsert([Point(first, vectors, {"path": "c.jpg"})])
    indexed, ghosts = read_indexed(collection)
    assert indexed == {"a.jpg": THERE}
    assert ghosts == [first, strange]


def writer(collection: Collection) -> BatchWriter:
    indexed, _ = read_indexed(collection)
    return BatchWriter(collection, small_conse(), "whole", indexed)


@pytest.mark.parametrize(
    ("changes", "is_copied"), [({}, True), ({"framing": "published"}, False), ({"damaged": "torn"}, False)]
)
def test_a_vector_is_copied_from_the_same_content_alone(
    collection: Collection, changes: dict[str, object], is_copied: bool
) -> None:
    """Of what is damaged, or was framed otherwise, the file itself is looked at."""
    written(collection, "a.jpg", frame=2, **changes)
    assert writer(collection).is_indexed("aa") is is_copied
    assert not writer(collection).is_indexed("bb")


def test_a_copied_vector_is_that_of_the_encoder(collection: Collection) -> None:
    written(collection, "a.jpg", frame=2, signature=bytes(range(256)) * 4)
    record = Embedded(file("copy.jpg"), "aa", 0, 0, None)
    copy = writer(collection).copy_of(record)
    assert copy is not None
    assert (copy.file.relative, copy.width, copy.height, copy.frame) == ("copy.jpg", 40, 30, 2)
    assert copy.signature == bytes(range(256)) * 4
    assert copy.features is not None
    assert copy.features.tolist() == pytest.approx([2.0] * 12, abs=1e-5)


@pytest.mark.parametrize("changes", [{"sha256": "bb"}, {"framing": "published"}])
def test_content_that_changed_meanwhile_is_not_copied(collection: Collection, changes: dict[str, object]) -> None:
    written(collection, "a.jpg")
    writing = writer(collection)
    written(collection, "a.jpg", **changes)
    assert writing.copy_of(Embedded(file("copy.jpg"), "aa", 0, 0, None)) is None


def test_what_was_just_written_is_copied_and_what_is_damaged_is_not(collection: Collection) -> None:
    writing = writer(collection)
    features = np.ones(12, np.float32)
    batch = [
        Embedded(file("a.jpg"), "aa", 4, 3, features),
        Embedded(file("b.jpg"), "bb", 4, 3, features, "its end is gone"),
    ]
    acknowledged: list[str] = []
    with collection.writing_ahead() as begin:
        writing.write(batch, begin, lambda: acknowledged.append("both"))
    assert acknowledged == ["both"]
    assert (writing.is_indexed("aa"), writing.is_indexed("bb")) == (True, False)
    there = {
        point.payload["path"]: Picture.from_payload(point.payload) for page in collection.scroll() for point in page
    }
    assert (there["a.jpg"].damaged, there["b.jpg"].damaged) == ("", "its end is gone")
    assert there["a.jpg"].visual_norm == pytest.approx(3.464102)
    assert there["a.jpg"].framing == "whole"


@pytest.mark.parametrize("keep", [False, True])
def test_what_a_scan_could_not_see_is_not_gone(collection: Collection, keep: bool) -> None:
    """The folder "cat" cannot be read, "linked" is not followed; "catalogue" and "linked too" are other folders."""
    paths = ["cat/1.jpg", "catalogue/4.jpg", "catalogue/5.jpg", "linked/2.jpg", "linked too/3.jpg"]
    for path in paths:
        written(collection, path)
    ledger = Ledger(collection, "reader")
    for path in ("cat/bad.jpg", "catalogue/bad.jpg", "linked/bad.jpg"):
        ledger.add(Failed(file(path), "no picture"))
    report = Report("made")
    report.left_out.unreadable["cat"] = "Permission denied"
    report.left_out.links.append("linked")
    options = Options(keep_missing=keep, remove_missing=not keep)
    removed = RemovedVectors.read(collection)
    settle_vanished(
        collection, ledger, dict.fromkeys(paths, THERE), {"catalogue/4.jpg"}, set(), report, options, removed
    )
    there = sorted(point.payload["path"] for page in collection.scroll() for point in page)
    assert there == (sorted(paths) if keep else ["cat/1.jpg", "catalogue/4.jpg", "linked/2.jpg"])
    assert (report.removed, report.missing) == ((0, 2) if keep else (2, 0))
    kept = ["cat/bad.jpg", *(["catalogue/bad.jpg"] if keep else []), "linked/bad.jpg"]
    assert ledger.paths == kept
