"""An ingest that is asked beside, interrupted, or started twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands import SCRIPTS, Ran, command, refused
from tests.photographs import labelled_folder


def start(*words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [SCRIPTS / str(words[0]), *map(str, words[1:])], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.fixture
def large(originals: Path, tmp_path: Path, tags_store: Path) -> Path:
    """Enough pictures for some seconds of ingestion."""
    shutil.copytree(tags_store, tmp_path / "store")
    labels = ("cat", "coffee", "rocket", "moon", "flower", "temple", "coins", "astronaut")
    return labelled_folder(tmp_path / "large", originals, labels, 60)


def wait_for_pictures(count: int, process: subprocess.Popen[bytes]) -> float:
    """Ask until ``count`` pictures can be found; returns how long the slowest answer took."""
    slowest, deadline = 0.0, time.monotonic() + 60
    while time.monotonic() < deadline:
        started = time.monotonic()
        ran = command("query", "text", "cat", "-n", "500", "--paths-only", "-c", "large")
        if ran.status == 0:
            slowest = max(slowest, time.monotonic() - started)
            if len(ran.out.splitlines()) >= count:
                return slowest
        assert process.poll() is None, "the ingest ended before it was looked at"
        time.sleep(0.05)
    raise AssertionError(f"{count} pictures never came")


def test_a_query_during_an_ingest_is_answered_and_a_second_ingest_is_told(large: Path) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    try:
        assert wait_for_pictures(64, process) < 5
        assert command("ingest", "status", "--json").json[0]["pictures"] >= 64
        refused(command("ingest", "run", large, "--offline"), "'large'", "written by another process")
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()
    assert command("ingest", "status", "--json").json[0]["pictures"] == 480


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_ingest_that_is_stopped_leaves_a_good_index_and_is_gone_on_with(
    large: Path, number: signal.Signals, status: int
) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    wait_for_pictures(64, process)
    process.send_signal(number)
    if number == signal.SIGINT:  # whoever is impatient presses it again
        for _ in range(5):
            time.sleep(0.03)
            process.send_signal(number)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == status
    assert "Traceback" not in told
    if number == signal.SIGINT:
        assert "interrupted after" in told
        assert "of 480" in told
    there = len(command("query", "text", "cat", "-n", "500", "--paths-only").out.splitlines())
    assert 64 <= there < 480
    if number == signal.SIGINT:
        assert f"large: {there} pictures; {there} new" in told
    again: Ran = command("ingest", "run", large, "--offline")
    assert f"large: 480 pictures; {480 - there} new, {there} unchanged" in again.err
    assert not list((large.parent / "store").rglob("*.tmp"))


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.3])
def test_an_interrupt_while_it_starts_ends_it_without_a_word(large: Path, seconds: float) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode in (130, -signal.SIGINT)  # Python itself was not ready
    assert "cli" not in told, told
