"""An ingest that is asked beside, interrupted, or started twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import command, refused
from tests.copies import copy_store
from tests.photographs import labelled_folder
from tests.staged import PATIENCE_SECONDS, UPSERT, Held, Moment, killed

FIRST_BATCH = Moment(UPSERT, "after")
"""64 pictures are acknowledged, 96 are not."""


@pytest.fixture
def large(originals: Path, tmp_path: Path, tags_store: Path) -> Path:
    """Pictures for three batches."""
    copy_store(tags_store, tmp_path / "store")
    labels = ("cat", "coffee", "rocket", "moon", "flower", "temple", "coins", "astronaut")
    return labelled_folder(tmp_path / "large", originals, labels, 20)


@pytest.fixture
def run(large: Path) -> list[str | Path]:
    return ["ingest", "run", large, "--offline", "--projection", "conse"]


def found() -> int:
    return len(command("query", "text", "cat", "-n", "500", "--paths-only", "-c", "large").out.splitlines())


def test_a_query_during_an_ingest_is_answered_and_a_second_ingest_is_refused(
    run: list[str | Path], large: Path, tmp_path: Path
) -> None:
    with Held(run, FIRST_BATCH, tmp_path) as ingest:
        assert found() == 64
        row = command("ingest", "status", "--json").json[0]
        assert (row["pictures"], row["labels"], row["problem"]) == (64, 4, "")
        refused(command("ingest", "run", large, "--offline"), "'large'", "written by another process")
        ingest.go_on()
        assert ingest.end() == 0
    assert command("ingest", "status", "--json").json[0]["pictures"] == 160


def test_an_ingest_that_is_interrupted_leaves_a_good_index_and_is_gone_on_with(
    run: list[str | Path], tmp_path: Path
) -> None:
    with Held(run, FIRST_BATCH, tmp_path) as ingest:
        for _ in range(5):  # whoever is impatient presses it again
            ingest.process.send_signal(signal.SIGINT)
        assert ingest.end() == 130
    assert "large: 64 pictures; 64 new\n" in ingest.said
    assert "interrupted after 64 of 160: run the same command again to continue\n" in ingest.said
    assert found() == 64
    assert "large: 160 pictures; 96 new, 64 unchanged\n" in command(*run).err


def test_an_ingest_that_is_killed_leaves_a_good_index_and_is_gone_on_with(
    run: list[str | Path], tmp_path: Path
) -> None:
    killed(run, FIRST_BATCH)
    assert found() == 64
    assert "large: 160 pictures; 96 new, 64 unchanged\n" in command(*run).err
    assert not list((tmp_path / "store").rglob("*.tmp"))


INTERRUPTED_WHILE_IT_IMPORTS = """
import json, os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

module, sys.argv = sys.argv[1], ["ingest", *json.loads(sys.argv[2])]
from ingest.__main__ import main

sys.meta_path.insert(0, Interrupt())
main()
"""


@pytest.mark.parametrize("module", ["model.system.terminal", "typer", "ingest.cli", "ingest.pipeline", "qdrant_edge"])
def test_an_interrupt_while_it_starts_ends_it_without_a_word(run: list[str | Path], module: str) -> None:
    words = [sys.executable, "-c", INTERRUPTED_WHILE_IT_IMPORTS, module, json.dumps([str(word) for word in run[1:]])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
