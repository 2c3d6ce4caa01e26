"""Records of older formats are brought up to date, and of newer ones it is said what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import StoreError
from ingest.records import CollectionMetadata
from ingest.records import migration as of_metadata
from ingest.stores.snapshot import SnapshotStore
from ingest.stores.snapshot import migration as of_manifest
from model import __version__

RECORD = {
    "kind": "pictures",
    "vectors": {"visual": 4, "semantic": 3},
    "words": "glove",
    "words_sha256": "00",
    "projection": "joint",
    "pending": "",
    "trained": ["dog"],
    "format": 1,
}


@pytest.mark.parametrize(("before", "now"), [("joint", "best"), ("devise", "document"), ("conse", "conse"), ("", "")])
def test_metadata_of_format_1_is_migrated(before: str, now: str) -> None:
    old = {**RECORD, "projection": before}
    kept = json.dumps(old)
    assert of_metadata.migrate(old) == {**RECORD, "projection": now, "format": 2}
    assert json.dumps(old) == kept


def test_metadata_of_the_current_format_stays_as_it_is() -> None:
    current = {**RECORD, "format": 2}
    assert of_metadata.migrate(current) == current


def test_metadata_is_migrated_while_it_is_read_and_written_in_the_new_format() -> None:
    read = CollectionMetadata.from_json(RECORD, "photos")
    assert (read.projection, read.format, read.trained) == ("best", 2, ("dog",))
    written = read.to_json()
    assert (written["projection"], written["format"], written["program"]) == ("best", 2, __version__)
    assert CollectionMetadata.from_json(written, "photos") == read


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": 3, "program": "7.8.9"},
            r"collection 'photos' has format 3, written by wordsight 7\.8\.9: this is wordsight .*, which reads "
            r"formats 1 to 2; install wordsight 7\.8\.9 or later",
        ),
        ({"format": 3}, "format 3 and does not say which version"),
        ({"format": 0}, "format 0, which is too old: .* ingest its folder again under a new name"),
        ({"format": "1"}, "was not made by this program"),
        ({"format": True}, "was not made by this program"),
    ],
)
def test_metadata_of_other_formats_is_refused_with_what_to_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        CollectionMetadata.from_json({**RECORD, **changes}, "photos")


def test_a_manifest_of_format_1_is_migrated() -> None:
    old = {"format": 1, "facts": {"kind": "pictures"}, "tags": "tags"}
    assert of_manifest.migrate(old) == {"format": 2, "metadata": {"kind": "pictures"}, "tags": "tags"}
    assert old == {"format": 1, "facts": {"kind": "pictures"}, "tags": "tags"}
    current = {"format": 2, "metadata": {}}
    assert of_manifest.migrate(current) == current


def test_a_manifest_of_a_newer_format_names_the_version_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 3, "program": "wordsight 7.8.9"}))
    with pytest.raises(StoreError, match=r"the snapshot .* has format 3, written by wordsight 7\.8\.9.*formats 1 to 2"):
        SnapshotStore(tmp_path)
