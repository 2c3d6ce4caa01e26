"""`ingest run --metadata`: what earlier versions did not read of how pictures were taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingest.collection import Options
from ingest.records import Picture
from ingest.stores.embedded import EmbeddedStore
from query.cli import app
from tests.commands import asked
from tests.ingest.runs import ingest, points
from tests.shots import take


def test_an_older_collection_gains_it_without_encoding(
    store: EmbeddedStore, tmp_path: Path, encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    take(photos)
    monkeypatch.chdir(photos)
    asking = ["text", "circle", "--after", "2019", "--json", "--store", store.where]
    ingest(store, photos)
    complete = points(store)
    forget(store)
    older = asked(app, *asking)
    assert older.status == 1
    assert "of 4 of 4 pictures it is not known when, where and how they were taken" in older.err
    encoded.clear()
    (photos / "trip/a.jpg").write_bytes((photos / "trip/b.jpg").read_bytes())  # a change is read anyway
    (photos / "home/d.png").unlink()
    report = ingest(store, photos, Options(offline=True, metadata=True, keep_missing=True))
    assert (report.described, report.updated, report.unchanged, encoded) == (2, 1, 2, [])
    after = points(store)
    for path in ("trip/b.jpg", "home/c.jpg"):
        assert after[path].payload == complete[path].payload
        assert after[path].vectors["visual"].tolist() == complete[path].vectors["visual"].tolist()
    found = asked(app, *asking)
    assert {row["path"] for row in found.json} == {"trip/a.jpg", "trip/b.jpg", "home/c.jpg"}
    assert "of 1 of 4 pictures it is not known" in found.err


def forget(store: EmbeddedStore) -> None:
    """As a version wrote it that read no dates."""
    with store.open("photos", write=True) as collection:
        pictures = [Picture.from_payload(point.payload) for page in collection.scroll() for point in page]
        collection.set_payloads({one.id: replace(one, photo=None).to_payload() for one in pictures})
