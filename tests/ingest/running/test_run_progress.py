"""How far a run is, told to whoever looks at the collection meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.collection import RunProgress, read_progress, run_progress
from ingest.stores.embedded import EmbeddedStore
from tests.commands import command
from tests.ingest.runs import ingest

KILLED = "2026-11-01T10:20:00+00:00"


def test_a_run_says_how_far_it_is_until_it_ends(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.jpg").write_bytes(b"\xff\xd8rubbish")
    said: list[RunProgress] = []
    save = run_progress.ProgressKept._save

    def looked_at(self: run_progress.ProgressKept, now: RunProgress) -> None:
        save(self, now)
        with store.open("photos") as reader:
            progress = read_progress(reader)
            assert progress == now
            said.append(progress)

    monkeypatch.setattr(run_progress, "SAVE_SECONDS", 0)
    monkeypatch.setattr(run_progress.ProgressKept, "_save", looked_at)
    ingest(store, folder)
    embedding = [one for one in said if one.task == "embedding"]
    assert (embedding[-1].done, embedding[-1].total, embedding[-1].unit) == (5, 5, "pictures")
    assert (embedding[-1].bad, embedding[-1].is_silent) == (1, False)
    with store.open("photos") as reader:
        assert read_progress(reader) is None
        assert "progress.json" not in reader.kept_files()


def test_a_run_that_was_killed_is_told_of_until_the_next(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder)
    monkeypatch.setattr(run_progress, "_is_there", lambda _: False)
    monkeypatch.setattr(run_progress, "SAVE_SECONDS", 0)
    monkeypatch.setattr(run_progress, "now", lambda: KILLED)
    (folder / "cat" / "another.png").write_bytes(next(folder.rglob("*.png")).read_bytes())
    ingest(store, folder)
    told = " ".join(command("ingest", "status", "--store", store.root).out.split())
    assert f" of 1 pictures, at {KILLED}: it has ended early, run it again" in told
    monkeypatch.undo()
    ingest(store, folder)
    assert "ended early" not in command("ingest", "status", "--store", store.root).out
