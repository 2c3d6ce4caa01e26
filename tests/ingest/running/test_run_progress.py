"""How far a run is, told to whoever looks at the collection meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.collection import RunProgress, read_progress, run_progress
from ingest.stores.embedded import EmbeddedStore
from tests.commands import command
from tests.ingest.runs import ingest

KILLED = RunProgress(4096, 10_000, 2, "2026-11-01T10:00:00+00:00", "2026-11-01T10:20:00+00:00")


def test_a_run_says_how_far_it_is_until_it_ends(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.jpg").write_bytes(b"\xff\xd8rubbish")
    said: list[RunProgress] = []
    advance = run_progress.ProgressKept.advance

    def looked_at(self: run_progress.ProgressKept, files: int, bad: int) -> None:
        advance(self, files, bad)
        with store.open("photos") as reader:
            progress = read_progress(reader)
            assert progress
            said.append(progress)

    monkeypatch.setattr(run_progress, "SAVE_SECONDS", 0)
    monkeypatch.setattr(run_progress.ProgressKept, "advance", looked_at)
    ingest(store, folder)
    assert (said[-1].done, said[-1].total, said[-1].bad, said[-1].is_silent) == (5, 5, 1, False)
    assert [one.done for one in said] == sorted({one.done for one in said})
    with store.open("photos") as reader:
        assert read_progress(reader) is None
        assert "progress.json" not in reader.kept_files()


def test_a_run_that_was_killed_is_told_of_until_the_next(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(store, folder)
    monkeypatch.setattr(run_progress.ProgressKept, "__exit__", lambda *_: None)
    monkeypatch.setattr(run_progress, "SAVE_SECONDS", 0)
    monkeypatch.setattr(run_progress, "now", lambda: KILLED.at)
    (folder / "cat" / "another.png").write_bytes(next(folder.rglob("*.png")).read_bytes())
    ingest(store, folder)
    told = command("ingest", "status", "--store", store.root)
    assert "run         1 of 1 files read at 2026-11-01T10:20:00+00:00: it has ended early, run it again" in told.out
    monkeypatch.undo()
    ingest(store, folder)
    assert "files read" not in command("ingest", "status", "--store", store.root).out
